from collections.abc import Iterator
from functools import partial

import torch
from scipy.spatial import cKDTree
from torch import Tensor

from benchmarks.kernels.cases import Call, Case, by_backend, cloud
from benchmarks.kernels.libraries import neighbor_searches
from kernels.chamfer import TABLE, nearest_pairs

_SHAPES = ((1, 256), (1, 2048), (8, 2048), (1, 8192), (1, 32768))
_GPU_SHAPES = (*_SHAPES, (64, 2048), (32, 8192), (1, 100_000))
_FLOOR_S = 5.9e-13  # of a pair, both ways: 9.9 instructions of 33.5e12 a second, twice
_MOST_SLOW = 2e8  # pairs up to which quadratic methods are timed on a CPU


def cases(device: torch.device) -> Iterator[Case]:
    on_cpu = device.type == "cpu"
    for B, N in _SHAPES if on_cpu else _GPU_SHAPES:
        x, y = cloud(device, B, N), cloud(device, B, N, seed=1)
        pairs = float(B * N * N)
        slow = on_cpu and pairs > _MOST_SLOW
        dense = pairs > 3e8  # [B, N, M] would not fit, or nobody would wait
        leave_out = (*(("tiled",) if slow else ()), *(("reference",) if dense or slow else ()))
        others: dict[str, Call] = {}
        if not dense and not slow:
            others["torch.cdist"] = partial(_cdist, x, y)
        if on_cpu:
            others["SciPy cKDTree"] = partial(_scipy, x, y)
        there = neighbor_searches(x, y, 1, brute=not slow)
        back = neighbor_searches(y, x, 1, brute=not slow)
        others.update({name: _both(there[name], back[name]) for name in there})
        yield Case(
            name=f"B {B}, N = M {N:,}",
            size=pairs,
            like=x,
            ours=by_backend(TABLE, x, partial(nearest_pairs, x, y), leave_out),
            others=others,
            floor_us=pairs * _FLOOR_S * 1e6,
        )


def _both(there: Call, back: Call) -> Call:
    return lambda: (there(), back())


def _cdist(x: Tensor, y: Tensor) -> object:
    distance = torch.cdist(x, y)
    return distance.min(dim=2), distance.min(dim=1)


def _scipy(x: Tensor, y: Tensor) -> object:
    both = [(x[b].numpy(), y[b].numpy()) for b in range(len(x))]
    return [(cKDTree(b).query(a, workers=2), cKDTree(a).query(b, workers=2)) for a, b in both]
