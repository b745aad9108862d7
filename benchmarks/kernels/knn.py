from collections.abc import Iterator
from functools import partial

import torch
from scipy.spatial import cKDTree
from torch import Tensor

from benchmarks.kernels.cases import Call, Case, by_backend, cloud
from benchmarks.kernels.libraries import neighbor_searches
from kernels.knn import TABLE, knn

# B, M = N, k: a surface's normals, and the nearest three that features are interpolated from.
_SHAPES = ((1, 256, 3), (1, 2048, 8), (8, 2048, 3), (1, 8192, 16), (1, 32768, 8))
_GPU_SHAPES = (*_SHAPES, (32, 8192, 3), (1, 100_000, 16))
# Of a pair, by k: instructions of 33.5e12 a second.
_FLOOR_S = {3: 22.8 / 33.5e12, 8: 28.5 / 33.5e12, 16: 28.5 / 33.5e12}
_MOST_SLOW = 5e6  # pairs up to which quadratic methods are timed on a CPU


def cases(device: torch.device) -> Iterator[Case]:
    on_cpu = device.type == "cpu"
    for B, N, k in _SHAPES if on_cpu else _GPU_SHAPES:
        query, points = cloud(device, B, N), cloud(device, B, N, seed=1)
        pairs = float(B * N * N)
        slow = on_cpu and pairs > _MOST_SLOW
        dense = pairs > 3e8  # [B, M, N] would not fit, or nobody would wait
        leave_out = (*(("tiled",) if slow else ()), *(("reference",) if dense or slow else ()))
        others: dict[str, Call] = {}
        if not dense and not slow:
            others["torch.cdist"] = partial(_cdist, query, points, k)
        if on_cpu:
            others["SciPy cKDTree"] = partial(_scipy, query, points, k)
        elif not dense:
            others["torch.compile"] = partial(torch.compile(_direct), query, points, k)
        others.update(neighbor_searches(query, points, k, brute=not slow))
        yield Case(
            name=f"B {B}, M = N {N:,}, k {k}",
            size=pairs,
            like=query,
            ours=by_backend(TABLE, query, partial(knn, query, points, k), leave_out),
            others=others,
            floor_us=pairs * _FLOOR_S[k] * 1e6,
        )


def _cdist(query: Tensor, points: Tensor, k: int) -> object:
    return torch.cdist(query, points).topk(k, dim=2, largest=False)


def _direct(query: Tensor, points: Tensor, k: int) -> object:
    sq_dist = (query[:, :, None] - points[:, None]).square().sum(dim=-1)
    return sq_dist.topk(k, dim=2, largest=False)


def _scipy(query: Tensor, points: Tensor, k: int) -> object:
    pairs = zip(query.numpy(), points.numpy(), strict=True)
    return [cKDTree(cloud).query(asked, k=k, workers=2) for asked, cloud in pairs]
