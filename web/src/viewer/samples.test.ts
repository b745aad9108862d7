import { expect, it } from "vitest";
import { openness } from "./occlusion";
import { measureFrame } from "./framing";
import { sampleSurface, spacing } from "./samples";
import { contactShadow, SHADOW_SIZE } from "./shadow";
import type { Surface } from "./shapes";

const surface = (positions: number[], index: number[]): Surface => ({
  positions: Float32Array.from(positions),
  normals: new Float32Array(positions.length),
  colors: null,
  uv: null,
  image: null,
  index: Uint32Array.from(index),
});

it("spreads samples by area, inside the triangles", () => {
  const small = [0, 0, 0, 1, 0, 0, 0, 1, 0];
  const large = [0, 0, 5, 3, 0, 5, 0, 3, 5];
  const samples = sampleSurface(
    { surfaces: [surface([...small, ...large], [0, 1, 2, 3, 4, 5])] },
    1000,
  );
  let onLarge = 0;
  for (let at = 0; at < samples.length; at += 3) {
    const side = samples[at + 2] === 5 ? 3 : 1;
    onLarge += side === 3 ? 1 : 0;
    expect(samples[at]! + samples[at + 1]!).toBeLessThanOrEqual(side + 1e-6);
  }
  expect(samples.length / 3).toBeCloseTo(1000, -1);
  expect(onLarge / (samples.length / 3)).toBeCloseTo(0.9, 1);
});

it.each([
  [1, 0],
  [2, 1],
  [7, 5],
  [101, 3],
])("finds the sixth neighbour among %d points in a row", (count, expected) => {
  const row = Float32Array.from({ length: 3 * count }, (_, at) => (at % 3 === 0 ? at / 3 : 0));
  expect(spacing(row)).toBe(expected);
});

/** A floor, and where asked a wall on it, at z = 0. */
function corner(wall: boolean): Float32Array {
  const points: number[] = [];
  for (let a = -1; a <= 1; a += 0.02) {
    for (let b = 0; b <= 1; b += 0.02) {
      points.push(a, 0, b);
      if (wall) points.push(a, b, 0);
    }
  }
  return Float32Array.from(points);
}

it("sees all of the sky from a plain, less of it at a wall", () => {
  const spot = Float32Array.of(0, 0, 0.06, 0, 0, 0.9);
  const up = Float32Array.of(0, 1, 0, 0, 1, 0);
  const frame = { ...measureFrame(corner(true)), ground: -10 };
  const plain = openness(spot, up, corner(false), frame);
  const walled = openness(spot, up, corner(true), frame);
  expect([...plain]).toEqual([255, 255]);
  expect(walled[0]).toBeLessThan(215);
  expect(walled[1]).toBeGreaterThan(245);
});

it("shades the ground under an object and not at the rim", () => {
  const disc = corner(false).map((value, at) => (at % 3 === 2 ? value - 0.5 : value));
  const frame = measureFrame(disc);
  const shade = contactShadow(disc, frame);
  const middle = (SHADOW_SIZE / 2) * SHADOW_SIZE + SHADOW_SIZE / 2;
  expect(shade[middle]).toBeGreaterThan(150);
  expect(shade[0]).toBe(0);
  expect(Math.max(...shade.slice(0, SHADOW_SIZE))).toBe(0);
});
