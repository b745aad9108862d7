from collections.abc import Callable, Iterator
from functools import cache, partial

import torch
from torch import Tensor

from benchmarks.kernels.cases import Call, Case, by_backend, cloud
from benchmarks.kernels.libraries import neighbor_searches
from kernels.three_nn_interpolate import TABLE, three_nn_interpolate

# Clouds, points, centres, channels: the levels of PVCNN2 on 2,048 and 8,192 points.
_SHAPES = ((1, 64, 16, 512), (1, 256, 64, 256), (1, 1024, 256, 256), (1, 8192, 1024, 128))
_GPU_SHAPES = (*_SHAPES, (8, 8192, 1024, 128), (32, 2048, 512, 128), (1, 100_000, 8192, 64))
_INSTRUCTIONS, _A_SECOND = 19, 33.5e12  # of a pair: distance 6, comparisons 3, selections 10
_BANDWIDTH = 4.3e12
_DENSE = 3e8  # pairs from which [B, N, M] would not fit, or nobody would wait


def cases(device: torch.device) -> Iterator[Case]:
    on_cpu = device.type == "cpu"
    for B, N, M, C in _SHAPES if on_cpu else _GPU_SHAPES:
        points, centers = cloud(device, B, N), cloud(device, B, M, seed=1)
        features = torch.randn(B, M, C, generator=torch.Generator().manual_seed(2)).to(device)
        pairs = float(B * N * M)
        dense = pairs > _DENSE
        call = partial(three_nn_interpolate, points, centers, features)
        others: dict[str, Call] = {}
        if not dense:
            others["PyTorch, topk"] = partial(_eager, points, centers, features)
            if not on_cpu:
                others["torch.compile"] = partial(_compiled, points, centers, features)
        for name, search in neighbor_searches(points, centers, min(3, M), brute=True).items():
            others[f"{name}, without interpolation"] = search
        moved = 4 * C * B * (N + M)
        yield Case(
            name=f"B {B}, N {N:,}, M {M:,}, C {C}",
            size=pairs,
            like=points,
            ours=by_backend(TABLE, points, call, ("reference",) if dense else ()),
            others=others,
            floor_us=(pairs * _INSTRUCTIONS / _A_SECOND + moved / _BANDWIDTH) * 1e6,
        )


def _eager(points: Tensor, centers: Tensor, features: Tensor) -> Tensor:
    sq_dist = (points[:, :, None] - centers[:, None]).square().sum(dim=-1)
    least, index = sq_dist.topk(3, dim=-1, largest=False)
    inverse = 1 / least.clamp(min=1e-10)
    weights = inverse / inverse.sum(dim=-1, keepdim=True)
    clouds = torch.arange(len(points), device=points.device)[:, None, None]
    return (features[clouds, index] * weights[..., None]).sum(dim=2)


def _compiled(points: Tensor, centers: Tensor, features: Tensor) -> Tensor:
    return _compiled_eager()(points, centers, features)


@cache
def _compiled_eager() -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    return torch.compile(_eager, dynamic=False)
