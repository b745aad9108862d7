"""What a caller is told of an exception that ended a job."""

from geometry.errors import GeometryError
from models.errors import (
    EmptyMaskError,
    ImageError,
    NoForegroundError,
    NonFiniteError,
    ParameterError,
    UnknownModelError,
    WeightsError,
)
from service.errors import CATALOGUE
from service.jobs import JobError
from service.store.contract import ObjectMissingError, StoreError
from service.worker.engine import JobTooLargeError, is_out_of_memory


def to_job_error(error: Exception) -> JobError:
    """The stable code, and a text for the caller; what is unforeseen does not show its details.

    `retryable` also decides whether the queue gives the job to a worker again.
    """
    match error:
        case EmptyMaskError():
            hint = "In the mask the object is white, or opaque. Send one that shows it, or none."
            return _failure("no_foreground", str(error), hint=hint)
        case NoForegroundError():
            return _failure("no_foreground", "no object was found in the picture")
        case ImageError():
            return _failure("input_rejected", str(error))
        case ParameterError():
            return _failure("input_rejected", str(error), hint=CATALOGUE["invalid_field"].hint)
        case WeightsError() | UnknownModelError():
            # Another worker may have the model.
            return _failure("model_load_failed", str(error), retryable=True)
        case JobTooLargeError():
            return _failure("out_of_memory", str(error), retryable=True)
        case _ if is_out_of_memory(error):
            return _failure("out_of_memory", "the worker ran out of memory", retryable=True)
        case ObjectMissingError():
            return _failure("storage", "the job's picture is no longer stored")
        case StoreError():
            return _failure("storage", "the result could not be stored", retryable=True)
        case NonFiniteError():
            # Too few steps of heun, say, from so much noise as GECCO's.
            hint = "Try another seed, or more steps."
            return _failure("internal", "the model gave no finite result", hint=hint)
        case GeometryError():
            hint = "Ask for points only, or try another picture."
            return _failure("internal", f"no surface could be built: {error}", hint=hint)
        case _:
            return _failure("internal", "an unexpected error; the operator has its details")


def deadline_passed() -> JobError:
    return _failure("deadline_exceeded", "the job was not done by its deadline")


def _failure(
    code: str, detail: str, *, retryable: bool = False, hint: str | None = None
) -> JobError:
    return JobError(code, detail, retryable, hint or CATALOGUE[code].hint)
