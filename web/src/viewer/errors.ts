/**
 * Why nothing is on the screen.
 *
 * Codes: `no_webgl`, `no_connection`, `http_<status>`, `job_expired`, `unreadable_file`,
 * `bad_address`, or the code of a client's own error.
 */
export class ViewerError extends Error {
  override readonly name = "ViewerError";

  constructor(
    readonly code: string,
    readonly detail: string,
    /** Whether the same call can succeed later. */
    readonly retryable: boolean,
  ) {
    super(detail);
  }
}

export function unreadable(detail: string): ViewerError {
  return new ViewerError("unreadable_file", detail, false);
}

export function expired(): ViewerError {
  const detail = "The server keeps results for a while only, and this one is gone.";
  return new ViewerError("job_expired", detail, false);
}

const TITLES: Record<string, string> = {
  no_webgl: "3D is not available here",
  no_connection: "No connection",
  job_expired: "This object has expired",
  unreadable_file: "The file cannot be shown",
};

export function titleOf(error: ViewerError): string {
  return TITLES[error.code] ?? "The object could not be loaded";
}

/** Any failure as a ViewerError; errors of `bozzetto-client` keep their code. */
export function asViewerError(error: unknown): ViewerError {
  if (error instanceof ViewerError) return error;
  const { code, detail, retryable } = Object(error) as Record<string, unknown>;
  if (code === "expired") return expired();
  if (typeof code === "string" && typeof detail === "string") {
    return new ViewerError(code, detail, retryable === true || code === "no_connection");
  }
  return unreadable(error instanceof Error ? error.message : String(error));
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}
