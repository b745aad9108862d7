import { BozzettoError, ConnectionError, JobFailedError } from "./errors.js";
import { jobEventOf, readEvents } from "./events.js";
import { backoff, Http, pause, worthRepeating, type ClientOptions } from "./http.js";
import {
  FINAL_STATES,
  type Cloud,
  type Job,
  type JobEvent,
  type JobList,
  type JobQuery,
  type JobState,
  type Model,
  type Progress,
  type SubmitParams,
} from "./types.js";

export interface CallOptions {
  signal?: AbortSignal;
}

export interface SubmitOptions extends CallOptions {
  /** A picture of the same size: the object is where it is light. */
  mask?: Blob;
  /** Drawn when absent, so that a repeated submit never makes a second job. */
  idempotencyKey?: string;
}

export interface FollowOptions extends CallOptions {
  /** Also give the clouds on the way to the result. */
  clouds?: boolean;
  /** Only what came after this event. */
  lastEventId?: string;
  onReconnect?(attempt: number): void;
}

export interface WaitOptions extends CallOptions {
  onState?(state: JobState): void;
  onProgress?(progress: Progress): void;
  onCloud?(cloud: Cloud): void;
  onReconnect?(attempt: number): void;
}

// A gateway that restarts is back within seconds; one that is not for this long is not coming.
const LOST_AFTER_MS = 120_000;

/** One server. Every call throws BozzettoError, or AbortError when its signal says so. */
export class Bozzetto {
  readonly #http: Http;

  constructor(options: ClientOptions = {}) {
    this.#http = new Http(options);
  }

  async models(options: CallOptions = {}): Promise<Model[]> {
    return (await this.#json<{ data: Model[] }>("/models", options)).data;
  }

  /** The job as accepted, mostly `queued`. Several pictures: only for models that take them. */
  async submit(
    image: Blob | readonly Blob[],
    params: SubmitParams = {},
    { mask, idempotencyKey = drawKey(), signal }: SubmitOptions = {},
  ): Promise<Job> {
    const body = new FormData();
    for (const picture of [image].flat()) body.append("image", picture, nameOf(picture, "picture"));
    if (mask) body.append("mask", mask, nameOf(mask, "mask"));
    for (const [name, value] of Object.entries(params)) {
      if (value !== undefined && value !== null) body.append(name, fieldText(value));
    }
    const headers = { "Idempotency-Key": idempotencyKey };
    return this.#json("/reconstruct", { method: "POST", body, headers, signal });
  }

  async job(id: string, options: CallOptions = {}): Promise<Job> {
    return this.#json(jobPath(id), options);
  }

  /** The caller's own jobs, newest first. */
  async jobs(query: JobQuery = {}, options: CallOptions = {}): Promise<JobList> {
    const search = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined && value !== null) search.set(name, String(value));
    }
    const text = search.toString();
    return this.#json(text ? `/jobs?${text}` : "/jobs", options);
  }

  /** What happened and what happens, up to `done`; comes back by itself when the connection is lost. */
  async *follow(job: string | Job, options: FollowOptions = {}): AsyncGenerator<JobEvent, void> {
    const { clouds = false, signal, onReconnect } = options;
    const path = `${jobPath(idOf(job))}/events${clouds ? "?clouds=true" : ""}`;
    let last = options.lastEventId;
    let lostAt: number | null = null;
    for (let failures = 0; ; failures++) {
      if (failures > 0) onReconnect?.(failures);
      let delay: number | null = null;
      try {
        const headers = { Accept: "text/event-stream", ...(last && { "Last-Event-ID": last }) };
        const response = await this.#http.request(path, { headers, signal, retries: 0 });
        const alive = () => (lostAt = null);
        for await (const raw of readEvents(response.body!, { alive })) {
          failures = 0;
          last = raw.id ?? last;
          const event = jobEventOf(raw);
          if (event) yield event;
          if (event?.kind === "done") return;
        }
        const state = await this.#finalState(job, signal);
        if (state) {
          yield { kind: "done", id: null, state };
          return;
        }
      } catch (error) {
        if (!worthRepeating(error)) throw error;
        // "At once" too often would be a storm.
        if (error.retryAfter !== null) delay = Math.max(error.retryAfter * 1000, backoff(0));
      }
      lostAt ??= Date.now();
      if (Date.now() - lostAt > LOST_AFTER_MS)
        throw new ConnectionError("The server does not answer.");
      await pause(delay ?? backoff(failures), signal);
    }
  }

  /** The job in its final state, whichever that is. */
  async wait(job: string | Job, options: WaitOptions = {}): Promise<Job> {
    const { signal, onState, onProgress, onCloud, onReconnect } = options;
    const follow: FollowOptions = { clouds: onCloud !== undefined };
    if (signal) follow.signal = signal;
    if (onReconnect) follow.onReconnect = onReconnect;
    for await (const event of this.follow(job, follow)) {
      if (event.kind === "state") onState?.(event.state);
      else if (event.kind === "progress") onProgress?.(event.progress);
      else if (event.kind === "cloud") onCloud?.(event.cloud);
    }
    return this.#json(jobPath(idOf(job)), { signal });
  }

  /** Submit and wait. Throws JobFailedError unless it succeeds. */
  async reconstruct(
    image: Blob | readonly Blob[],
    params: SubmitParams = {},
    options: SubmitOptions & WaitOptions = {},
  ): Promise<Job> {
    const job = await this.wait(await this.submit(image, params, options), options);
    if (job.status !== "succeeded") throw new JobFailedError(job);
    return job;
  }

  /** Asked is not stopped: a running job ends between two steps. */
  async cancel(id: string, options: CallOptions = {}): Promise<Job> {
    return this.#json(`${jobPath(id)}/cancel`, { ...options, method: "POST" });
  }

  /** Forget a job that has ended, and its files. */
  async delete(id: string, options: CallOptions = {}): Promise<void> {
    await this.#http.request(jobPath(id), { ...options, method: "DELETE" });
  }

  /** A file of the job, fetched with the key. */
  async download(job: Job, name: string, options: CallOptions = {}): Promise<Blob> {
    const artifact = job.artifacts.find((item) => item.name === name);
    if (!artifact) {
      const names = job.artifacts.map((item) => item.name).join(", ") || "none";
      throw new BozzettoError({
        code: "no_artifact",
        title: "No such file",
        detail: `Job ${job.id} has no ${name}; it has: ${names}.`,
      });
    }
    const response = await this.#http.request(artifact.url, options);
    try {
      return await response.blob();
    } catch (error) {
      if (options.signal?.aborted) throw error;
      throw new ConnectionError("The connection was lost during the download.", { cause: error });
    }
  }

  /** The absolute address of a path that the API gave. */
  url(path: string): string {
    const address = this.#http.address(path);
    return new URL(address, globalThis.location?.href).href;
  }

  async #json<T>(path: string, options: Parameters<Http["request"]>[1] = {}): Promise<T> {
    const response = await this.#http.request(path, options);
    try {
      return (await response.json()) as T;
    } catch (error) {
      if (options.signal?.aborted) throw error;
      throw new ConnectionError("The answer was cut short, or is not the server's.", {
        cause: error,
      });
    }
  }

  /** A stream also ends, without `done`, for who has had the `done` before. */
  async #finalState(job: string | Job, signal?: AbortSignal): Promise<JobState | null> {
    const { status } = await this.#json<Job>(jobPath(idOf(job)), { signal, retries: 0 });
    return FINAL_STATES.has(status) ? status : null;
  }
}

const idOf = (job: string | Job): string => (typeof job === "string" ? job : job.id);
const jobPath = (id: string): string => `/jobs/${encodeURIComponent(id)}`;

/** `crypto.randomUUID` is missing from pages that came over plain HTTP. */
function drawKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function nameOf(blob: Blob, otherwise: string): string {
  return "name" in blob && typeof blob.name === "string" && blob.name ? blob.name : otherwise;
}

function fieldText(value: unknown): string {
  if (Array.isArray(value)) return value.join(",");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
