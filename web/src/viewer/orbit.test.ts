import { expect, it } from "vitest";
import { Orbit } from "./orbit";
import { START } from "./pose";
import { FULL, Pace } from "./pace";
import { describe as words } from "./describe";

const rest = (orbit: Orbit) => {
  for (let frame = 0; frame < 300 && orbit.moving; frame++) orbit.tick(1 / 60);
};

it("comes to rest where it was sent", () => {
  const orbit = new Orbit();
  orbit.turn(1, 0.2);
  orbit.tick(1 / 60);
  expect(orbit.now.turn).toBeGreaterThan(START.turn);
  expect(orbit.now.turn).toBeLessThan(START.turn + 1);
  rest(orbit);
  expect(orbit.moving).toBe(false);
  expect(orbit.now.turn).toBeCloseTo(START.turn + 1);
});

it("goes back the short way after many turns", () => {
  const orbit = new Orbit();
  orbit.place({ ...START, turn: START.turn + 20 * Math.PI + 0.3 });
  orbit.reset();
  expect(Math.abs(orbit.now.turn - START.turn)).toBeLessThan(0.31);
  rest(orbit);
  expect(orbit.now).toEqual(START);
});

it("turns by itself, but not in a hand nor for who wants less motion", () => {
  const orbit = new Orbit();
  orbit.turntable = true;
  orbit.tick(1);
  const turned = orbit.now.turn;
  expect(turned).toBeGreaterThan(START.turn);
  orbit.held = true;
  orbit.tick(1);
  expect(orbit.now.turn).toBe(turned);
  [orbit.held, orbit.still] = [false, true];
  orbit.tick(1);
  expect(orbit.now.turn).toBe(turned);
  expect(orbit.moving).toBe(false);
});

it("moves at once for who wants less motion", () => {
  const orbit = new Orbit();
  orbit.still = true;
  orbit.zoom(2);
  expect(orbit.now.zoom).toBe(2);
  orbit.flick(9, 9);
  expect(orbit.now.turn).toBe(START.turn);
});

it("draws less while frames are slow, and tries more in the next movement", () => {
  const pace = new Pace();
  const move = () => {
    for (let frame = 0; frame < 30; frame++) pace.took(0.01 + 0.08 * pace.detail.scale ** 2);
    return pace.detail.scale;
  };
  pace.took(0.2);
  expect(pace.detail).toBe(FULL);
  expect(move()).toBe(0.5);
  pace.begin();
  expect(pace.detail.scale).toBe(0.75);
  expect(move()).toBe(0.5);
});

it.each([
  [0, 0, "Mesh with 1 triangle, seen from the front."],
  [-0.8, 0.2, "Mesh with 1 triangle, seen from the front left."],
  [Math.PI * 3, 0.6, "Mesh with 1 triangle, seen from the back, from above."],
  [1.6, -0.5, "Mesh with 1 triangle, seen from the right, from below."],
  [0.1, 1.5, "Mesh with 1 triangle, seen from the top."],
])("says what is seen at turn %d, tilt %d", (turn, tilt, expected) => {
  expect(words("mesh", 1, { ...START, turn, tilt })).toBe(expected);
});
