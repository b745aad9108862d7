export { Bozzetto } from "./client.js";
export type { CallOptions, FollowOptions, SubmitOptions, WaitOptions } from "./client.js";
export { decodeCloud } from "./cloud.js";
export type { CloudData } from "./cloud.js";
export { BozzettoError, ConnectionError, JobFailedError } from "./errors.js";
export type { ErrorFacts } from "./errors.js";
export type { ClientOptions, Fetch } from "./http.js";
export { FINAL_STATES } from "./types.js";
export type {
  Artifact,
  Cloud,
  Job,
  JobEvent,
  JobList,
  JobQuery,
  JobState,
  Model,
  Parameter,
  ProblemItem,
  Progress,
  SubmitParams,
} from "./types.js";
