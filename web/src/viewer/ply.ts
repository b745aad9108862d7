import { unreadable } from "./errors";
import type { CloudShape } from "./shapes";

type Reader = (view: DataView, offset: number) => number;

const READERS: Record<string, [bytes: number, read: Reader]> = {
  char: [1, (view, at) => view.getInt8(at)],
  uchar: [1, (view, at) => view.getUint8(at)],
  short: [2, (view, at) => view.getInt16(at, true)],
  ushort: [2, (view, at) => view.getUint16(at, true)],
  int: [4, (view, at) => view.getInt32(at, true)],
  uint: [4, (view, at) => view.getUint32(at, true)],
  float: [4, (view, at) => view.getFloat32(at, true)],
  double: [8, (view, at) => view.getFloat64(at, true)],
};
const ALIASES: Record<string, string> = {
  int8: "char",
  uint8: "uchar",
  int16: "short",
  uint16: "ushort",
  int32: "int",
  uint32: "uint",
  float32: "float",
  float64: "double",
};
const MAX_HEADER = 64 * 1024;

interface Header {
  ascii: boolean;
  count: number;
  properties: { name: string; type: string }[];
  /** Where the vertices begin, in bytes. */
  start: number;
}

/**
 * Reads the vertices of an ascii or little-endian PLY file; faces are not looked at.
 *
 * Colours are `red green blue` as bytes, else left out. Throws `unreadable_file`.
 */
export function readPly(bytes: ArrayBuffer): CloudShape {
  const header = readHeader(bytes);
  const names = header.properties.map((property) => property.name);
  const columns = (wanted: string[]) => {
    const found = wanted.map((name) => names.indexOf(name));
    return found.includes(-1) ? null : found;
  };
  const position = columns(["x", "y", "z"]);
  if (!position) throw unreadable("The PLY file has no x, y and z.");
  const normal = columns(["nx", "ny", "nz"]);
  let color = columns(["red", "green", "blue"]);
  if (color?.some((column) => header.properties[column]?.type !== "uchar")) color = null;

  const { count } = header;
  const cell = header.ascii ? asciiCells(bytes, header) : binaryCells(bytes, header);
  const gather = <T extends Float32Array | Uint8Array>(from: number[], to: T): T => {
    for (let row = 0; row < count; row++) {
      for (let axis = 0; axis < 3; axis++) to[3 * row + axis] = cell(row, from[axis]!);
    }
    return to;
  };
  const positions = gather(position, new Float32Array(3 * count));
  if (!positions.every(Number.isFinite)) {
    throw unreadable("The PLY file has positions that are not numbers.");
  }
  return {
    positions,
    normals: normal && gather(normal, new Float32Array(3 * count)),
    colors: color && gather(color, new Uint8Array(3 * count)),
  };
}

function readHeader(bytes: ArrayBuffer): Header {
  const head = new TextDecoder("latin1").decode(bytes.slice(0, MAX_HEADER));
  const end = /\bend_header[ \t]*\r?\n/.exec(head);
  if (!/^ply\s/.test(head) || !end) throw unreadable("This is no PLY file.");
  const lines = head.slice(0, end.index).split(/\r?\n/);
  const header: Header = {
    ascii: false,
    count: -1,
    properties: [],
    start: end.index + end[0].length,
  };
  let element = "";
  for (const line of lines) {
    const [word, first = "", second = ""] = line.trim().split(/\s+/);
    if (word === "format") {
      if (first === "binary_big_endian") throw unreadable("Big-endian PLY files are not read.");
      header.ascii = first === "ascii";
    } else if (word === "element") {
      if (header.count < 0 && first !== "vertex") {
        throw unreadable(`The PLY file begins with ${first}, not with vertices.`);
      }
      element = first;
      if (element === "vertex") header.count = Number(second);
    } else if (word === "property" && element === "vertex") {
      const type = ALIASES[first] ?? first;
      if (!READERS[type]) throw unreadable(`A vertex of the PLY file has the type ${first}.`);
      header.properties.push({ name: second, type });
    }
  }
  if (!Number.isInteger(header.count) || header.count < 1)
    throw unreadable("The PLY file has no points.");
  return header;
}

function binaryCells(bytes: ArrayBuffer, header: Header): (row: number, column: number) => number {
  const view = new DataView(bytes, header.start);
  let stride = 0;
  const fields = header.properties.map(({ type }) => {
    const [size, read] = READERS[type] ?? [0, () => 0];
    const offset = stride;
    stride += size;
    return { offset, read };
  });
  if (view.byteLength < header.count * stride) throw unreadable("The PLY file is cut short.");
  return (row, column) => {
    const field = fields[column];
    return field ? field.read(view, row * stride + field.offset) : 0;
  };
}

function asciiCells(bytes: ArrayBuffer, header: Header): (row: number, column: number) => number {
  const width = header.properties.length;
  const text = new TextDecoder("latin1").decode(new Uint8Array(bytes, header.start));
  const words = text.trim().split(/\s+/, header.count * width);
  if (words.length < header.count * width) throw unreadable("The PLY file is cut short.");
  return (row, column) => Number(words[row * width + column]);
}
