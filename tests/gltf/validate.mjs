// Validates GLB files with the Khronos validator, which does not look into compressed views: files
// that have such are validated once more without the compression. The one argument is a file that
// names them, one a line. Prints one JSON array: {file, errors, warnings, messages} per file.
import { readFile } from "node:fs/promises";
import { validateBytes } from "gltf-validator";
import { decompress } from "./glb.mjs";

async function validate(file) {
  const result = { file, errors: 0, warnings: 0, messages: [] };
  try {
    const bytes = new Uint8Array(await readFile(file));
    const decoded = await decompress(bytes).catch((error) => {
      throw new Error(`decoding: ${error.message}`);
    });
    for (const form of decoded ? [bytes, decoded] : [bytes]) {
      const report = await validateBytes(form, { maxIssues: 20 });
      result.errors += report.issues.numErrors;
      result.warnings += report.issues.numWarnings;
      result.messages.push(...report.issues.messages);
    }
  } catch (error) {
    result.errors += 1;
    result.messages.push({ code: "EXCEPTION", message: String(error) });
  }
  return result;
}

const names = (await readFile(process.argv[2], "utf8")).split("\n").filter(Boolean);
const results = [];
for (const name of names) results.push(await validate(name));
process.stdout.write(JSON.stringify(results));
