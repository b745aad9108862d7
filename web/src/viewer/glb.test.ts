import { MeshoptEncoder } from "meshoptimizer/encoder";
import { beforeAll, describe, expect, it } from "vitest";
import type { Gltf } from "./accessors";
import { readGlb } from "./glb";

/** A GLB file of a description and binary data. */
function glb(gltf: object, binary: Uint8Array): ArrayBuffer {
  const json = new TextEncoder().encode(JSON.stringify(gltf));
  const jsonSize = Math.ceil(json.length / 4) * 4;
  const binarySize = Math.ceil(binary.length / 4) * 4;
  const file = new Uint8Array(12 + 8 + jsonSize + 8 + binarySize).fill(0x20, 20, 20 + jsonSize);
  const view = new DataView(file.buffer);
  const header = [0x46546c67, 2, file.length, jsonSize, 0x4e4f534a];
  header.forEach((value, at) => view.setUint32(4 * at, value, true));
  file.set(json, 20);
  view.setUint32(20 + jsonSize, binarySize, true);
  view.setUint32(24 + jsonSize, 0x004e4942, true);
  file.set(binary, 28 + jsonSize);
  return file.buffer;
}

const raw = (array: Float32Array | Uint16Array | Int16Array | Uint8Array | Int8Array) =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

/** One triangle in the plane z = 0, with linear colours. */
const POSITIONS = raw(Float32Array.of(0, 0, 0, 1, 0, 0, 0, 1, 0));
const COLORS = raw(Float32Array.of(1, 0, 0, 0, 0.214, 0, 0, 0, 0));
const INDICES = raw(Uint16Array.of(0, 1, 2));

function triangle(change: (gltf: Gltf) => void = () => {}): ArrayBuffer {
  const binary = Uint8Array.from([...POSITIONS, ...COLORS, ...INDICES]);
  const gltf: Gltf & { asset: object } = {
    asset: { version: "2.0" },
    scenes: [{ nodes: [0] }],
    nodes: [{ mesh: 0 }],
    meshes: [{ primitives: [{ attributes: { POSITION: 0, COLOR_0: 1 }, indices: 2 }] }],
    accessors: [
      { bufferView: 0, componentType: 5126, count: 3, type: "VEC3" },
      { bufferView: 1, componentType: 5126, count: 3, type: "VEC3" },
      { bufferView: 2, componentType: 5123, count: 3, type: "SCALAR" },
    ],
    bufferViews: [
      { byteOffset: 0, byteLength: 36 },
      { byteOffset: 36, byteLength: 36 },
      { byteOffset: 72, byteLength: 6 },
    ],
  };
  change(gltf);
  return glb(gltf, binary);
}

const only = async (file: ArrayBuffer) => (await readGlb(file)).mesh!.surfaces[0]!;

describe("readGlb", () => {
  it("reads a triangle, its colours as sRGB, and gives it normals", async () => {
    const surface = await only(triangle());
    expect([...surface.positions]).toEqual([0, 0, 0, 1, 0, 0, 0, 1, 0]);
    expect([...surface.colors!]).toEqual([255, 0, 0, 0, 127, 0, 0, 0, 0]);
    expect([...surface.index]).toEqual([0, 1, 2]);
    expect([...surface.normals]).toEqual([0, 0, 1, 0, 0, 1, 0, 0, 1]);
  });

  it("reads points as a cloud", async () => {
    const points = triangle((gltf) => {
      Object.assign(gltf.meshes![0]!.primitives[0]!, { mode: 0, indices: undefined });
    });
    const { cloud, mesh } = await readGlb(points);
    expect(mesh).toBeNull();
    expect(cloud!.positions.length).toBe(9);
    expect(cloud!.normals).toBeNull();
  });

  it("takes nodes without a scene once, each below its parent", async () => {
    const file = triangle((gltf) => {
      gltf.nodes = [{ mesh: 0 }, { children: [0], translation: [0, 0, 5] }];
      delete gltf.scenes;
    });
    const { surfaces } = (await readGlb(file)).mesh!;
    expect(surfaces.map(({ positions }) => positions[2])).toEqual([5]);
  });

  it("applies the transforms on the way from the scene", async () => {
    const half = Math.SQRT1_2;
    const surface = await only(
      triangle((gltf) => {
        gltf.nodes = [
          { children: [1], translation: [0, 0, 10] },
          { mesh: 0, rotation: [half, 0, 0, half], scale: [2, 2, 2] },
        ];
      }),
    );
    const expected = [0, 0, 10, 2, 0, 10, 0, 0, 12];
    expected.forEach((value, at) => expect(surface.positions[at]).toBeCloseTo(value));
  });

  it("turns normals by the transform of the surface, not of its points", async () => {
    const normal = raw(Float32Array.of(1, 1, 0));
    const file = glb(
      {
        scenes: [{ nodes: [0] }],
        nodes: [{ mesh: 0, scale: [1, 2, 1] }],
        meshes: [{ primitives: [{ attributes: { POSITION: 0, NORMAL: 0 }, mode: 0 }] }],
        accessors: [{ bufferView: 0, componentType: 5126, count: 1, type: "VEC3" }],
        bufferViews: [{ byteLength: 12 }],
      },
      normal,
    );
    const { cloud } = await readGlb(file);
    expect(cloud!.normals![0]! / cloud!.normals![1]!).toBeCloseTo(2);
  });

  it("multiplies the material's colour", async () => {
    const surface = await only(
      triangle((gltf) => {
        gltf.meshes![0]!.primitives[0]!.material = 0;
        gltf.materials = [{ pbrMetallicRoughness: { baseColorFactor: [0.5, 1, 1, 1] } }];
      }),
    );
    expect([...surface.colors!.slice(0, 3)]).toEqual([188, 0, 0]);
  });

  it.each([
    [
      "another file",
      new TextEncoder().encode("ply\nformat ascii 1.0\nelement").buffer,
      "no binary glTF",
    ],
    ["a cut file", triangle().slice(0, -8), "cut short"],
    [
      "a needed extension",
      triangle((gltf) => (gltf.extensionsRequired = ["KHR_draco_mesh_compression"])),
      "draco",
    ],
    ["lines", triangle((gltf) => (gltf.meshes![0]!.primitives[0]!.mode = 1)), "lines"],
    [
      "indices past the end",
      triangle((gltf) => gltf.accessors!.slice(0, 2).forEach((one) => (one.count = 2))),
      "without corners",
    ],
    [
      "fewer colours than positions",
      triangle((gltf) => (gltf.accessors![1]!.count = 2)),
      "without their attributes",
    ],
    ["nothing", triangle((gltf) => (gltf.accessors![0]!.count = 0)), "no vertices"],
    ["no triangles", triangle((gltf) => (gltf.accessors![2]!.count = 0)), "without corners"],
    [
      "a transform out of bounds",
      triangle((gltf) => (gltf.nodes![0]!.scale = [1e300, 1, 1])),
      "not numbers",
    ],
    [
      "nodes that are met in endless ways",
      triangle((gltf) => {
        gltf.nodes = Array.from({ length: 40 }, (_, at) => ({ children: [at + 1, at + 1] }));
        gltf.nodes.push({ mesh: 0 });
      }),
      "scene is broken",
    ],
    ["data past the end", triangle((gltf) => (gltf.accessors![0]!.count = 99)), "cut short"],
    [
      "a circle of nodes",
      triangle((gltf) => (gltf.nodes = [{ children: [0] }])),
      "scene is broken",
    ],
    [
      "no positions",
      triangle((gltf) => delete gltf.meshes![0]!.primitives[0]!.attributes.POSITION),
      "no positions",
    ],
  ])("refuses %s", async (_, file, detail) => {
    await expect(readGlb(file as ArrayBuffer)).rejects.toThrow(detail);
  });
});

describe("compression", () => {
  beforeAll(() => MeshoptEncoder.ready);

  // Positions as int16 at a stride of 8, as KHR_mesh_quantization wants it, scaled by the node.
  const packed = Int16Array.of(0, 0, 0, 0, 1000, 0, 0, 0, 0, 1000, 0, 0);
  const quantized = (view: object, required: string[]) => ({
    extensionsRequired: required,
    scenes: [{ nodes: [0] }],
    nodes: [{ mesh: 0, scale: [0.001, 0.001, 0.001] }],
    meshes: [{ primitives: [{ attributes: { POSITION: 0 } }] }],
    accessors: [{ bufferView: 0, componentType: 5122, count: 3, type: "VEC3" }],
    bufferViews: [{ byteLength: 24, byteStride: 8, ...view }],
  });
  const expected = [0, 0, 0, 1, 0, 0, 0, 1, 0];

  it("reads quantised positions", async () => {
    const surface = await only(glb(quantized({}, ["KHR_mesh_quantization"]), raw(packed)));
    expected.forEach((value, at) => expect(surface.positions[at]).toBeCloseTo(value));
  });

  it("reads views under EXT_meshopt_compression", async () => {
    const encoded = MeshoptEncoder.encodeGltfBuffer(raw(packed), 3, 8, "ATTRIBUTES");
    const compressed = {
      buffer: 0,
      byteLength: encoded.length,
      byteStride: 8,
      count: 3,
      mode: "ATTRIBUTES",
    };
    const view = { extensions: { EXT_meshopt_compression: compressed } };
    const required = ["KHR_mesh_quantization", "EXT_meshopt_compression"];
    const surface = await only(glb(quantized(view, required), encoded));
    expected.forEach((value, at) => expect(surface.positions[at]).toBeCloseTo(value));
    encoded.fill(0);
    await expect(readGlb(glb(quantized(view, required), encoded))).rejects.toThrow(
      "compressed part",
    );
  });
});
