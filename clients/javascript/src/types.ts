// Names for the shapes of the wire. `schema.ts` is generated from docs/openapi.json.

import type { components, paths } from "./schema.js";

type Schemas = components["schemas"];

export type Job = Schemas["JobObject"];
export type JobState = Schemas["JobState"];
export type JobList = Schemas["JobList"];
export type Artifact = Schemas["ArtifactObject"];
export type Progress = Schemas["ProgressObject"];
export type Model = Schemas["ModelObject"];
export type Parameter = Schemas["ParameterObject"];
export type ProblemItem = Schemas["ProblemItem"];

export type JobQuery = NonNullable<paths["/jobs"]["get"]["parameters"]["query"]>;

/** Fields of a submit. Those of a model (`num_points`, `steps`, ...) stand on its card, with bounds. */
export interface SubmitParams {
  model?: string;
  outputs?: string | readonly string[];
  remove_background?: "auto" | "always" | "never";
  target_faces?: number;
  /** Side of the texture of mesh.glb, pixels; without it, colours are per vertex. */
  texture_size?: number;
  compression?: "none" | "quantized" | "meshopt";
  priority?: "low" | "normal" | "high";
  /** Seconds from submit after which the result is of no use. */
  deadline_s?: number;
  metadata?: Record<string, unknown>;
  num_points?: number;
  seed?: number;
  steps?: number;
  sampler?: string;
  guidance_scale?: number;
  candidates?: number;
  /** Class of object, for models that were trained on classes. */
  label?: number;
  /** "auto", or JSON that describes one. */
  camera?: string;
  [parameter: string]: unknown;
}

/** The object as guessed at one step. */
export interface Cloud {
  step: number;
  points: number;
  /** x, y, z of each point, in the frame of the result. */
  positions: Float32Array;
  /** sRGB of each point. */
  colors: Uint8Array | null;
}

export type JobEvent =
  | { kind: "state"; id: string | null; state: JobState }
  | { kind: "progress"; id: string | null; progress: Progress }
  | { kind: "cloud"; id: null; cloud: Cloud }
  | { kind: "done"; id: string | null; state: JobState };

export const FINAL_STATES: ReadonlySet<JobState> = new Set<JobState>([
  "succeeded",
  "failed",
  "canceled",
  "expired",
]);
