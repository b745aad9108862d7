import { describe, expect, test } from "vitest";

import { durationWords, errorWords, queueWords, roughWords, sizeWords, stageWords } from "./words";

test.each([
  [{ stage: "reconstruct", step: 5, steps: 16 }, "Shaping the points, step 5 of 16"],
  [{ stage: "reconstruct", step: 1, steps: 1 }, "Shaping the points"],
  [{ stage: "surface", step: 16, steps: 16 }, "Closing the surface"],
  [{ stage: "bake_texture", step: 0, steps: 0 }, "Bake texture"],
])("%j", (progress, words) => expect(stageWords(progress)).toBe(words));

test.each([
  [null, "Waiting for a worker"],
  [{ position: 0, eta_seconds: null }, "Waiting: next in the queue"],
  [{ position: 2, eta_seconds: 41.2 }, "Waiting: 2 ahead of it, about 41 s to go"],
])("%j", (queue, words) => expect(queueWords(queue)).toBe(words));

test.each([
  [0, "0.1 s"],
  [9.94, "9.9 s"],
  [9.96, "10 s"],
  [89, "89 s"],
  [91, "2 min"],
  [5400, "2 h"],
])("%d seconds", (seconds, words) => expect(durationWords(seconds)).toBe(words));

test.each([
  [0, "1 s"],
  [5.4, "5 s"],
  [41.2, "41 s"],
])("about %d seconds", (seconds, words) => expect(roughWords(seconds)).toBe(words));

test.each([
  [12, "0.1 kB"],
  [9_940, "9.9 kB"],
  [123_456, "123 kB"],
  [1_234_567, "1.2 MB"],
])("%d bytes", (bytes, words) => expect(sizeWords(bytes)).toBe(words));

describe("errorWords", () => {
  test("of a code that is not known here are the server's, begun and ended as sentences", () => {
    const error = { code: "later", title: "Later", detail: "steps is 0", hint: null };
    expect(errorWords(error)).toEqual({ title: "Later", detail: "Steps is 0.", hint: null });
  });

  test("speak to people where the server speaks to programmers", () => {
    const error = {
      code: "unauthorized",
      detail: "no api key",
      hint: "Send Authorization: Bearer",
    };
    const { title, hint } = errorWords(error);
    expect(title).toBe("An API key is needed");
    expect(hint).not.toContain("Bearer");
  });

  test("send nobody who fills in a form to the API", () => {
    const error = {
      code: "invalid_field",
      detail: "steps: must be 1 to 1000, got 0",
      hint: "GET /models shows the parameters and their bounds.",
    };
    expect(errorWords(error)).toEqual({
      title: "An option does not fit",
      detail: "Steps: must be 1 to 1000, got 0.",
      hint: null,
    });
  });

  test("say nothing twice", () => {
    const error = {
      code: "not_found",
      detail: "no such job",
      hint: "Check the address and the id.",
    };
    expect(Object.values(errorWords(error)).join(" ")).not.toMatch(
      /no such job.*no such job|address/i,
    );
  });

  test("keep the server's hint where it serves", () => {
    const error = { code: "body_too_large", detail: "20 MB at most", hint: "Send a smaller one." };
    expect(errorWords(error).hint).toBe("Send a smaller one.");
  });
});
