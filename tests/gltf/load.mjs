// Loads one GLB file without pictures as a web page would, with three.js, and prints what it then
// has: {kind, positions, normals, colors, indices, userData, asset}. Positions are those in the scene.
import { readFile } from "node:fs/promises";
import { MeshoptDecoder } from "meshoptimizer";
import { Vector3 } from "three";
import { GLTFLoader } from "three/addons/loaders/GLTFLoader.js";

const bytes = await readFile(process.argv[2]);
const loader = new GLTFLoader().setMeshoptDecoder(MeshoptDecoder);
const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
const gltf = await loader.parseAsync(file, "");
gltf.scene.updateMatrixWorld(true);
let shown;
gltf.scene.traverse((object) => {
  if (object.isMesh || object.isPoints) shown = object;
});
const { attributes, index, userData } = shown.geometry;
const rows = (attribute) =>
  Array.from({ length: attribute?.count ?? 0 }, (_, k) =>
    new Vector3().fromBufferAttribute(attribute, k).toArray(),
  );
process.stdout.write(
  JSON.stringify({
    kind: shown.type,
    positions: rows(attributes.position).map((p) =>
      new Vector3(...p).applyMatrix4(shown.matrixWorld).toArray(),
    ),
    normals: rows(attributes.normal),
    colors: rows(attributes.color),
    indices: Array.from(index?.array ?? []),
    userData,
    asset: gltf.asset,
  }),
);
