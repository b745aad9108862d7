import { describe, expect, it } from "vitest";
import { readAddress, writeAddress } from "./address";

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

  it.each(["#job=", "#job=../models", `#job=${A}0`, "#about", `#with=${B}`])(
    "takes no job from %s",
    (hash) => {
      expect(readAddress(hash)).toEqual({ job: null, beside: null });
    },
  );
});
