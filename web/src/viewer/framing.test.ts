import { expect, it } from "vitest";
import { FIELD, fitDistance, measureFrame, UNIT_FRAME } from "./framing";

/** Corners of a box about `center`, and points on its edges. */
function box(size: number[], center = [0, 0, 0]): Float32Array {
  const points: number[] = [];
  for (const x of [-0.5, 0.5]) {
    for (const y of [-0.5, 0.5]) {
      for (const z of [-0.5, 0.5]) {
        points.push(...[x, y, z].map((share, axis) => center[axis]! + share * size[axis]!));
      }
    }
  }
  return Float32Array.from(points);
}

it("measures the box, the sphere and the ground", () => {
  const frame = measureFrame(box([2, 4, 4], [10, 20, 30]));
  expect(frame.center).toEqual([10, 20, 30]);
  expect(frame.radius).toBeCloseTo(3);
  expect(frame.ground).toBeCloseTo(18);
});

it("takes a single point for something that can be looked at", () => {
  const frame = measureFrame(Float32Array.of(1, 2, 3));
  expect(frame.radius).toBeGreaterThan(0);
  expect(fitDistance(frame, 0.2, 1)).toBeGreaterThan(0);
});

const SHAPES = {
  tall: [0.2, 1, 0.2],
  flat: [1, 0.05, 1],
  long: [0.1, 0.1, 1],
  cube: [0.5, 0.5, 0.5],
};

it.each(
  Object.entries(SHAPES).flatMap(([name, size]) =>
    [0.46, 1, 1.9].map((aspect) => [name, aspect, size] as const),
  ),
)("holds a %s object in a window of aspect %d, whichever way it turns", (_, aspect, size) => {
  const points = box(size);
  const tilt = 0.2;
  const distance = fitDistance(measureFrame(points), tilt, aspect);
  let fullest = 0;
  for (let turn = 0; turn < 6.28; turn += 0.1) {
    for (let at = 0; at < points.length; at += 3) {
      const [x, y, z] = [points[at]!, points[at + 1]!, points[at + 2]!];
      const right = x * Math.cos(turn) - z * Math.sin(turn);
      const front = x * Math.sin(turn) + z * Math.cos(turn);
      const depth = distance - front * Math.cos(tilt) - y * Math.sin(tilt);
      const up = y * Math.cos(tilt) - front * Math.sin(tilt);
      const half = Math.tan(FIELD / 2) * depth;
      fullest = Math.max(fullest, Math.abs(up) / half, Math.abs(right) / half / aspect);
    }
  }
  expect(fullest).toBeLessThan(1);
  expect(fullest).toBeGreaterThan(0.7);
});

it.each([0.46, 1, 1.9])("has room for a forming object of any shape, at aspect %d", (aspect) => {
  const room = fitDistance(UNIT_FRAME, 0.2, aspect);
  for (let height = -0.5; height <= 0.5; height += 0.05) {
    const ring = [Math.sqrt(Math.max(0.25 - height * height, 0)), height] as const;
    const needed = fitDistance({ ...UNIT_FRAME, radius: 0, rings: [ring] }, 0.2, aspect);
    expect(needed / room).toBeLessThan(1.05);
  }
});
