import { describe, expect, it } from "vitest";
import { paramsBeside } from "./comparison";
import { makeJob, makeModel } from "./testing";

describe("paramsBeside", () => {
  it("asks the second model for the same size and files, and nothing of the first one's own", () => {
    const job = makeJob({
      params: {
        num_points: 2048,
        steps: 8,
        seed: 7,
        sampler: "heun",
        target_faces: null,
        remove_background: "never",
        outputs: ["points.ply", "mesh.glb", "mesh.usdz"],
      },
    });
    const model = makeModel({ id: "draft", outputs: ["points.ply", "mesh.glb"] });
    expect(paramsBeside(job, model)).toEqual({
      model: "draft",
      num_points: 2048,
      remove_background: "never",
      outputs: ["points.ply", "mesh.glb"],
    });
  });
});
