"""What the tests of all operators share."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest
import torch
from hypothesis import strategies as st
from torch import Tensor

from kernels.dispatch import Table, use_backend

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
ON_GPU = DEVICE.type == "cuda"


def backends(table: Table, dtype: torch.dtype = torch.float32) -> list[str]:
    """The operator's backends that can run here, for `pytest.mark.parametrize`.

    Triton's is among them, on the device or interpreted; it is published for Linux alone.
    """
    found = table.runnable(DEVICE.type, dtype)
    wanted = "triton" in table.backends and dtype in table.dtypes.get("triton", (dtype,))
    assert "triton" in found or not wanted or sys.platform != "linux", (
        "Triton is missing: install the development packages"
    )
    return found


def cloud(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    """Normally distributed numbers, the same ones on every device."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(DEVICE, dtype)


def lengths(*values: int) -> Tensor:
    return torch.tensor(values, dtype=torch.int64, device=DEVICE)


def strided(x: Tensor) -> Tensor:
    """The same values, with other strides and an offset."""
    room = x.new_empty(*x.shape[:-1], 2 * x.shape[-1] + 1)
    view = room[..., 1::2]
    view.copy_(x)
    assert not view.is_contiguous() or view.numel() <= 1
    return view


@contextmanager
def refused(error: type[Exception], *words: str) -> Iterator[None]:
    """The block raises `error`, whose message has each of `words` in it."""
    with pytest.raises(error) as caught:
        yield
    missing = [word for word in words if word not in str(caught.value)]
    assert not missing, f"{missing} not in: {caught.value}"


def each_backend(table: Table) -> pytest.MarkDecorator:
    """Parametrise by the operator's backends, under the name `backend`."""
    return pytest.mark.parametrize("backend", backends(table))


def relative_error(out: Tensor, truth: Tensor) -> float:
    """||out - truth|| / ||truth||, in float64; 0 where both are all zero."""
    out, truth = out.double(), truth.double()
    scale = float(truth.norm())
    return float((out - truth).norm()) / scale if scale else float((out - truth).norm())


def assert_as_exact(out: Tensor, eager: Tensor, truth: Tensor, floor: float = 1e-6) -> None:
    """`out` is at most twice as far from the float64 `truth` as eager PyTorch in the same type.

    `floor` is the error below which nobody asks.
    """
    assert out.dtype == eager.dtype
    assert torch.isfinite(out).all()
    allowed = max(2 * relative_error(eager, truth), floor)
    assert relative_error(out, truth) <= allowed


def assert_repeatable(call: Callable[[], Tensor | Sequence[Tensor]], runs: int = 3) -> None:
    """`call()` gives the same bits each time: one tensor or a sequence of them."""
    first = _tuple(call())
    for _ in range(runs - 1):
        again = _tuple(call())
        assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def _tuple(value: Tensor | Sequence[Tensor]) -> tuple[Tensor, ...]:
    return (value,) if isinstance(value, Tensor) else tuple(value)


def rotations() -> st.SearchStrategy[Tensor]:
    """Proper rotations [3, 3] in float64, from random quaternions."""
    return st.integers(0, 2**32 - 1).map(_rotation)


def _rotation(seed: int) -> Tensor:
    w, x, y, z = torch.nn.functional.normalize(
        torch.randn(4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64), dim=0
    )
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return torch.stack([torch.stack(row) for row in rows]).to(DEVICE)


@contextmanager
def forced(backend: str, table: Table) -> Iterator[None]:
    with use_backend(backend, table.op):
        yield
