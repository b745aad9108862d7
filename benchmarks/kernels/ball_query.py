from collections.abc import Iterator
from functools import partial

import torch
from scipy.spatial import cKDTree
from torch import Tensor

from benchmarks.kernels.cases import Call, Case, by_backend, cloud
from kernels.ball_query import TABLE, ball_query

# B, M, N, radius: the levels of PVCNN2, U = 32.
_SHAPES = ((1, 256, 1024, 0.2), (1, 1024, 8192, 0.1), (8, 256, 1024, 0.2))
_GPU_SHAPES = (*_SHAPES, (16, 1024, 8192, 0.1))
_U = 32
_FLOOR_S = 13 / 33.5e12  # of a pair: instructions of a tile without hits
_MOST_SLOW = 5e6  # pairs up to which all distances at once are timed on a CPU


def cases(device: torch.device) -> Iterator[Case]:
    on_cpu = device.type == "cpu"
    for B, M, N, radius in _SHAPES if on_cpu else _GPU_SHAPES:
        points = cloud(device, B, N)
        centers = points[:, :M].contiguous()
        pairs = float(B * M * N)
        leave_out = ("reference",) if on_cpu and pairs > _MOST_SLOW else ()
        others: dict[str, Call] = {}
        if on_cpu:
            others["SciPy query_ball_point, without slots"] = partial(
                _scipy, centers, points, radius
            )
        else:
            others["torch.compile"] = partial(torch.compile(_sorted), centers, points, radius)
        if not leave_out:
            others["eager sort"] = partial(_sorted, centers, points, radius)
        yield Case(
            name=f"B {B}, M {M:,}, N {N:,}, radius {radius}",
            size=pairs,
            like=centers,
            ours=by_backend(
                TABLE, centers, partial(ball_query, centers, points, radius, _U), leave_out
            ),
            others=others,
            floor_us=pairs * _FLOOR_S * 1e6,
        )


def _sorted(centers: Tensor, points: Tensor, radius: float) -> object:
    """As PointNet++ is often written in PyTorch: numbers of misses are sorted to the end."""
    N = points.shape[1]
    sq_dist = (centers[:, :, None] - points[:, None]).square().sum(dim=-1)
    index = torch.arange(N, device=points.device).expand(sq_dist.shape)
    index = torch.where(sq_dist < radius**2, index, N).sort(dim=2).values[..., :_U]
    return torch.where(index == N, index[..., :1], index)


def _scipy(centers: Tensor, points: Tensor, radius: float) -> object:
    pairs = zip(centers.numpy(), points.numpy(), strict=True)
    return [cKDTree(b).query_ball_point(a, radius, return_sorted=True) for a, b in pairs]
