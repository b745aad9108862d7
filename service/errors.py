"""Every error a caller can meet: a stable code, an HTTP status, and whether trying again helps."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class ErrorInfo:
    """What is always true of a code. `status` is None for codes that only failed jobs carry."""

    status: int | None
    title: str
    retryable: bool
    hint: str


CATALOGUE: Final[dict[str, ErrorInfo]] = {
    "bad_request": ErrorInfo(
        400, "Malformed request", False, "Send multipart/form-data or a raw picture as the body."
    ),
    "upload_stalled": ErrorInfo(
        400, "Upload stalled", True, "Send the whole body without long pauses."
    ),
    "unauthorized": ErrorInfo(
        401, "API key missing or wrong", False, "Send Authorization: Bearer <api key>."
    ),
    "forbidden": ErrorInfo(403, "Not allowed", False, "This caller may not do that."),
    "licence_not_accepted": ErrorInfo(
        403,
        "Licence not accepted",
        False,
        "The operator can accept it, by its name, in BOZZETTO_MODELS__ACCEPTED_LICENCES.",
    ),
    "origin_not_allowed": ErrorInfo(
        403,
        "Origin not allowed",
        False,
        "The operator can allow the page's origin in BOZZETTO_GATEWAY__CORS_ORIGINS.",
    ),
    "not_found": ErrorInfo(404, "Not found", False, "Check the address and the id."),
    "method_not_allowed": ErrorInfo(
        405, "Method not allowed", False, "The Allow header names the methods of this address."
    ),
    "conflict": ErrorInfo(409, "Conflict", False, "Look at the job's status first."),
    "already_final": ErrorInfo(
        409, "Job is already final", False, "A job that has ended cannot be canceled."
    ),
    "not_final": ErrorInfo(
        409, "Job is not final yet", True, "Cancel the job, or wait until it has ended."
    ),
    "not_ready": ErrorInfo(409, "Not ready yet", True, "Wait until the job's status is succeeded."),
    "expired": ErrorInfo(
        410, "Expired", False, "Results are kept for a limited time. Submit the picture again."
    ),
    "preview_gone": ErrorInfo(
        410, "Preview is gone", False, "The job has ended: its artifacts, if any, take its place."
    ),
    "body_too_large": ErrorInfo(
        413, "Body too large", False, "Send a smaller picture; JPEG and WebP take less room."
    ),
    "unsupported_type": ErrorInfo(
        415, "Unsupported type", False, "Pictures are PNG, JPEG or WebP, known by their content."
    ),
    "range_not_satisfiable": ErrorInfo(
        416, "Range not satisfiable", False, "Content-Range names the length of the file."
    ),
    "invalid_field": ErrorInfo(
        422, "Invalid field", False, "GET /models shows the parameters and their bounds."
    ),
    "unknown_field": ErrorInfo(
        422, "Unknown field", False, "GET /models shows the parameters of each model."
    ),
    "unknown_model": ErrorInfo(422, "Unknown model", False, "GET /models lists the models."),
    "callback_unsupported": ErrorInfo(
        422, "Callbacks are not available yet", False, "Follow links.events, or poll links.self."
    ),
    "idempotency_conflict": ErrorInfo(
        422,
        "Idempotency-Key was used for another request",
        False,
        "Use a new key for each distinct request.",
    ),
    "image_undecodable": ErrorInfo(
        422, "Picture cannot be decoded", False, "The file is truncated or damaged; save it anew."
    ),
    "image_too_large": ErrorInfo(
        422, "Too many pixels", False, "Make the picture smaller; 2000 pixels a side is plenty."
    ),
    "rate_limited": ErrorInfo(
        429, "Too many requests", True, "Wait as long as Retry-After says, in seconds."
    ),
    "internal": ErrorInfo(
        500, "Internal error", True, "Not your fault. Give the request_id when you report it."
    ),
    "unavailable": ErrorInfo(503, "Unavailable", True, "Try again after Retry-After seconds."),
    "queue_full": ErrorInfo(503, "Queue is full", True, "Try again after Retry-After seconds."),
    "queue_unreachable": ErrorInfo(
        503, "Queue is unreachable", True, "Try again after Retry-After seconds."
    ),
    "draining": ErrorInfo(503, "Shutting down", True, "Try again after Retry-After seconds."),
    "unready": ErrorInfo(503, "Not ready", True, "`errors` says what is missing."),
    "storage": ErrorInfo(
        507, "Storage failed", True, "The operator should look at the disk of the data directory."
    ),
    "no_foreground": ErrorInfo(
        None,
        "No object found",
        False,
        "Use a picture of one object on a plain background, or one with an alpha channel.",
    ),
    "input_rejected": ErrorInfo(
        None, "Picture was rejected", False, "Check that the picture opens elsewhere."
    ),
    "model_load_failed": ErrorInfo(
        None, "Model cannot be loaded", False, "The operator can run: bozzetto models verify."
    ),
    "out_of_memory": ErrorInfo(
        None, "Out of memory", True, "Ask for fewer points, or try again later."
    ),
    "worker_lost": ErrorInfo(
        None, "Worker was lost", True, "Every attempt ended with the worker. Submit it again."
    ),
    "deadline_exceeded": ErrorInfo(
        None, "Deadline exceeded", True, "Allow more time with deadline_s."
    ),
}


class ServiceError(Exception):
    """Base of all errors that are answered to a client. `CATALOGUE` lists every code.

    ServiceError
    +- BadRequestError            400 bad_request, upload_stalled
    +- UnauthorizedError          401 unauthorized
    +- ForbiddenError             403 forbidden, licence_not_accepted, origin_not_allowed
    +- NotFoundError              404 not_found
    +- ConflictError              409 conflict, already_final, not_final, not_ready
    +- GoneError                  410 expired, preview_gone
    +- BodyTooLargeError          413 body_too_large
    +- UnsupportedTypeError       415 unsupported_type
    +- RangeError                 416 range_not_satisfiable
    +- UnprocessableError         422 invalid_field, unknown_field, unknown_model, ...
    +- RateLimitedError           429 rate_limited
    +- UnavailableError           503 queue_full, draining, queue_unreachable, unready
    +- StorageError               507 storage
    """

    status = 500
    code = "internal"
    retryable = False

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        hint: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or type(self).code
        self.hint = hint
        self.retry_after_s = retry_after_s


class BadRequestError(ServiceError):
    status, code = 400, "bad_request"


class UnauthorizedError(ServiceError):
    status, code = 401, "unauthorized"


class ForbiddenError(ServiceError):
    status, code = 403, "forbidden"


class NotFoundError(ServiceError):
    status, code = 404, "not_found"


class ConflictError(ServiceError):
    status, code = 409, "conflict"


class GoneError(ServiceError):
    status, code = 410, "expired"


class BodyTooLargeError(ServiceError):
    status, code = 413, "body_too_large"


class UnsupportedTypeError(ServiceError):
    status, code = 415, "unsupported_type"


class RangeError(ServiceError):
    """`size` is the length of the whole file in bytes."""

    status, code = 416, "range_not_satisfiable"

    def __init__(self, detail: str, *, size: int) -> None:
        super().__init__(detail)
        self.size = size


class UnprocessableError(ServiceError):
    """`field` names the form field at fault, where there is one."""

    status, code = 422, "invalid_field"

    def __init__(
        self,
        detail: str,
        *,
        field: str | None = None,
        code: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(detail, code=code, hint=hint)
        self.field = field


class RateLimitedError(ServiceError):
    status, code, retryable = 429, "rate_limited", True


class UnavailableError(ServiceError):
    status, code, retryable = 503, "unavailable", True


class StorageError(ServiceError):
    status, code, retryable = 507, "storage", True
