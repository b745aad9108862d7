import { describe, expect, it } from "vitest";
import { readPly } from "./ply";

const bytes = (text: string, ...more: number[]): ArrayBuffer => {
  const head = new TextEncoder().encode(text);
  const all = new Uint8Array(head.length + more.length);
  all.set(head);
  all.set(more, head.length);
  return all.buffer;
};
const floats = (...values: number[]) => [...new Uint8Array(Float32Array.from(values).buffer)];
const head = (format: string, count: number, ...properties: string[]) =>
  ["ply", `format ${format} 1.0`, "comment made by hand", `element vertex ${count}`]
    .concat(
      properties.map((property) => `property ${property}`),
      "end_header\n",
    )
    .join("\n");
const XYZ = ["float x", "float y", "float z"];

describe("readPly", () => {
  it("reads positions, normals and colours of a binary file", () => {
    const properties = [
      ...XYZ,
      "float nx",
      "float ny",
      "float nz",
      "uchar red",
      "uchar green",
      "uchar blue",
    ];
    const first = [...floats(1, 2, 3, 0, 1, 0), 255, 128, 0];
    const second = [...floats(-1, -2, -3, 0, 0, 1), 1, 2, 3];
    const cloud = readPly(
      bytes(head("binary_little_endian", 2, ...properties), ...first, ...second),
    );
    expect([...cloud.positions]).toEqual([1, 2, 3, -1, -2, -3]);
    expect([...cloud.normals!]).toEqual([0, 1, 0, 0, 0, 1]);
    expect([...cloud.colors!]).toEqual([255, 128, 0, 1, 2, 3]);
  });

  it("finds columns by name, whatever stands between them", () => {
    const row = [7, ...floats(3, 2, 1)];
    const file = head(
      "binary_little_endian",
      1,
      "uint8 quality",
      "float32 z",
      "float32 y",
      "float32 x",
    );
    const cloud = readPly(bytes(file, ...row));
    expect([...cloud.positions]).toEqual([1, 2, 3]);
    expect(cloud.normals).toBeNull();
    expect(cloud.colors).toBeNull();
  });

  it("reads ascii, with Windows' line ends and faces behind", () => {
    const text = head("ascii", 2, ...XYZ, "uchar red", "uchar green", "uchar blue").replaceAll(
      "\n",
      "\r\n",
    );
    const cloud = readPly(bytes(`${text}0 0.5 -1e-1 10 20 30\r\n1 1 1 40 50 60\r\n3 0 1 1\r\n`));
    expect([...cloud.positions]).toEqual([0, 0.5, Math.fround(-0.1), 1, 1, 1]);
    expect([...cloud.colors!]).toEqual([10, 20, 30, 40, 50, 60]);
  });

  it.each([
    ["something else", bytes("GIF89a"), "no PLY"],
    ["no points", bytes(head("ascii", 0, ...XYZ)), "no points"],
    ["a cut file", bytes(head("binary_little_endian", 2, ...XYZ), ...floats(1, 2, 3)), "cut short"],
    ["a cut ascii file", bytes(`${head("ascii", 2, ...XYZ)}1 2 3`), "cut short"],
    ["big endian", bytes(head("binary_big_endian", 1, ...XYZ)), "Big-endian"],
    ["no z", bytes(`${head("ascii", 1, "float x", "float y")}1 2`), "x, y and z"],
    ["lists in vertices", bytes(head("ascii", 1, ...XYZ, "list uchar int n")), "type list"],
    ["NaN", bytes(head("binary_little_endian", 1, ...XYZ), ...floats(1, NaN, 3)), "not numbers"],
  ])("refuses %s", (_, file, detail) => {
    expect(() => readPly(file)).toThrow(detail);
  });
});
