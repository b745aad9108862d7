// One job at a time: sent or come back to, followed to its end, told to the status line and the page.

import {
  type Bozzetto,
  BozzettoError,
  type Cloud,
  FINAL_STATES,
  type Job,
  JobFailedError,
  type SubmitParams,
} from "bozzetto-client";

import { emit } from "../shared/dom";
import type { Status } from "./status";

/** What of the viewer is used here; the two elements load apart. */
interface Viewer extends Element {
  showCloud?(cloud: Cloud): void;
  showJob?(job: Job, client: Bozzetto): void;
  clear?(): void;
}

export interface Host extends HTMLElement {
  readonly client: Bozzetto;
}

export interface Listener {
  onBusy(busy: boolean): void;
  onError(error: unknown, again: (() => void) | null): void;
}

const QUEUE_POLL_MS = 2_000;

export class JobRunner {
  /** The newest job, as far as it is known here. */
  job: Job | null = null;
  readonly #host: Host;
  readonly #status: Status;
  readonly #listener: Listener;
  #running: AbortController | null = null;

  constructor(host: Host, status: Status, listener: Listener) {
    this.#host = host;
    this.#status = status;
    this.#listener = listener;
  }

  get busy(): boolean {
    return this.#running !== null;
  }

  /** Null where it was stopped or went wrong. */
  async submit(blob: Blob, params: SubmitParams): Promise<Job | null> {
    const send = async (signal: AbortSignal) => {
      this.#status.sending();
      const job = await this.#host.client.submit(blob, params, { signal });
      emit(this.#host, "bozzetto-submit", { job, blob, params });
      return job;
    };
    return this.#run(send, () => void this.submit(blob, params));
  }

  async resume(id: string): Promise<Job | null> {
    this.#running?.abort();
    const look = (signal: AbortSignal) => this.#host.client.job(id, { signal });
    return this.#run(look, () => void this.resume(id));
  }

  /** Asked is not stopped: a running job ends between two steps. */
  async cancel(): Promise<void> {
    if (!this.#running) return;
    if (!this.job) return this.#running.abort();
    this.#status.stopping();
    try {
      await this.#host.client.cancel(this.job.id);
    } catch (error) {
      const over = error instanceof BozzettoError && error.code === "already_final";
      if (!over) this.#listener.onError(error, () => void this.cancel());
    }
  }

  /** No longer follow; the job goes on. */
  leave(): void {
    this.#running?.abort();
  }

  async #run(begin: (signal: AbortSignal) => Promise<Job>, again: () => void): Promise<Job | null> {
    const running = new AbortController();
    this.#running = running;
    this.job = null;
    this.#listener.onBusy(true);
    let error: unknown = null;
    try {
      this.job = await begin(running.signal);
      this.job = await this.#watch(this.job, running.signal);
    } catch (reason) {
      error = reason;
    }
    if (running !== this.#running) return null; // another took its place
    this.#running = null;
    this.#listener.onBusy(false);
    // What the server has taken goes on there: it is come back to, not sent again.
    const id = this.job?.id;
    const resume = id === undefined ? again : () => void this.resume(id);
    if (error !== null) this.#listener.onError(error, resume);
    else this.#finish(this.job!, again);
    return error === null ? this.job : null;
  }

  async #watch(job: Job, signal: AbortSignal): Promise<Job> {
    if (FINAL_STATES.has(job.status)) return job;
    const status = this.#status;
    let queued = job.status === "queued";
    status.waiting(job.queue);
    const poll = setInterval(() => queued && void this.#tellQueue(job.id, signal), QUEUE_POLL_MS);
    try {
      return await this.#host.client.wait(job, {
        signal,
        onState: (state) => {
          queued = state === "queued";
          if (queued) status.waiting(null);
          else if (state === "running") status.begun();
        },
        onProgress: (progress) => {
          status.progress(progress);
          emit(this.#host, "bozzetto-progress", { progress });
        },
        onCloud: (cloud) => {
          this.#viewer?.showCloud?.(cloud);
          emit(this.#host, "bozzetto-cloud", { cloud });
        },
        onReconnect: () => status.reconnecting(),
      });
    } finally {
      clearInterval(poll);
    }
  }

  async #tellQueue(id: string, signal: AbortSignal): Promise<void> {
    const job = await this.#host.client.job(id, { signal }).catch(() => null);
    if (job?.status === "queued" && !signal.aborted) this.#status.waiting(job.queue);
  }

  #finish(job: Job, again: () => void): void {
    const viewer = this.#viewer;
    if (job.status === "succeeded") {
      this.#status.done(job);
      viewer?.showJob?.(job, this.#host.client);
    } else {
      viewer?.clear?.();
      if (job.status === "canceled") this.#status.canceled();
      else this.#listener.onError(new JobFailedError(job), again);
    }
    emit(this.#host, "bozzetto-done", { job });
  }

  get #viewer(): Viewer | null {
    const id = this.#host.getAttribute("for");
    return id ? (this.#host.getRootNode() as Document | ShadowRoot).getElementById(id) : null;
  }
}
