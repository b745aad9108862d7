import { Accessors, type Gltf } from "./accessors";
import { unreadable } from "./errors";
import { normalise, placedMeshes, transform } from "./nodes";
import type { CloudShape, MeshShape, Surface } from "./shapes";

const MAGIC = 0x46546c67;
const JSON_CHUNK = 0x4e4f534a;
const BINARY_CHUNK = 0x004e4942;
const POINTS = 0;
const TRIANGLES = 4;
const EXTENSIONS = new Set([
  "KHR_materials_unlit",
  "KHR_mesh_quantization",
  "KHR_texture_transform",
  "EXT_meshopt_compression",
]);

type Primitive = NonNullable<Gltf["meshes"]>[number]["primitives"][number];

/**
 * Reads a binary glTF 2.0 file: its points as one cloud, or its triangles.
 *
 * Of materials only the base colour is kept, of animations nothing. Throws `unreadable_file`.
 */
export async function readGlb(
  bytes: ArrayBuffer,
): Promise<{ cloud: CloudShape | null; mesh: MeshShape | null }> {
  const { gltf, binary } = chunks(bytes);
  const unknown = gltf.extensionsRequired?.filter((name) => !EXTENSIONS.has(name)) ?? [];
  if (unknown.length) throw unreadable(`The file needs ${unknown.join(", ")}, which is not read.`);
  const accessors = await Accessors.open(gltf, binary);
  const clouds: CloudShape[] = [];
  const surfaces: Surface[] = [];
  for (const { mesh, matrix } of placedMeshes(gltf)) {
    for (const primitive of gltf.meshes?.[mesh]?.primitives ?? []) {
      const mode = primitive.mode ?? TRIANGLES;
      if (mode === POINTS) clouds.push(readVertices(gltf, accessors, primitive, matrix));
      else if (mode === TRIANGLES) surfaces.push(readSurface(gltf, accessors, primitive, matrix));
      else throw unreadable("The file has lines, strips or fans, which are not read.");
    }
  }
  return {
    cloud: clouds.length ? merged(clouds) : null,
    mesh: surfaces.length ? { surfaces } : null,
  };
}

function chunks(bytes: ArrayBuffer): { gltf: Gltf; binary: Uint8Array } {
  const view = new DataView(bytes);
  if (bytes.byteLength < 20 || view.getUint32(0, true) !== MAGIC || view.getUint32(4, true) !== 2) {
    throw unreadable("This is no binary glTF 2.0 file.");
  }
  let gltf: Gltf | null = null;
  let binary = new Uint8Array();
  for (let at = 12; at + 8 <= bytes.byteLength;) {
    const length = view.getUint32(at, true);
    const type = view.getUint32(at + 4, true);
    if (at + 8 + length > bytes.byteLength) throw unreadable("The file is cut short.");
    const chunk = new Uint8Array(bytes, at + 8, length);
    if (type === JSON_CHUNK) gltf = parseJson(chunk);
    else if (type === BINARY_CHUNK) binary = chunk;
    at += 8 + length + (-length & 3);
  }
  if (!gltf) throw unreadable("The file has no description.");
  return { gltf, binary };
}

function parseJson(chunk: Uint8Array): Gltf {
  try {
    return JSON.parse(new TextDecoder().decode(chunk)) as Gltf;
  } catch {
    throw unreadable("The file's description is broken.");
  }
}

function readVertices(
  gltf: Gltf,
  accessors: Accessors,
  primitive: Primitive,
  matrix: readonly number[],
): CloudShape {
  const { POSITION, NORMAL, COLOR_0 } = primitive.attributes;
  if (POSITION === undefined) throw unreadable("The file has no positions.");
  const positions = Float32Array.from(accessors.numbers(POSITION, 3));
  const count = positions.length / 3;
  if (!count) throw unreadable("The file has no vertices.");
  const normals = NORMAL === undefined ? null : perVertex(accessors, NORMAL, 3, count);
  const linear =
    COLOR_0 === undefined
      ? null
      : perVertex(accessors, COLOR_0, accessors.width(COLOR_0) === 4 ? 4 : 3, count);
  const factor = materialOf(gltf, primitive)?.baseColorFactor ?? [1, 1, 1];
  const shape = { positions, normals, colors: colors(count, linear, factor) };
  if (!transform(shape, matrix).positions.every(Number.isFinite))
    throw unreadable("The file has positions that are not numbers.");
  return shape;
}

/** [count * width], as many as there are positions. */
function perVertex(
  accessors: Accessors,
  accessor: number,
  width: number,
  count: number,
): Float32Array {
  const numbers = Float32Array.from(accessors.numbers(accessor, width));
  if (numbers.length === count * width) return numbers;
  throw unreadable("The file has vertices without their attributes.");
}

function readSurface(
  gltf: Gltf,
  accessors: Accessors,
  primitive: Primitive,
  matrix: readonly number[],
): Surface {
  const vertices = readVertices(gltf, accessors, primitive, matrix);
  const count = vertices.positions.length / 3;
  const index =
    primitive.indices === undefined
      ? Uint32Array.from({ length: count }, (_, at) => at)
      : Uint32Array.from(accessors.numbers(primitive.indices, 1));
  if (!index.length || index.length % 3 || index.some((vertex) => vertex >= count)) {
    throw unreadable("The file has triangles without corners.");
  }
  const { TEXCOORD_0 } = primitive.attributes;
  const info = materialOf(gltf, primitive)?.baseColorTexture;
  const image = info && TEXCOORD_0 !== undefined ? imageOf(gltf, accessors, info.index) : null;
  const uv = image && TEXCOORD_0 !== undefined ? perVertex(accessors, TEXCOORD_0, 2, count) : null;
  const moved = info?.extensions?.KHR_texture_transform;
  if (uv && moved) {
    const { offset = [0, 0], scale = [1, 1] } = moved;
    for (let at = 0; at < uv.length; at++) uv[at] = offset[at % 2]! + scale[at % 2]! * uv[at]!;
  }
  return {
    ...vertices,
    normals: vertices.normals ?? smoothNormals(vertices.positions, index),
    uv,
    index,
    image,
  };
}

function materialOf(gltf: Gltf, primitive: Primitive) {
  return gltf.materials?.[primitive.material ?? -1]?.pbrMetallicRoughness;
}

function imageOf(gltf: Gltf, accessors: Accessors, texture: number): Blob | null {
  const image = gltf.images?.[gltf.textures?.[texture]?.source ?? -1];
  if (image?.bufferView === undefined) return null;
  const bytes = accessors.view(image.bufferView).slice();
  return new Blob([bytes], { type: image.mimeType ?? "image/png" });
}

/** Linear colours and a linear factor as sRGB bytes; null where that is plain white. */
function colors(
  count: number,
  linear: Float32Array | null,
  factor: readonly number[],
): Uint8Array | null {
  if (!linear && factor.slice(0, 3).every((value) => value === 1)) return null;
  const bytes = new Uint8Array(3 * count);
  const width = linear ? linear.length / count : 3;
  for (let row = 0; row < count; row++) {
    for (let axis = 0; axis < 3; axis++) {
      const value = (linear ? linear[width * row + axis]! : 1) * factor[axis]!;
      bytes[3 * row + axis] = 255 * encode(Math.min(Math.max(value, 0), 1)) + 0.5;
    }
  }
  return bytes;
}

function encode(linear: number): number {
  return linear <= 0.0031308 ? 12.92 * linear : 1.055 * linear ** (1 / 2.4) - 0.055;
}

function smoothNormals(positions: Float32Array, index: Uint32Array): Float32Array {
  const normals = new Float32Array(positions.length);
  for (let face = 0; face < index.length; face += 3) {
    const [a, b, c] = [3 * index[face]!, 3 * index[face + 1]!, 3 * index[face + 2]!];
    const edge = (to: number, axis: number) => positions[to + axis]! - positions[a + axis]!;
    for (let axis = 0; axis < 3; axis++) {
      const [u, v] = [(axis + 1) % 3, (axis + 2) % 3];
      const area = edge(b, u) * edge(c, v) - edge(b, v) * edge(c, u);
      for (const corner of [a, b, c]) normals[corner + axis]! += area;
    }
  }
  normalise(normals);
  return normals;
}

function merged(clouds: CloudShape[]): CloudShape {
  const [only, second] = clouds;
  if (only && !second) return only;
  const size = clouds.reduce((sum, cloud) => sum + cloud.positions.length, 0);
  const positions = new Float32Array(size);
  const normals = new Float32Array(size);
  const all = new Uint8Array(size).fill(255);
  let at = 0;
  for (const cloud of clouds) {
    positions.set(cloud.positions, at);
    if (cloud.normals) normals.set(cloud.normals, at);
    if (cloud.colors) all.set(cloud.colors, at);
    at += cloud.positions.length;
  }
  return { positions, normals, colors: all };
}
