"""What can go wrong, as exceptions.

BozzettoError                  all of them: code, status, detail, hint, retryable, field, request_id
+- ConnectionLostError         no server, or the connection broke and stayed so; a ConnectionError
+- UnexpectedAnswerError       the answer is none of a Bozzetto server
+- InvalidRequestError         400, 413, 415, 416, 422: `field` names what is at fault
+- AuthenticationError         401
+- PermissionDeniedError       403
+- NotFoundError               404
+- ConflictError               409: the job's state does not allow it
+- GoneError                   410: no longer kept
+- RateLimitedError            429
+- ServerError                 5xx
+- WaitTimeoutError            `wait` took longer than its timeout; a TimeoutError
+- ChecksumError               a file came that is not the one that the job names
+- JobFailedError              the job failed: `job`; its code and hint are those of `job.error`
   +- JobCanceledError
   +- JobExpiredError          its deadline passed before a worker was free
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from bozzetto_client.objects import Job

MAX_QUOTED: Final = 200  # characters of an answer that is not understood


@dataclass(frozen=True, slots=True)
class ProblemItem:
    """One of several things that are wrong."""

    code: str
    detail: str
    field: str | None = None


class BozzettoError(Exception):
    """Base of all errors of this package. Programs look at `code`: it is stable.

    Attributes:
        status: of the HTTP answer; None when there was none.
        retryable: may the same call work later?
        field: the form field, query name or header at fault.
        request_id: give it when you report a problem.
        errors: several things at once, where the server lists them.
        retry_after_s: seconds that the server asks to wait.
    """

    default_code = "error"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        status: int | None = None,
        hint: str | None = None,
        retryable: bool = False,
        field: str | None = None,
        request_id: str | None = None,
        errors: tuple[ProblemItem, ...] = (),
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.default_code
        self.status = status
        self.hint = hint
        self.retryable = retryable
        self.field = field
        self.request_id = request_id
        self.errors = errors
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        text = f"{self.detail} ({self.code})"
        return f"{text}. {self.hint}" if self.hint else text


class ConnectionLostError(BozzettoError, ConnectionError):
    default_code = "no_connection"


class UnexpectedAnswerError(BozzettoError):
    default_code = "unexpected_answer"


class InvalidRequestError(BozzettoError):
    default_code = "bad_request"


class AuthenticationError(BozzettoError):
    default_code = "unauthorized"


class PermissionDeniedError(BozzettoError):
    default_code = "forbidden"


class NotFoundError(BozzettoError):
    default_code = "not_found"


class ConflictError(BozzettoError):
    default_code = "conflict"


class GoneError(BozzettoError):
    default_code = "expired"


class RateLimitedError(BozzettoError):
    default_code = "rate_limited"


class ServerError(BozzettoError):
    default_code = "internal"


class WaitTimeoutError(BozzettoError, TimeoutError):
    """The job goes on: wait again, or cancel it."""

    default_code = "wait_timeout"


class ChecksumError(BozzettoError):
    default_code = "checksum"


class JobFailedError(BozzettoError):
    """A job that ended without a result. `retryable`: may another submit succeed?"""

    default_code = "job_failed"

    def __init__(self, job: Job) -> None:
        failure = job.error
        super().__init__(
            f"job {job.id} {job.status}" + (f": {failure.detail}" if failure else ""),
            code=failure.code if failure else None,
            hint=failure.hint if failure else None,
            retryable=failure.retryable if failure else False,
        )
        self.job = job
        self.args = (job,)  # what a copy in another process is made from


class JobCanceledError(JobFailedError):
    default_code = "job_canceled"


class JobExpiredError(JobFailedError):
    default_code = "job_expired"


_BY_STATUS: Final[dict[int, type[BozzettoError]]] = {
    400: InvalidRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    410: GoneError,
    413: InvalidRequestError,
    415: InvalidRequestError,
    416: InvalidRequestError,
    422: InvalidRequestError,
    429: RateLimitedError,
}
_OF_PROXIES: Final = frozenset({429, 502, 503, 504})


def error_of_answer(status: int, body: bytes, retry_after_s: float | None = None) -> BozzettoError:
    """The error that an answer of 400 and above means, also one that no Bozzetto server wrote."""
    kind = _BY_STATUS.get(status, ServerError if status >= 500 else UnexpectedAnswerError)
    problem = _problem(body)
    if problem is None:
        quoted = body[:MAX_QUOTED].decode(errors="replace").strip()
        return kind(
            f"the answer was {status}, without a problem report"
            + (f": {quoted}" if quoted else ""),
            code=f"http_{status}",
            status=status,
            retryable=status in _OF_PROXIES,
            retry_after_s=retry_after_s,
        )
    listed = problem.get("errors")
    return kind(
        str(problem.get("detail") or problem.get("title") or f"the answer was {status}"),
        code=str(problem["code"]),
        status=status,
        hint=problem.get("hint"),
        retryable=problem.get("retryable") is True,
        field=problem.get("field"),
        request_id=problem.get("request_id"),
        errors=tuple(map(_item, listed)) if isinstance(listed, list) else (),
        retry_after_s=retry_after_s,
    )


def _problem(body: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(body)
    except ValueError:
        return None
    return value if isinstance(value, dict) and "code" in value else None


def _item(raw: Mapping[str, Any]) -> ProblemItem:
    return ProblemItem(str(raw.get("code")), str(raw.get("detail")), raw.get("field"))


def error_of_job(job: Job) -> JobFailedError:
    """For a job that has ended, but not succeeded."""
    kinds = {"canceled": JobCanceledError, "expired": JobExpiredError}
    return kinds.get(job.status, JobFailedError)(job)
