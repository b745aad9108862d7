import type { Model, Parameter } from "bozzetto-client";
import { describe, expect, test } from "vitest";

import { fieldOf, fileGroups, firstModel, modelFields, usualOutputs } from "./fields";

const parameter = (given: Partial<Parameter>): Parameter => ({
  name: "steps",
  kind: "integer",
  default: 16,
  minimum: 1,
  maximum: 64,
  choices: [],
  description: "",
  ...given,
});

const model = (given: Partial<Model>): Model =>
  ({ id: "a", ready: true, default: false, parameters: [], ...given }) as Model;

describe("fieldOf", () => {
  test.each([
    ["a small range is a slider", {}, { control: "slider", initial: "16", step: 1 }],
    [
      "of parts, too",
      { kind: "number", minimum: 0, maximum: 10, default: 1.5 },
      { control: "slider", initial: "1.5", step: 0.1 },
    ],
    [
      "a wide one a number, empty for the default",
      { name: "num_points", minimum: 256, maximum: 16384, default: 4096 },
      { control: "number", initial: "", placeholder: "4096", min: 256, max: 16384 },
    ],
    [
      "so is one without bounds",
      { kind: "number", maximum: null },
      { control: "number", initial: "", step: "any", max: undefined },
    ],
    [
      "a seed is drawn",
      { name: "seed", default: -1, minimum: -1, maximum: 2 ** 31 },
      { control: "number", initial: "", placeholder: "drawn" },
    ],
    [
      "a camera is a text, empty for the default",
      { name: "camera", kind: "camera", default: "auto" },
      {
        control: "text",
        initial: "",
        placeholder: "auto",
        numeric: false,
        hint: expect.stringContaining('{"elevation": 20, "distance": 2.5}'),
      },
    ],
    [
      "choices are a list",
      { name: "sampler", kind: "string", default: "heun", choices: ["heun", "later"] },
      {
        control: "select",
        initial: "heun",
        numeric: false,
        choices: [
          ["heun", "Heun"],
          ["later", "later"],
        ],
      },
    ],
  ] as const)("%s", (_, given, expected) => {
    expect(fieldOf(parameter(given as Partial<Parameter>))).toMatchObject(expected);
  });

  test("a parameter of a later server is shown by its own name", () => {
    expect(fieldOf(parameter({ name: "roof_angle" })).label).toBe("roof angle");
  });
});

test("the well-known parameters come first", () => {
  const names = ["seed", "roof_angle", "steps"];
  const parameters = names.map((name) => parameter({ name }));
  const drawn = modelFields(model({ parameters })).map(({ name }) => name);
  expect(drawn).toEqual(["steps", "seed", "roof_angle"]);
});

test("a parameter of a single value is not asked for", () => {
  const parameters = [parameter({ name: "label", minimum: 0, maximum: 0 }), parameter({})];
  expect(modelFields(model({ parameters })).map(({ name }) => name)).toEqual(["steps"]);
});

describe("firstModel", () => {
  const busy = model({ id: "busy", ready: false, default: true });
  const ready = model({ id: "ready" });
  const usual = model({ id: "usual", default: true });

  test.each([
    ["the one asked for, ready or not", [ready, busy], "busy", "busy"],
    ["the default, if it is ready", [ready, usual], null, "usual"],
    ["else one that is", [busy, ready], null, "ready"],
    ["else the default", [model({ id: "x", ready: false }), busy], null, "busy"],
    ["the default instead of one that is unknown", [ready, usual], "gone", "usual"],
    ["none of none", [], null, undefined],
  ])("%s", (_, models, asked, expected) => {
    expect(firstModel(models, asked)?.id).toBe(expected);
  });
});

describe("outputs", () => {
  test.each([
    [model({ default_outputs: ["mesh.glb"] }), null, ["points.ply", "mesh.glb"]],
    [model({ default_outputs: ["points.ply", "mesh.glb"] }), null, ["points.ply", "mesh.glb"]],
    [
      model({ default_outputs: ["mesh.glb"] }),
      " mesh.stl, preview.png,",
      ["mesh.stl", "preview.png"],
    ],
    [undefined, null, ["points.ply", "mesh.glb"]],
  ])("usual ones, %#", (card, asked, expected) => {
    expect(usualOutputs(card, asked)).toEqual(expected);
  });

  test("stand together by what they show", () => {
    const names = ["points.ply", "mesh.glb", "points.glb", "preview.png", "turntable.webp"];
    expect(fileGroups(names)).toEqual([
      {
        title: "Points",
        files: [
          ["points.ply", "PLY"],
          ["points.glb", "GLB"],
        ],
      },
      { title: "Mesh", files: [["mesh.glb", "GLB"]] },
      {
        title: "Pictures",
        files: [
          ["preview.png", "PNG"],
          ["turntable.webp", "WebP"],
        ],
      },
    ]);
  });
});
