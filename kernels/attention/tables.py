"""Which backend serves which call: a table for each kind of call, all under one name."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import torch

from kernels.dispatch import ANYWHERE, CUDA, Choice, Table

_HALVES = (torch.float16, torch.bfloat16)
_SHORT = (torch.float32, *_HALVES)

_CPU = (
    Choice("sdpa_flash", "cpu", measured="kernels-cpu"),
    Choice("eager", "cpu", measured="kernels-cpu"),
    Choice("reference", "cpu"),
)
# Backwards the fused kernel is slow in bfloat16, until scores no longer fit a cache.
_CPU_BACKWARDS = (
    Choice("eager", "cpu", up_to=1e7, dtypes=(torch.bfloat16,), measured="kernels-cpu"),
    *_CPU,
)
_CUDA = (
    Choice("sdpa_flash", "cuda", up_to=2.2e7, dtypes=_HALVES),
    Choice("sdpa_cudnn", "cuda", dtypes=_HALVES),
    Choice("sdpa_flash", "cuda", dtypes=_HALVES),
    Choice("sdpa_efficient", "cuda", dtypes=_SHORT),
    Choice("triton", "cuda", dtypes=_SHORT),
    Choice("eager", "cuda"),
    Choice("reference", "cuda"),
)
# Head dimensions that libraries round up further than our kernel does.
_CUDA_BETWEEN = (
    Choice("sdpa_flash", "cuda", up_to=1.6e7, dtypes=_HALVES),
    Choice("triton", "cuda", dtypes=_HALVES),
    *_CUDA,
)

TABLE = Table(
    op="attention",
    size="scores, B * H * N * M",
    backends={
        "reference": ANYWHERE,
        "eager": ANYWHERE,
        "sdpa_math": ANYWHERE,
        "sdpa_flash": ANYWHERE,
        "sdpa_efficient": CUDA,
        "sdpa_cudnn": CUDA,
        "triton": CUDA,
    },
    choices=(*_CPU, *_CUDA),
    dtypes={
        # Scores of half precision overflow at 65,504.
        "eager": (torch.float32, torch.float64, torch.bfloat16),
        "sdpa_efficient": _SHORT,
        "sdpa_cudnn": _HALVES,
        "triton": _SHORT,
    },
)


class Need(NamedTuple):
    """What decides, beside type and size, which backends can take a call."""

    device: str
    dtype: torch.dtype
    head_dim: int
    masked: bool = False
    lse: bool = False
    gradient: bool = False
    bias_gradient: bool = False
    deterministic: bool = False


@cache
def table_for(need: Need) -> Table:
    """`TABLE` without the backends that cannot meet `need`, in the order of its kind of call."""
    cpu = _CPU_BACKWARDS if need.gradient else _CPU
    cuda = _CUDA_BETWEEN if 64 < need.head_dim <= 80 else _CUDA
    return replace(TABLE, backends=_able(need), choices=(*cpu, *cuda))


def _able(need: Need) -> Mapping[str, tuple[str, ...]]:
    barred: set[str] = set()
    if need.lse or need.bias_gradient:
        barred.update({"sdpa_flash", "sdpa_efficient", "sdpa_cudnn"})
    if need.lse:
        barred.add("sdpa_math")
    if need.gradient or need.head_dim > 128:
        barred.add("triton")
    if need.device == "cuda":
        if need.masked or need.dtype not in _HALVES or need.head_dim > 256:
            barred.add("sdpa_flash")
        if need.head_dim % 8 or need.head_dim > 128:
            barred.add("sdpa_cudnn")
        if need.gradient and need.deterministic:
            barred.update({"sdpa_efficient", "sdpa_cudnn"})
    return {name: devices for name, devices in TABLE.backends.items() if name not in barred}
