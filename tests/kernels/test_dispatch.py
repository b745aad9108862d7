import logging
import threading

import pytest
import torch

from kernels import dispatch
from kernels.dispatch import ANYWHERE, CPU, CUDA, Choice, Table, use_backend
from kernels.errors import BackendError
from tests.kernels.kit import refused

TABLE = Table(
    op="sum",
    size="terms",
    backends={"reference": ANYWHERE, "fast": CPU, "triton": CUDA},
    choices=(
        Choice("fast", "cpu", up_to=100, dtypes=(torch.float32,), measured="kernels-cpu"),
        Choice("reference", "cpu"),
        Choice("triton", "cuda"),
        Choice("reference", "cuda"),
    ),
    dtypes={"triton": (torch.float32,)},
)
X = torch.zeros(1)


@pytest.mark.parametrize(
    ("x", "size", "backend"),
    [(X, 100, "fast"), (X, 101, "reference"), (X.double(), 1, "reference")],
)
def test_the_first_row_that_fits_wins(x: torch.Tensor, size: int, backend: str) -> None:
    assert TABLE.pick(x, size) == backend


def test_what_cannot_run_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "_kind", lambda x: "cuda")
    assert TABLE.pick(X, 1) == "triton"
    assert TABLE.pick(X.double(), 1) == "reference"
    monkeypatch.setattr(dispatch, "_has_triton", lambda: False)
    assert TABLE.pick(X, 1) == "reference"


def test_no_backend_at_all() -> None:
    with refused(BackendError, "sum: no backend", "meta"):
        TABLE.pick(X.to("meta"), 1)


def test_one_is_forced_within_a_block() -> None:
    with use_backend("reference"):
        assert TABLE.pick(X, 1) == "reference"
        with use_backend("fast", "sum"):
            assert TABLE.pick(X, 101) == "fast"
        assert TABLE.pick(X, 1) == "reference"
    assert TABLE.pick(X, 1) == "fast"


def test_forcing_all_leaves_operators_without_it_alone() -> None:
    with use_backend("kd_tree"):
        assert TABLE.pick(X, 1) == "fast"


def test_forcing_by_name_wants_it_to_exist() -> None:
    with use_backend("kd_tree", "sum"), refused(BackendError, "reference, fast", "'kd_tree'"):
        TABLE.pick(X, 1)


def test_triton_on_the_cpu_wants_its_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    with use_backend("triton"):
        assert TABLE.pick(X, 1) == "triton"
        monkeypatch.delenv("TRITON_INTERPRET")
        with refused(BackendError, "sum", "cpu", "'triton'"):
            TABLE.pick(X, 1)


def test_a_forced_backend_is_of_its_own_thread() -> None:
    seen = []
    with use_backend("reference"):
        thread = threading.Thread(target=lambda: seen.append(TABLE.pick(X, 1)))
        thread.start()
        thread.join()
    assert seen == ["fast"]


def test_the_choice_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    dispatch._tell.cache_clear()
    with caplog.at_level(logging.INFO, logger="bozzetto.kernels"):
        for _ in range(3):
            TABLE.pick(X, 1)
        TABLE.pick(X, 101)
    assert [record.getMessage() for record in caplog.records] == [
        "sum on cpu torch.float32: fast (kernels-cpu)",
        "sum on cpu torch.float32: reference (not measured)",
    ]
