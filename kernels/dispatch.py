"""Which backend serves a call: measured tables, and a way to force one.

Each operator has a `Table`: what it can run on, and rows that say which backend wins where. A row
names the file of benchmarks/results that it was read from, or "" where nothing has been measured,
as on devices that nobody had at hand.
"""

import logging
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from types import MappingProxyType

import torch
from torch import Tensor

from kernels.errors import BackendError

CPU = ("cpu",)
CUDA = ("cuda",)
ANYWHERE = ("cpu", "cuda")

_log = logging.getLogger("bozzetto.kernels")
# Backend by operator; "" stands for every operator that has it.
_forced: ContextVar[Mapping[str, str]] = ContextVar("kernels_forced", default=MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Choice:
    """One row of a table: `backend` on `device`, for calls of at most `up_to`, of `dtypes` (of all
    without any). `measured` is the stem of a file of benchmarks/results, or "" for a choice that
    rests on published facts alone."""

    backend: str
    device: str
    up_to: float = math.inf
    dtypes: tuple[torch.dtype, ...] = ()
    measured: str = ""

    def fits(self, device: str, dtype: torch.dtype, size: float) -> bool:
        return (
            self.device == device
            and size <= self.up_to
            and (not self.dtypes or dtype in self.dtypes)
        )


@dataclass(frozen=True, slots=True)
class Table:
    """An operator's backends and which of them serves what.

    Attributes:
        op: the operator's name.
        size: what `up_to` counts, in words: "pairs, B * N * M".
        backends: the devices that each can run on. `triton` also runs on the CPU where Triton's
            interpreter is switched on.
        choices: the first row that fits and can run wins.
        dtypes: the types that a backend is limited to, where it is.
    """

    op: str
    size: str
    backends: Mapping[str, tuple[str, ...]]
    choices: tuple[Choice, ...]
    dtypes: Mapping[str, tuple[torch.dtype, ...]] = field(default_factory=dict)

    def pick(self, like: Tensor, size: float) -> str:
        """The backend for a call of `size` on tensors such as `like`.

        Raises:
            BackendError: a forced one is unknown here or cannot run.
        """
        device, dtype = _kind(like), like.dtype
        forced = _forced.get()
        name = forced.get(self.op) or forced.get("")
        if name is not None and (self.op in forced or name in self.backends):
            if not self.runs(name, device, dtype):
                raise BackendError(
                    f"{self.op}: one of {', '.join(self.runnable(device, dtype))} expected for "
                    f"{dtype} on {device}, got {name!r}"
                )
            return name
        for choice in self.choices:
            if choice.fits(device, dtype, size) and self.runs(choice.backend, device, dtype):
                _tell(self.op, device, dtype, choice)
                return choice.backend
        raise BackendError(f"{self.op}: no backend for {dtype} on {device}")

    def runs(self, backend: str, device: str, dtype: torch.dtype) -> bool:
        """Whether this process can run `backend` on such tensors."""
        if backend not in self.backends or dtype not in self.dtypes.get(backend, (dtype,)):
            return False
        if backend == "triton":
            return _has_triton() and (device == "cuda" or interpreting())
        return device in self.backends[backend]

    def runnable(self, device: str, dtype: torch.dtype = torch.float32) -> list[str]:
        return [backend for backend in self.backends if self.runs(backend, device, dtype)]


@contextmanager
def use_backend(backend: str, *ops: str) -> Iterator[None]:
    """Within it, `ops` run on `backend`; without any named, every operator that has it does.

    An operator that is named and lacks it, or cannot run it, raises BackendError when called.
    """
    token = _forced.set({**_forced.get(), **dict.fromkeys(ops or ("",), backend)})
    try:
        yield
    finally:
        _forced.reset(token)


def interpreting() -> bool:
    """Whether Triton's interpreter is switched on: kernels then run on CPU tensors, slowly."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def _kind(tensor: Tensor) -> str:
    return "cuda" if tensor.is_cuda else tensor.device.type


@cache
def _has_triton() -> bool:
    return find_spec("triton") is not None


@cache
def _tell(op: str, device: str, dtype: torch.dtype, choice: Choice) -> None:
    source = choice.measured or "not measured"
    _log.info("%s on %s %s: %s (%s)", op, device, dtype, choice.backend, source)
