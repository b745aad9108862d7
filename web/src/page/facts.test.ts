import { describe, expect, it } from "vitest";
import { caption, comparison, facts, measure, moment, seconds } from "./facts";
import { makeArtifact, makeJob, makeModel } from "./testing";

const card = makeModel();
const artifacts = [
  makeArtifact("points.ply", { points: 4096, bytes: 110_824 }),
  makeArtifact("mesh.glb", {
    faces: 46_180,
    bytes: 1_017_420,
    quality: { watertight: true, components: 1, mean_distance: 0.00412 },
  }),
];
const job = makeJob({ artifacts });
const values = (rows: { label: string; value: string }[]) =>
  Object.fromEntries(rows.map(({ label, value }) => [label, value]));

describe("facts", () => {
  it("names model, time, parameters, size and quality", () => {
    expect(values(facts(job, card))).toEqual({
      Model: "Bozzetto XS",
      Time: "2.5 s",
      Steps: "16",
      Seed: "7",
      Points: "4,096",
      Faces: "46,180",
      Surface: "closed",
      Parts: "1",
      Distance: "0.41 %",
    });
  });

  it("leaves out what a job has not", () => {
    const bare = makeJob({ params: { seed: 0 }, finished_at: null });
    expect(values(facts(bare, undefined))).toEqual({ Model: "bozzetto-xs", Seed: "0" });
  });

  it("goes into one line", () => {
    expect(caption(job, card)).toBe("Bozzetto XS · 2.5 s · 4,096 points · 46,180 faces");
  });
});

describe("comparison", () => {
  it("sets the same labels side by side and keeps what only one has", () => {
    const draft = makeJob({ model: "draft", params: { seed: 3 }, artifacts });
    const rows = comparison(facts(job, card), facts(draft, undefined));
    const steps = rows.find(([row]) => row.label === "Steps");
    expect(steps?.slice(1)).toEqual(["16", ""]);
    expect(rows.find(([row]) => row.label === "Model")?.slice(1)).toEqual(["Bozzetto XS", "draft"]);
    const labels = (pairs: typeof rows) => pairs.map(([row]) => row.label);
    expect(labels(comparison(facts(draft, undefined), facts(job, card)))).toEqual(labels(rows));
    expect(new Set(rows.map(([row]) => row.label)).size).toBe(rows.length);
  });
});

describe("figures", () => {
  it("tells a file's size", () => {
    expect(measure(artifacts[0]!)).toBe("4,096 points, 111 kB");
    expect(measure(makeArtifact("mask.png", { bytes: 4_287 }))).toBe("4.3 kB");
  });

  it("rounds long times", () => {
    expect(seconds(makeJob({ finished_at: "2026-01-01T00:01:15.400Z" }))).toBe("75 s");
  });

  it.each([
    ["2026-03-03T09:05", "today at 09:05"],
    ["2026-03-04T00:00", "tomorrow at 00:00"],
    ["2026-03-02T23:59", "yesterday at 23:59"],
    ["2026-03-12T10:30", "12 March at 10:30"],
  ])("%s is %s", (time, words) => {
    const now = new Date("2026-03-03T23:30").getTime();
    expect(moment(new Date(time).getTime(), now)).toBe(words);
  });
});
