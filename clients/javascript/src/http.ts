// Requests with the key, problems as errors, and retries of what may work later.

import { BozzettoError, ConnectionError, errorOf } from "./errors.js";

export type Fetch = typeof globalThis.fetch;

export interface ClientOptions {
  /** Address of the server; "" is the origin of the page. */
  server?: string;
  apiKey?: string;
  fetch?: Fetch;
  /** How often a request is repeated that failed but may work later. */
  retries?: number;
}

export interface RequestOptions {
  method?: string;
  headers?: Record<string, string>;
  body?: FormData;
  signal?: AbortSignal | undefined;
  retries?: number;
}

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 8_000;
// Who is told to wait longer had better tell the user.
const LONGEST_RETRY_AFTER_S = 60;

export class Http {
  readonly server: string;
  readonly #apiKey: string | undefined;
  readonly #fetch: Fetch;
  readonly #retries: number;

  constructor(options: ClientOptions) {
    this.server = (options.server ?? "").replace(/\/+$/, "");
    this.#apiKey = options.apiKey || undefined;
    this.#fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init));
    this.#retries = options.retries ?? 3;
  }

  /** Only paths of the server: an address of elsewhere must not get the key. */
  address(path: string): string {
    if (!/^\/(?![/\\])/.test(path)) throw new TypeError(`not a path of the server: ${path}`);
    return this.server + path;
  }

  /** Throws BozzettoError, or AbortError when `signal` says so. */
  async request(path: string, options: RequestOptions = {}): Promise<Response> {
    const retries = options.retries ?? this.#retries;
    for (let failures = 0; ; failures++) {
      try {
        return await this.#once(path, options);
      } catch (error) {
        if (failures >= retries || !worthRepeating(error)) throw error;
        await pause(
          error.retryAfter === null ? backoff(failures) : error.retryAfter * 1000,
          options.signal,
        );
      }
    }
  }

  async #once(
    path: string,
    { method = "GET", headers, body, signal }: RequestOptions,
  ): Promise<Response> {
    const address = this.address(path);
    const key = this.#apiKey ? { Authorization: `Bearer ${this.#apiKey}` } : {};
    // A browser's own fetch refuses to be called as a method of another object.
    const fetch = this.#fetch;
    let response: Response;
    try {
      response = await fetch(address, {
        method,
        headers: { ...headers, ...key },
        ...(body && { body }),
        ...(signal && { signal }),
      });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new ConnectionError("The server does not answer.", { cause: error });
    }
    if (!response.ok) throw await errorOf(response);
    return response;
  }
}

/** A conflict (409) may be over later, but only the caller knows when. */
export function worthRepeating(error: unknown): error is BozzettoError {
  return (
    error instanceof BozzettoError &&
    error.retryable &&
    error.status !== 409 &&
    (error.retryAfter ?? 0) <= LONGEST_RETRY_AFTER_S
  );
}

/** Doubles with each failure; the random part keeps many clients from coming back at once. */
export function backoff(failures: number): number {
  return Math.min(FIRST_DELAY_MS * 2 ** failures, LONGEST_DELAY_MS) * (0.75 + 0.25 * Math.random());
}

export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
