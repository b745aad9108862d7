// Against a running server: BOZZETTO_TEST_SERVER is its address, as `bozzetto serve` prints it.

import { openAsBlob } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

import { Bozzetto, BozzettoError, type Cloud, type JobState, type Progress } from "../src/index.js";

const server = process.env.BOZZETTO_TEST_SERVER;
const apiKey = process.env.BOZZETTO_TEST_API_KEY;
const duck = () =>
  openAsBlob(fileURLToPath(new URL("../../../examples/duck.png", import.meta.url)), {
    type: "image/png",
  });

describe.skipIf(!server)("a running server", { timeout: 120_000 }, () => {
  const client = new Bozzetto({ server: server ?? "", ...(apiKey && { apiKey }) });

  test("lists its models, one of them the default", async () => {
    const models = await client.models();
    expect(models.filter((model) => model.default)).toHaveLength(1);
  });

  test("makes an object, tells how it goes, and hands its files over", async () => {
    const states: JobState[] = [];
    const steps: Progress[] = [];
    const clouds: Cloud[] = [];
    const job = await client.reconstruct(
      await duck(),
      { steps: 8, num_points: 2048, outputs: ["points.ply"], seed: 3 },
      {
        onState: (state) => states.push(state),
        onProgress: (progress) => steps.push(progress),
        onCloud: (cloud) => clouds.push(cloud),
      },
    );
    expect([job.status, job.params.seed]).toEqual(["succeeded", 3]);
    expect(states).toContain("running");
    expect(steps.at(-1)!.percent).toBeGreaterThan(50);
    for (const cloud of clouds) {
      expect(cloud.positions).toHaveLength(3 * cloud.points);
      expect(Math.max(...cloud.positions.map(Math.abs))).toBeLessThan(2);
    }
    const file = await client.download(job, "points.ply");
    expect(await file.slice(0, 4).text()).toBe("ply\n");
    expect(file.size).toBe(job.artifacts.find((artifact) => artifact.name === "points.ply")!.bytes);
    await client.delete(job.id);
    await expect(client.job(job.id)).rejects.toMatchObject({ status: 404 });
  });

  test("a canceled job ends as canceled", async () => {
    const job = await client.submit(await duck(), {
      steps: 64,
      candidates: 8,
      outputs: "points.ply",
    });
    await client.cancel(job.id);
    expect((await client.wait(job)).status).toBe("canceled");
    await expect(client.cancel(job.id)).rejects.toMatchObject({ code: "already_final" });
  });

  test("a refused field is named", async () => {
    const refused = client.submit(await duck(), { steps: 1000 });
    await expect(refused).rejects.toBeInstanceOf(BozzettoError);
    await expect(refused).rejects.toMatchObject({ field: "steps", status: 422 });
  });
});
