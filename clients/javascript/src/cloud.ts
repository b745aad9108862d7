import { BozzettoError } from "./errors.js";
import type { Cloud } from "./types.js";

/** Data of a `cloud` event: little-endian uint16 positions, `position = origin + scale * v / 65535`. */
export interface CloudData {
  step: number;
  points: number;
  origin: [number, number, number];
  scale: number;
  positions: string;
  colors: string | null;
}

const LEVELS = 65535;

/** Throws BozzettoError `bad_cloud` where the bytes do not match the number of points. */
export function decodeCloud(data: CloudData): Cloud {
  const { step, points, origin, scale } = data;
  const packed = decodeBase64(data.positions);
  const colors = data.colors === null ? null : decodeBase64(data.colors);
  if (packed.length !== 6 * points || (colors && colors.length !== 3 * points)) {
    throw badCloud(`A cloud of ${points} points came with ${packed.length} bytes of positions.`);
  }
  const values = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  const positions = new Float32Array(3 * points);
  for (let i = 0; i < positions.length; i++) {
    positions[i] = origin[i % 3]! + (scale * values.getUint16(2 * i, true)) / LEVELS;
  }
  return { step, points, positions, colors };
}

function decodeBase64(encoded: string): Uint8Array {
  let binary: string;
  try {
    binary = atob(encoded);
  } catch (error) {
    throw badCloud("A cloud is not base64.", error);
  }
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

function badCloud(detail: string, cause?: unknown): BozzettoError {
  return new BozzettoError({ code: "bad_cloud", detail }, { cause });
}
