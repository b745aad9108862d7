"""Every error to application/problem+json: one builder, one table, one handler per family."""

import logging
from collections.abc import Awaitable, Callable, Mapping

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from models.errors import (
    ImageTooLargeError,
    ImageTypeError,
    ImageUndecodableError,
    ModelError,
    ParameterError,
    UnknownModelError,
)
from service.errors import (
    CATALOGUE,
    BadRequestError,
    BodyTooLargeError,
    ConflictError,
    GoneError,
    NotFoundError,
    RangeError,
    ServiceError,
    StorageError,
    UnavailableError,
    UnprocessableError,
    UnsupportedTypeError,
)
from service.gateway.limits import UNREACHABLE_RETRY_S
from service.queue.contract import (
    IdempotencyConflictError,
    JobActiveError,
    JobFinalError,
    JobGoneError,
    JobNotFoundError,
    QueueError,
    QueueFullError,
    QueueUnreachableError,
)
from service.schemas import Problem, ProblemItem
from service.store.contract import StoreError
from service.telemetry import ROOT_LOGGER

MEDIA_TYPE = "application/problem+json"
MAX_DETAIL = 500  # characters: what was sent may be quoted

_UNEXPECTED = "an error of a kind that was not expected here"

logger = logging.getLogger(f"{ROOT_LOGGER}.gateway")


def problem_response(
    request: Request,
    code: str,
    detail: str,
    *,
    status: int | None = None,
    hint: str | None = None,
    field: str | None = None,
    errors: list[ProblemItem] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An error answer; title, status, retryable and hint come from the catalogue by `code`."""
    info = CATALOGUE[code]
    request.state.code = code
    problem = Problem(
        type=f"urn:bozzetto:error:{code}",
        title=info.title,
        status=status or info.status or 500,
        detail=detail[:MAX_DETAIL],
        instance=request.url.path[:MAX_DETAIL],
        code=code,
        retryable=info.retryable,
        hint=hint or info.hint,
        request_id=getattr(request.state, "request_id", ""),
        field=field,
        errors=errors or [],
    )
    return Response(
        problem.model_dump_json(exclude_none=True),
        status_code=problem.status,
        media_type=MEDIA_TYPE,
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def as_service_error(error: QueueError | StoreError | ModelError) -> ServiceError:
    """What a caller is told of an error from below."""
    match error:
        case QueueError():
            return _of_queue(error)
        case StoreError():
            return StorageError("the service could not read or write its files")
        case UnknownModelError():
            return UnprocessableError(str(error), field="model", code="unknown_model")
        case ParameterError():
            return UnprocessableError(str(error), field=error.field)
        case ImageTypeError():
            return UnsupportedTypeError(str(error))
        case ImageTooLargeError():
            return UnprocessableError(str(error), code="image_too_large", field="image")
        case ImageUndecodableError():
            return UnprocessableError(str(error), code="image_undecodable", field="image")
        case _:
            return ServiceError(_UNEXPECTED)


def _of_queue(error: QueueError) -> ServiceError:
    match error:
        case QueueFullError():
            return UnavailableError(
                "too many jobs are waiting", code="queue_full", retry_after_s=error.retry_after_s
            )
        case QueueUnreachableError():
            return UnavailableError(
                "the queue does not answer",
                code="queue_unreachable",
                retry_after_s=UNREACHABLE_RETRY_S,
            )
        case IdempotencyConflictError():
            return UnprocessableError(
                "the same Idempotency-Key came with another request before",
                code="idempotency_conflict",
                field="Idempotency-Key",
            )
        case JobNotFoundError():
            return NotFoundError("no such job")
        case JobGoneError():
            return GoneError("the job and its files are no longer kept")
        case JobFinalError():
            return ConflictError(str(error), code="already_final")
        case JobActiveError():
            return ConflictError(str(error), code="not_final")
        case _:
            return ServiceError(_UNEXPECTED)


def install(app: FastAPI) -> None:
    """Register the handlers; nothing leaves the application as anything but a problem."""
    handlers: dict[type[Exception], Callable[..., Response]] = {
        ServiceError: _service_error,
        QueueError: _error_from_below,
        StoreError: _error_from_below,
        ModelError: _error_from_below,
        HTTPException: _http_exception,
        RequestValidationError: _validation_error,
        ClientDisconnect: _client_left,
        Exception: _unhandled,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, _async(handler))


def _async(handler: Callable[..., Response]) -> Callable[[Request, Exception], Awaitable[Response]]:
    """Starlette runs a plain function in a thread, which costs more than the handler itself."""

    async def call(request: Request, error: Exception) -> Response:
        return handler(request, error)

    return call


def _service_error(request: Request, error: ServiceError) -> Response:
    headers = {}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, RangeError):
        headers["Content-Range"] = f"bytes */{error.size}"
    if isinstance(error, BodyTooLargeError | BadRequestError):
        headers["Connection"] = "close"  # the rest of the body is not read
    return problem_response(
        request,
        error.code,
        error.detail,
        status=error.status,
        hint=error.hint,
        field=getattr(error, "field", None),
        headers=headers,
    )


def _error_from_below(request: Request, error: QueueError | StoreError | ModelError) -> Response:
    told = as_service_error(error)
    if told.status >= 500:
        logger.error("%s: %s", type(error).__name__, error, extra=_context(request))
    return _service_error(request, told)


def _http_exception(request: Request, error: HTTPException) -> Response:
    known = {404: "not_found", 405: "method_not_allowed"}
    code = known.get(error.status_code, "bad_request" if error.status_code < 500 else "internal")
    details = {
        404: f"nothing at {request.url.path[:200]}",
        405: f"{request.method} is not for {request.url.path[:200]}",
    }
    return problem_response(
        request,
        code,
        details.get(error.status_code, str(error.detail)),
        status=error.status_code,
        headers=error.headers,
    )


def _validation_error(request: Request, error: RequestValidationError) -> Response:
    items = [
        ProblemItem(code="invalid_field", detail=str(item["msg"]), field=str(item["loc"][-1])[:100])
        for item in error.errors()
    ]
    first = items[0]
    return problem_response(
        request, "invalid_field", f"{first.field}: {first.detail}", field=first.field, errors=items
    )


def _client_left(request: Request, _: ClientDisconnect) -> Response:
    return problem_response(request, "bad_request", "the client left before the body was complete")


def _unhandled(request: Request, error: Exception) -> Response:
    logger.error("unhandled error", exc_info=error, extra=_context(request))
    # This handler runs outside the middleware that adds the id to all other answers.
    headers = {"X-Request-Id": getattr(request.state, "request_id", "")}
    return problem_response(
        request, "internal", "the service failed at this request", headers=headers
    )


def _context(request: Request) -> dict[str, str]:
    return {"request_id": getattr(request.state, "request_id", ""), "path": request.url.path}
