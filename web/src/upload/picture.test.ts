import { describe, expect, test } from "vitest";

import { readExamples } from "./examples";
import { fitWithin, sniffType } from "./picture";

const bytes = (latin1: string) => Uint8Array.from(latin1, (letter) => letter.charCodeAt(0));

test.each([
  ["\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png"],
  ["\xff\xd8\xff\xe0\0\x10JFIF", "image/jpeg"],
  ["RIFF\x42\x39\0\0WEBPVP8 ", "image/webp"],
  ["RIFF\x42\x39\0\0WAVEfmt ", null],
  ["GIF89a", null],
  ["<svg xmlns=", null],
  ["\x89PNG", null],
  ["", null],
])("%j is %s", (head, type) => {
  expect(sniffType(bytes(head))).toBe(type);
});

test.each([
  [3000, 1500, 1536, [1536, 768]],
  [1500, 3000, 1536, [768, 1536]],
  [800, 600, 1536, [800, 600]],
  [1536, 1536, 1536, [1536, 1536]],
  [100_000, 1, 1536, [1536, 1]],
])("%i x %i within %i", (width, height, longest, expected) => {
  expect(fitWithin(width, height, longest)).toEqual(expected);
});

describe("readExamples", () => {
  const base = "https://host/static/examples.json";

  test("addresses are relative to the list", () => {
    const list = [
      { name: "a", url: "examples/a.png" },
      { name: "b", url: "/b.png" },
    ];
    expect(readExamples(list, base).map(({ url }) => url)).toEqual([
      "https://host/static/examples/a.png",
      "https://host/b.png",
    ]);
  });

  test.each([
    [{ name: "a", url: "javascript:alert(1)" }],
    [{ name: "a", url: "data:image/png;base64,AA" }],
    [{ name: "a", url: "https://" }],
    [{ name: 1, url: "/a.png" }],
    [{ url: "/a.png" }],
    [null],
  ])("leaves out %j", (item) => {
    expect(readExamples([item], base)).toEqual([]);
  });

  test("takes no list for an empty one", () => {
    expect(readExamples({ error: "no" }, base)).toEqual([]);
  });
});
