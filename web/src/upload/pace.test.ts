import { expect, test } from "vitest";

import { Pace } from "./pace";

const at = (step: number, steps = 16, stage = "reconstruct") => ({ stage, step, steps });

test("the rest takes as long for each step as those that were seen", () => {
  const pace = new Pace();
  expect(pace.secondsLeft(at(1), 100)).toBeNull();
  expect(pace.secondsLeft(at(2), 100.5)).toBeNull(); // too short a look
  expect(pace.secondsLeft(at(5), 108)).toBe(22);
  expect(pace.secondsLeft(at(16), 130)).toBeNull();
});

test.each([
  ["another worker begins anew", at(0)],
  ["the steps are others", at(6, 32)],
  ["another stage comes", at(0, 0, "surface")],
])("forgets when %s", (_, then) => {
  const pace = new Pace();
  pace.secondsLeft(at(1), 0);
  expect(pace.secondsLeft(at(5), 8)).toBe(22);
  expect(pace.secondsLeft(then, 9)).toBeNull();
});

test("nothing is told of a single step", () => {
  const pace = new Pace();
  expect(pace.secondsLeft(at(0, 1), 0)).toBeNull();
  expect(pace.secondsLeft(at(1, 1), 5)).toBeNull();
});
