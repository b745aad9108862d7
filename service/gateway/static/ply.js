// Binary little-endian PLY, the vertex element only.

const READERS = {
  char: ["getInt8", 1], uchar: ["getUint8", 1], short: ["getInt16", 2], ushort: ["getUint16", 2],
  int: ["getInt32", 4], uint: ["getUint32", 4], float: ["getFloat32", 4], double: ["getFloat64", 8],
  int8: ["getInt8", 1], uint8: ["getUint8", 1], int16: ["getInt16", 2], uint16: ["getUint16", 2],
  int32: ["getInt32", 4], uint32: ["getUint32", 4], float32: ["getFloat32", 4], float64: ["getFloat64", 8],
};

/** ArrayBuffer to {count, positions, normals, colors}: 3 numbers per point, colours 0 to 255. */
export function parsePly(buffer) {
  const head = new TextDecoder("ascii").decode(buffer.slice(0, 16384));
  const mark = /end_header\r?\n/.exec(head);
  if (!head.startsWith("ply") || !mark) throw new Error("not a PLY file");
  const { count, fields, stride } = readHeader(head.slice(0, mark.index));
  const view = new DataView(buffer, mark.index + mark[0].length);
  if (view.byteLength < count * stride) throw new Error("the PLY file is too short");

  const column = (names, fallback, Type) => {
    const values = new Type(count * 3).fill(fallback);
    names.forEach((name, axis) => {
      const field = fields.get(name);
      if (!field) return;
      const [reader, offset] = field;
      for (let i = 0; i < count; i++) values[i * 3 + axis] = view[reader](i * stride + offset, true);
    });
    return values;
  };
  return {
    count,
    positions: column(["x", "y", "z"], 0, Float32Array),
    normals: column(["nx", "ny", "nz"], 0, Float32Array),
    colors: column(["red", "green", "blue"], 180, Uint8Array),
  };
}

function readHeader(text) {
  const fields = new Map();
  let count = 0, stride = 0, element = "", before = true;
  for (const line of text.split(/\r?\n/)) {
    const words = line.trim().split(/\s+/);
    if (words[0] === "format" && words[1] !== "binary_little_endian") {
      throw new Error(`PLY format ${words[1]} is not read here`);
    }
    if (words[0] === "element") {
      element = words[1];
      if (element === "vertex") { count = Number(words[2]); before = false; }
      else if (before) throw new Error("PLY files with other elements first are not read here");
    }
    if (words[0] === "property" && element === "vertex") {
      const known = READERS[words[1]];
      if (!known) throw new Error(`PLY type ${words[1]} is not read here`);
      fields.set(words[2], [known[0], stride]);
      stride += known[1];
    }
  }
  return { count, fields, stride };
}
