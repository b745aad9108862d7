// Validates the GLB files named on the command line with the Khronos validator.
// Prints one JSON array: {file, errors, warnings, messages} per file, in their order.
import { readFile } from "node:fs/promises";
import { validateBytes } from "gltf-validator";

const results = [];
for (const file of process.argv.slice(2)) {
  try {
    const report = await validateBytes(new Uint8Array(await readFile(file)), {
      maxIssues: 20,
    });
    const { numErrors, numWarnings, messages } = report.issues;
    results.push({ file, errors: numErrors, warnings: numWarnings, messages });
  } catch (error) {
    results.push({ file, errors: 1, warnings: 0, messages: [String(error)] });
  }
}
process.stdout.write(JSON.stringify(results));
