import { unreadable } from "./errors";

/** The parts of a glTF description that are read. */
export interface Gltf {
  extensionsRequired?: string[];
  scene?: number;
  scenes?: { nodes?: number[] }[];
  nodes?: GltfNode[];
  meshes?: {
    primitives: {
      attributes: Record<string, number | undefined>;
      indices?: number;
      material?: number;
      mode?: number;
    }[];
  }[];
  materials?: {
    pbrMetallicRoughness?: {
      baseColorFactor?: number[];
      baseColorTexture?: {
        index: number;
        extensions?: { KHR_texture_transform?: { offset?: number[]; scale?: number[] } };
      };
    };
  }[];
  textures?: { source?: number }[];
  images?: { bufferView?: number; mimeType?: string }[];
  accessors?: {
    bufferView?: number;
    byteOffset?: number;
    componentType: number;
    normalized?: boolean;
    count: number;
    type: string;
    sparse?: unknown;
  }[];
  bufferViews?: (Slice & { extensions?: { EXT_meshopt_compression?: Compressed } })[];
}

export interface GltfNode {
  children?: number[];
  mesh?: number;
  matrix?: number[];
  translation?: number[];
  rotation?: number[];
  scale?: number[];
}

interface Slice {
  byteOffset?: number;
  byteLength: number;
  byteStride?: number;
}

interface Compressed extends Slice {
  byteStride: number;
  count: number;
  mode: "ATTRIBUTES" | "TRIANGLES" | "INDICES";
  filter?: "NONE" | "OCTAHEDRAL" | "QUATERNION" | "EXPONENTIAL";
}

type Read = (view: DataView, at: number) => number;

/** By `componentType`: bytes, reader, and the divisor of normalised values. */
const COMPONENTS: Record<number, readonly [size: number, read: Read, most: number]> = {
  5120: [1, (view, at) => view.getInt8(at), 127],
  5121: [1, (view, at) => view.getUint8(at), 255],
  5122: [2, (view, at) => view.getInt16(at, true), 32767],
  5123: [2, (view, at) => view.getUint16(at, true), 65535],
  5125: [4, (view, at) => view.getUint32(at, true), 4294967295],
  5126: [4, (view, at) => view.getFloat32(at, true), 1],
};
const WIDTHS: Record<string, number> = { SCALAR: 1, VEC2: 2, VEC3: 3, VEC4: 4 };

/** The numbers of a glTF file, with views under EXT_meshopt_compression unpacked. */
export class Accessors {
  private constructor(
    private readonly gltf: Gltf,
    private readonly views: Uint8Array<ArrayBuffer>[],
  ) {}

  static async open(gltf: Gltf, binary: Uint8Array): Promise<Accessors> {
    const views = gltf.bufferViews ?? [];
    const packed = views.some((view) => view.extensions?.EXT_meshopt_compression);
    const decoder = packed ? await loadDecoder() : null;
    const slice = ({ byteOffset = 0, byteLength }: Slice) => {
      if (byteOffset + byteLength > binary.byteLength) throw unreadable("The file is cut short.");
      return binary.slice(byteOffset, byteOffset + byteLength);
    };
    return new Accessors(
      gltf,
      views.map((view) => {
        const compressed = view.extensions?.EXT_meshopt_compression;
        if (!compressed || !decoder) return slice(view);
        const { count, byteStride, mode, filter } = compressed;
        const unpacked = new Uint8Array(count * byteStride);
        try {
          decoder.decodeGltfBuffer(unpacked, count, byteStride, slice(compressed), mode, filter);
        } catch {
          throw unreadable("The compressed part of the file is broken.");
        }
        return unpacked;
      }),
    );
  }

  view(index: number): Uint8Array<ArrayBuffer> {
    const view = this.views[index];
    if (!view) throw unreadable("The file refers to data that it does not have.");
    return view;
  }

  /** Components of one element. */
  width(accessor: number): number {
    return WIDTHS[this.gltf.accessors?.[accessor]?.type ?? ""] ?? 0;
  }

  /** [count * width]; integers that are marked as normalised come as 0..1 or -1..1. */
  numbers(accessor: number, width: number): Float64Array {
    const found = this.gltf.accessors?.[accessor];
    const component = COMPONENTS[found?.componentType ?? 0];
    if (!found || !component || this.width(accessor) !== width) {
      throw unreadable("The file has data of an unexpected type.");
    }
    if (found.sparse) throw unreadable("The file has sparse data, which is not read.");
    const [size, read, most] = component;
    const numbers = new Float64Array(found.count * width);
    if (found.bufferView === undefined) return numbers;
    const bytes = this.view(found.bufferView);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const stride = this.gltf.bufferViews?.[found.bufferView]?.byteStride ?? size * width;
    const start = found.byteOffset ?? 0;
    if (start + stride * (found.count - 1) + size * width > bytes.byteLength) {
      throw unreadable("The file is cut short.");
    }
    for (let row = 0, to = 0; row < found.count; row++) {
      for (let column = 0; column < width; column++) {
        const value = read(view, start + row * stride + column * size);
        numbers[to++] = found.normalized ? Math.max(value / most, -1) : value;
      }
    }
    return numbers;
  }
}

async function loadDecoder() {
  const { MeshoptDecoder } = await import("meshoptimizer/decoder");
  await MeshoptDecoder.ready;
  return MeshoptDecoder;
}
