import { describe, expect, it } from "vitest";
import { isPlace, readAddress, writeAddress } from "./address";

const A = "a".repeat(32);
const B = "b".repeat(32);

describe("address", () => {
  it.each([
    { job: null, beside: null },
    { job: A, beside: null },
    { job: A, beside: B },
  ])("reads what it writes: %o", (address) => {
    expect(readAddress(writeAddress(address))).toEqual(address);
  });

  it.each([
    ["", false],
    ["#", false],
    ["#make", true],
    ["#job=", false],
    [`#job=${A}`, false],
  ])("tells a place in the page from a job: %s", (hash, place) => {
    expect(isPlace(hash)).toBe(place);
  });

  it.each(["#job=", "#job=../models", `#job=${A}0`, "#about", `#with=${B}`])(
    "takes no job from %s",
    (hash) => {
      expect(readAddress(hash)).toEqual({ job: null, beside: null });
    },
  );
});
