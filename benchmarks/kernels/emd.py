"""Of Sinkhorn and its rivals by time alone; how far the bound is off, its test says."""

from collections.abc import Iterator
from functools import partial
from importlib import import_module
from importlib.util import find_spec

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from benchmarks.kernels.cases import Call, Case, by_backend, cloud
from kernels.emd import TABLE, emd

_SHAPES = ((1, 256), (1, 1024), (1, 2048))
_GPU_SHAPES = (*_SHAPES, (1, 8192), (8, 2048))
_MOST_SINKHORN = 1024  # points up to which it is timed on a CPU, where it is minutes beyond


def cases(device: torch.device) -> Iterator[Case]:
    on_cpu = device.type == "cpu"
    for B, N in _SHAPES if on_cpu else _GPU_SHAPES:
        x, y = cloud(device, B, N), cloud(device, B, N, seed=1)
        slow = find_spec("geomloss") is None or (on_cpu and N > _MOST_SINKHORN)
        others: dict[str, Call] = {"torch.cdist, SciPy": partial(_scipy, x, y)}
        if find_spec("ot") is not None:
            others["POT emd2"] = partial(_pot, x, y)
        yield Case(
            name=f"B {B}, N {N:,}",
            size=float(N),
            like=x,
            ours=by_backend(
                TABLE, x, partial(emd, x, y), ("reference", *(("sinkhorn",) if slow else ()))
            ),
            others=others,
        )


def _scipy(x: Tensor, y: Tensor) -> list[float]:
    costs = torch.cdist(x, y).cpu().numpy()
    return [float(cost[linear_sum_assignment(cost)].mean()) for cost in costs]


def _pot(x: Tensor, y: Tensor) -> list[float]:
    ot = import_module("ot")
    costs = torch.cdist(x, y).double().cpu().numpy()
    return [float(ot.emd2([], [], cost)) for cost in costs]
