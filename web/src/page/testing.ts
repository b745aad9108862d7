// Jobs and cards as the API gives them, for the tests of this folder.

import type { Artifact, Job, Model } from "bozzetto-client";

export function makeJob(changes: Partial<Job> = {}): Job {
  const id = changes.id ?? "0".repeat(31) + "1";
  return {
    id,
    object: "job",
    status: "succeeded",
    model: "bozzetto-xs",
    input: { sha256: "ab".repeat(32), width: 512, height: 512 },
    params: { num_points: 4096, steps: 16, seed: 7, outputs: ["points.ply", "mesh.glb"] },
    progress: { percent: 100, stage: "done", step: 0, steps: 0, preview: null },
    queue: null,
    attempt: 1,
    created_at: "2026-01-01T00:00:00.000Z",
    started_at: "2026-01-01T00:00:00.100Z",
    finished_at: "2026-01-01T00:00:02.500Z",
    expires_at: "2099-01-01T00:00:00.000Z",
    artifacts: [],
    error: null,
    metrics: { run_seconds: 2.4 },
    links: { self: `/jobs/${id}`, cancel: `/jobs/${id}/cancel`, events: `/jobs/${id}/events` },
    ...changes,
  };
}

export function makeArtifact(name: string, changes: Partial<Artifact> = {}): Artifact {
  return {
    name,
    format: "model/gltf-binary",
    url: `/jobs/1/artifacts/${name}`,
    bytes: 12_345,
    sha256: "cd".repeat(32),
    points: null,
    vertices: null,
    faces: null,
    quality: null,
    ...changes,
  };
}

export function makeModel(changes: Partial<Model> = {}): Model {
  return {
    id: "bozzetto-xs",
    object: "model",
    family: "point_diffusion",
    task: "image-to-points",
    title: "Bozzetto XS",
    description: "",
    licence: { code: "Apache-2.0", weights: "CC-BY-4.0", outputs: "unrestricted", accept: null },
    parameters: [
      parameter("num_points", 4096),
      parameter("steps", 16),
      parameter("sampler", "dpmpp_2m"),
      parameter("seed", -1),
    ],
    points: 4096,
    resampled: false,
    steps: 16,
    max_images: 1,
    image_size: 96,
    memory_bytes: 1,
    measured_seconds: {},
    outputs: ["points.ply", "mesh.glb"],
    default_outputs: ["points.ply", "mesh.glb"],
    weights: [],
    sources: [],
    default: true,
    ready: true,
    reason: null,
    ...changes,
  };
}

function parameter(name: string, value: number | string): Model["parameters"][number] {
  const kind = typeof value === "string" ? "string" : "integer";
  return { name, kind, default: value, minimum: null, maximum: null, choices: [], description: "" };
}
