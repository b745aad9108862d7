import type { Job, ProblemItem } from "./types.js";

export interface ErrorFacts {
  code: string;
  detail: string;
  title?: string;
  status?: number;
  hint?: string | null;
  retryable?: boolean;
  retryAfter?: number | null;
  field?: string | null;
  requestId?: string | null;
  errors?: ProblemItem[];
}

/** What the server refused, in its own words. Programs look at `code`: it is stable. */
export class BozzettoError extends Error {
  readonly code: string;
  /** Of HTTP; 0 where no answer came. */
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  readonly hint: string | null;
  /** May the same request work later? */
  readonly retryable: boolean;
  /** Seconds, where the server said so. */
  readonly retryAfter: number | null;
  /** The form field, query name or header at fault. */
  readonly field: string | null;
  /** To be given when the problem is reported. */
  readonly requestId: string | null;
  readonly errors: ProblemItem[];

  constructor(facts: ErrorFacts, options?: ErrorOptions) {
    super(facts.detail, options);
    this.name = new.target.name;
    this.code = facts.code;
    this.status = facts.status ?? 0;
    this.title = facts.title ?? "Something went wrong";
    this.detail = facts.detail;
    this.hint = facts.hint ?? null;
    this.retryable = facts.retryable ?? false;
    this.retryAfter = facts.retryAfter ?? null;
    this.field = facts.field ?? null;
    this.requestId = facts.requestId ?? null;
    this.errors = facts.errors ?? [];
  }
}

/** No answer came: code `no_connection`. */
export class ConnectionError extends BozzettoError {
  constructor(detail: string, options?: ErrorOptions) {
    super(
      {
        code: "no_connection",
        title: "No connection",
        detail,
        hint: "Check that the server runs and can be reached from here.",
        retryable: true,
      },
      options,
    );
  }
}

/** The job ended, but not with a result; `code` is the job's own, or the state it ended in. */
export class JobFailedError extends BozzettoError {
  readonly job: Job;

  constructor(job: Job) {
    super(
      job.error
        ? { ...job.error, title: "The job failed" }
        : {
            code: job.status,
            title: `The job was ${job.status}`,
            detail: ENDINGS[job.status] ?? "",
          },
    );
    this.job = job;
  }
}

const ENDINGS: Partial<Record<Job["status"], string>> = {
  canceled: "The job was canceled before it had a result.",
  expired: "The job's deadline passed while it waited.",
  failed: "The job failed without saying why.",
};

/** The problem that an answer tells; also of a proxy that knows nothing of problem+json. */
export async function errorOf(response: Response): Promise<BozzettoError> {
  const status = response.status;
  const body = await readProblem(response);
  return new BozzettoError({
    code: text(body.code) ?? `http_${status}`,
    title: text(body.title) ?? "Something went wrong",
    detail:
      text(body.detail) ?? `The server answered ${status} ${response.statusText}`.trim() + ".",
    status,
    hint: text(body.hint),
    retryable: typeof body.retryable === "boolean" ? body.retryable : status >= 502,
    retryAfter: retryAfterSeconds(response.headers.get("Retry-After")),
    field: text(body.field),
    requestId: text(body.request_id) ?? response.headers.get("X-Request-Id"),
    errors: Array.isArray(body.errors) ? (body.errors as ProblemItem[]) : [],
  });
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

async function readProblem(response: Response): Promise<Record<string, unknown>> {
  try {
    const body: unknown = await response.json();
    return typeof body === "object" && body !== null ? (body as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function text(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}

/** RFC 9110 allows seconds or a date. */
function retryAfterSeconds(header: string | null): number | null {
  if (header === null) return null;
  const seconds = /^\d+$/.test(header.trim())
    ? Number(header)
    : (Date.parse(header) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.max(seconds, 0) : null;
}
