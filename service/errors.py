"""Every error a caller can meet: a stable code, an HTTP status, and whether trying again helps."""


class ServiceError(Exception):
    """Base of all errors that are answered to a client.

    ServiceError
    +- BadRequestError            400 bad_request
    +- UnauthorizedError          401 unauthorized
    +- ForbiddenError             403 forbidden
    +- NotFoundError              404 not_found
    +- ConflictError              409 conflict (already_final, not_ready, idempotency_in_flight)
    +- GoneError                  410 expired
    +- BodyTooLargeError          413 body_too_large
    +- UnsupportedTypeError       415 unsupported_type
    +- UnprocessableError         422 invalid_field, image_undecodable, image_too_large, ...
    +- RateLimitedError           429 rate_limited
    +- UnavailableError           503 queue_full, draining, queue_unreachable
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
