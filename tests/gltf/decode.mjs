// Decodes blocks of EXT_meshopt_compression with meshoptimizer: from standard input a JSON array of
// {mode, count, stride, data}, data in base64; to standard output the decoded ones, in base64.
import { readFileSync } from "node:fs";
import { MeshoptDecoder } from "meshoptimizer";

await MeshoptDecoder.ready;
const decoded = JSON.parse(readFileSync(0, "utf8")).map(({ mode, count, stride, data }) => {
  const target = new Uint8Array(count * stride);
  MeshoptDecoder.decodeGltfBuffer(target, count, stride, Buffer.from(data, "base64"), mode);
  return Buffer.from(target).toString("base64");
});
process.stdout.write(JSON.stringify(decoded));
