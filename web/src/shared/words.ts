// What people read of a job: stages, waits, sizes, errors.

import type { Job, Progress } from "bozzetto-client";

const STAGES: Record<string, string> = {
  queued: "Waiting for a worker",
  decode: "Reading the picture",
  foreground: "Finding the object",
  encode: "Looking at it",
  reconstruct: "Shaping the points",
  surface: "Closing the surface",
  texture: "Painting the texture",
  write: "Writing files",
};

export function stageWords({
  stage,
  step,
  steps,
}: Pick<Progress, "stage" | "step" | "steps">): string {
  const words = STAGES[stage] ?? capital(stage.replaceAll("_", " "));
  return steps > 1 && stage === "reconstruct" ? `${words}, step ${step} of ${steps}` : words;
}

export function queueWords(queue: Job["queue"]): string {
  if (!queue) return STAGES.queued!;
  const place = queue.position > 0 ? `${queue.position} ahead of it` : "next in the queue";
  const eta = queue.eta_seconds === null ? "" : `, about ${roughWords(queue.eta_seconds)} to go`;
  return `Waiting: ${place}${eta}`;
}

/** As exact as is of use: "0.8 s", "12 s", "4 min", "2 h". */
export function durationWords(seconds: number): string {
  if (seconds < 9.95) return `${Math.max(seconds, 0.1).toFixed(1)} s`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}

/** Of a guess, which has no tenths of seconds. */
export function roughWords(seconds: number): string {
  return durationWords(Math.max(Math.round(seconds), 1)).replace(".0", "");
}

/** Decimal units, as file managers and the API's documentation use them. */
export function sizeWords(bytes: number): string {
  if (bytes < 1e6) return `${Math.max(bytes / 1e3, 0.1).toFixed(bytes < 1e4 ? 1 : 0)} kB`;
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

export interface ErrorWords {
  title: string;
  detail: string;
  hint: string | null;
}

interface Told {
  code: string;
  title?: string;
  detail: string;
  hint?: string | null;
}

// Titles for people where the API's are for programmers; hints where theirs speak of headers and fields.
const ERRORS: Record<string, Partial<ErrorWords>> = {
  no_connection: {
    title: "The server cannot be reached",
    hint: "Is it running, and are you online? Then try again.",
  },
  unauthorized: {
    title: "An API key is needed",
    hint: "Enter the key that the operator gave you.",
  },
  expired: {
    title: "This object is no longer kept",
    detail: "Results are kept for a limited time.",
    hint: "Submit the picture again.",
  },
  not_found: {
    title: "There is no such job",
    detail: "It may belong to another key, or have been deleted.",
    hint: null,
  },
  invalid_field: { title: "An option does not fit" },
  unsupported_type: { title: "This kind of file is not taken" },
  body_too_large: { title: "The file is too large" },
  image_too_large: { title: "The picture is too large" },
  image_undecodable: { title: "The picture cannot be read" },
  no_foreground: { title: "No object was found in the picture" },
  rate_limited: { title: "Too many requests", hint: "Wait a little, then try again." },
  queue_full: { title: "The server is busy", hint: "Wait a little, then try again." },
  queue_unreachable: { title: "The server is not ready", hint: "Wait a little, then try again." },
  internal: { hint: "Not your fault: please tell the operator." },
  unavailable: { title: "The server is not ready", hint: "Wait a little, then try again." },
  draining: { title: "The server is restarting", hint: "Wait a little, then try again." },
  deadline_exceeded: { title: "It took too long" },
  canceled: { title: "Cancelled", detail: "The job was stopped." },
};

export function errorWords(error: Told): ErrorWords {
  const words = ERRORS[error.code] ?? {};
  return {
    title: words.title ?? error.title ?? "Something went wrong",
    detail: words.detail ?? sentence(error.detail),
    hint: words.hint === undefined ? forPeople(error.hint) : words.hint,
  };
}

/** Not a hint that names a call of the API: whoever fills in a form makes none. */
function forPeople(hint: string | null | undefined): string | null {
  return !hint || hint.startsWith("GET /") ? null : hint;
}

/** Servers begin their details in lower case and end them without a stop. */
function sentence(text: string): string {
  return text === "" || /[.!?]$/.test(text) ? capital(text) : `${capital(text)}.`;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
