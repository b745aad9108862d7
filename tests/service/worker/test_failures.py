import pytest
import torch

from geometry.errors import GeometryError
from models.errors import (
    EmptyMaskError,
    ImageUndecodableError,
    NoForegroundError,
    NonFiniteError,
    ParameterError,
    UnknownModelError,
    WeightsError,
)
from service.errors import CATALOGUE
from service.store.contract import ObjectMissingError, StoreFullError
from service.worker.engine import JobTooLargeError
from service.worker.failures import deadline_passed, to_job_error


@pytest.mark.parametrize(
    ("error", "code", "retryable"),
    [
        (NoForegroundError("nothing"), "no_foreground", False),
        (ImageUndecodableError("cut off"), "input_rejected", False),
        (WeightsError("w.safetensors"), "model_load_failed", True),
        (UnknownModelError("x", ()), "model_load_failed", True),
        (JobTooLargeError("alone"), "out_of_memory", True),
        (torch.OutOfMemoryError("CUDA"), "out_of_memory", True),
        (MemoryError(), "out_of_memory", True),
        (StoreFullError("disk"), "storage", True),
        (ObjectMissingError("key"), "storage", False),
        (NonFiniteError((0,)), "internal", False),
        (GeometryError("flat"), "internal", False),
        (KeyError("a secret"), "internal", False),
    ],
)
def test_each_exception_has_its_code(error, code, retryable):
    failure = to_job_error(error)

    assert (failure.code, failure.retryable) == (code, retryable)
    assert failure.code in CATALOGUE
    assert failure.hint
    assert "secret" not in failure.detail


def test_an_empty_mask_is_not_blamed_on_the_picture():
    failure = to_job_error(EmptyMaskError("the mask marks no object"))

    assert (failure.code, failure.retryable) == ("no_foreground", False)
    assert failure.detail == "the mask marks no object"
    assert failure.hint is not None
    assert "mask" in failure.hint


def test_a_parameter_is_not_blamed_on_the_picture():
    failure = to_job_error(ParameterError("label", "must be 0, got 3"))

    assert failure.code == "input_rejected"
    assert "label" in failure.detail
    assert failure.hint == CATALOGUE["invalid_field"].hint


def test_a_passed_deadline_is_not_tried_again():
    failure = deadline_passed()

    assert (failure.code, failure.retryable) == ("deadline_exceeded", False)
