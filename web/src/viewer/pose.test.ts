import { expect, it } from "vitest";
import { between, close, limited, MAX_ZOOM, panned, readPose, START, writePose } from "./pose";

it("comes back from its text", () => {
  const pose = { turn: -7.1, tilt: 0.3, zoom: 2.5, pan: [0.1, -0.2, 0.3] } as const;
  expect(close(readPose(writePose(pose))!, pose)).toBe(true);
  expect(writePose(START)).toBe("-25.7831 11.4592 1 0 0 0");
});

it("takes three numbers for a camera that looks at the middle", () => {
  expect(readPose("90 0 1")).toEqual({ turn: Math.PI / 2, tilt: 0, zoom: 1, pan: [0, 0, 0] });
});

it.each(["", "left", "1 2", "1 2 3 4", "1 2 0", "1 2 -3", "1 2 NaN", "1 2 Infinity"])(
  "refuses %j",
  (text) => {
    expect(readPose(text)).toBeNull();
  },
);

it("keeps the camera off the poles and near the object", () => {
  const wild = limited({ turn: 100, tilt: 9, zoom: 1e9, pan: [5, -5, 0] });
  expect(wild.turn).toBe(100);
  expect(wild.tilt).toBeLessThan(Math.PI / 2);
  expect(wild.zoom).toBe(MAX_ZOOM);
  expect(wild.pan).toEqual([1.5, -1.5, 0]);
});

it("zooms by equal factors on the way", () => {
  const far = { ...START, zoom: 0.5 };
  expect(between(far, { ...START, zoom: 2 }, 0.5).zoom).toBeCloseTo(1);
  expect(between(far, START, 1)).toEqual(START);
});

it.each([
  [0, [1, 0, 0]],
  [Math.PI / 2, [0, 0, -1]],
  [Math.PI, [-1, 0, 0]],
])("moves to the right of a camera turned by %d", (turn, expected) => {
  const { pan } = panned({ ...START, turn }, 1, 0);
  expected.forEach((value, axis) => expect(pan[axis]).toBeCloseTo(value));
});
