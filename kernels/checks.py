"""Checks of operators' inputs: exact, before any launch, the same for every backend.

A check of values has to look at them, which on a GPU means waiting for it. Code that has checked
its values, as a denoising loop does with its first cloud, says so by `trust_values`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

from kernels.errors import ShapeError

MOST_ROWS = 65_535  # of a batch: CUDA launches no more blocks along the axis that kernels give it

_trusted: ContextVar[bool] = ContextVar("kernels_trusted", default=False)


@contextmanager
def trust_values() -> Iterator[None]:
    """Within it, values (finite coordinates, lengths in range) are taken as checked.

    Shapes, types and devices are still checked: they cost no wait. A value that breaks a contract
    gives wrong numbers there, for kernels mask what they load but believe what they read.
    """
    token = _trusted.set(True)
    try:
        yield
    finally:
        _trusted.reset(token)


def values_are_trusted() -> bool:
    """Whether to leave values unread: inside `trust_values`, or while a CUDA graph is recorded."""
    return _trusted.get() or (
        torch.cuda.is_available() and torch.cuda.is_current_stream_capturing()
    )


def check_shapes(**tensors: tuple[Tensor | None, str]) -> dict[str, int]:
    """Match tensors with shapes as docstrings write them, and say what the letters stand for.

    `check_shapes(query=(query, "B M 3"), points=(points, "B N 3"))`: a number must be met exactly,
    a letter means the same size wherever it stands. B is 0 to 65,535, every other letter at least
    1. A tensor that is None is passed over.

    Raises:
        ShapeError: naming the tensor, the expected and the actual shape.
    """
    sizes: dict[str, int] = {}
    for name, (tensor, pattern) in tensors.items():
        if tensor is None:
            continue
        if tensor.layout != torch.strided:
            raise ShapeError(f"{name}: a dense tensor expected, got {tensor.layout}")
        dims = pattern.split()
        with_its_own = dict(sizes)
        met = tensor.ndim == len(dims) and all(
            _meets(dim, size, with_its_own) for dim, size in zip(dims, tensor.shape, strict=True)
        )
        if not met:
            known = ", ".join(
                f"{dim} = {sizes[dim]}" for dim in dict.fromkeys(dims) if dim in sizes
            )
            wanted = f"[{', '.join(dims)}]" + (f" with {known}" if known else "")
            raise ShapeError(f"{name}: {wanted} expected, got {list(tensor.shape)}")
        if with_its_own.get("B", 0) > MOST_ROWS:
            raise ShapeError(f"{name}: B of 0 to {MOST_ROWS} expected, got {with_its_own['B']}")
        sizes = with_its_own
    return sizes


def _meets(dim: str, size: int, sizes: dict[str, int]) -> bool:
    if dim.isdigit():
        return size == int(dim)
    return size == sizes.setdefault(dim, size) and (size > 0 or dim == "B")


def check_alike(**tensors: Tensor | None) -> None:
    """All tensors that are not None have the first one's type and device.

    Raises:
        ValueError: naming the first that has not.
    """
    check_devices(**tensors)
    given = [(name, tensor) for name, tensor in tensors.items() if tensor is not None]
    first_name, first = given[0]
    for name, tensor in given[1:]:
        if tensor.dtype != first.dtype:
            raise ValueError(
                f"{name}: {first.dtype} as of {first_name} expected, got {tensor.dtype}"
            )


def check_devices(**tensors: Tensor | None) -> None:
    """All tensors that are not None are on the first one's device.

    Raises:
        ValueError: naming the first that is not.
    """
    given = [(name, tensor) for name, tensor in tensors.items() if tensor is not None]
    first_name, first = given[0]
    for name, tensor in given[1:]:
        if tensor.device != first.device:
            raise ValueError(
                f"{name}: device {first.device} as of {first_name} expected, got {tensor.device}"
            )


def check_dtype(name: str, tensor: Tensor, allowed: Sequence[torch.dtype]) -> None:
    """Raises: ValueError: the tensor's type is none of `allowed`."""
    if tensor.dtype not in allowed:
        wanted = " or ".join(str(dtype) for dtype in allowed)
        raise ValueError(f"{name}: {wanted} expected, got {tensor.dtype}")


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Raises: ValueError: not low <= value <= high; NaN fails too."""
    if not low <= value <= high:
        raise ValueError(f"{name}: {low} to {high} expected, got {value}")


def check_lengths(name: str, lengths: Tensor | None, B: int, N: int, like: Tensor) -> None:
    """`lengths` is None, or [B] int64 on the device of `like` with values of 1 to N.

    Raises:
        ShapeError: another shape.
        ValueError: another type or device, or a value out of range.
    """
    if lengths is None:
        return
    if lengths.shape != (B,):
        raise ShapeError(f"{name}: [{B}] expected, got {list(lengths.shape)}")
    check_dtype(name, lengths, [torch.int64])
    if lengths.device != like.device:
        raise ValueError(f"{name}: device {like.device} expected, got {lengths.device}")
    check_index(name, lengths, 1, N)


def check_index(name: str, index: Tensor, low: int, high: int) -> None:
    """Every value of an integer tensor is low to high, both included.

    Raises:
        ValueError: naming the bounds and the extreme value found.
    """
    if values_are_trusted() or index.numel() == 0:
        return
    least, most = (int(value) for value in index.aminmax())
    if least < low or most > high:
        found = least if least < low else most
        raise ValueError(f"{name}: values of {low} to {high} expected, got {found}")


def check_finite(**tensors: Tensor | None) -> None:
    """No tensor holds NaN or infinity; those that are None are passed over.

    Raises:
        ValueError: naming the tensor and how many of its values are not finite.
    """
    if values_are_trusted():
        return
    for name, tensor in tensors.items():
        if tensor is None or tensor.numel() == 0 or not tensor.dtype.is_floating_point:
            continue
        # A sum is finite only if all terms are, and is one pass; a large sum may overflow.
        wide = torch.promote_types(tensor.dtype, torch.float32)
        if bool(torch.isfinite(tensor.detach().sum(dtype=wide))):
            continue
        bad = int((~torch.isfinite(tensor)).sum())
        if bad:
            raise ValueError(f"{name}: finite values expected, got {bad} that are NaN or infinite")
