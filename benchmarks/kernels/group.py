from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from benchmarks.kernels.cases import Case, by_backend, cloud
from kernels.group import TABLE, group, group_relative

# B, N, C, M: the levels of PVCNN2, U = 32.
_SHAPES = ((1, 1024, 64, 256), (1, 8192, 32, 1024), (8, 1024, 64, 256))
_GPU_SHAPES = (*_SHAPES, (16, 8192, 32, 1024))
_U = 32
_BANDWIDTH = 4.3e12  # bytes a second of an H200


def cases(device: torch.device) -> Iterator[Case]:
    for B, N, C, M in _SHAPES if device.type == "cpu" else _GPU_SHAPES:
        generator = torch.Generator().manual_seed(0)
        features = torch.randn(B, N, C, generator=generator).to(device)
        index = torch.randint(N, (B, M, _U), generator=generator).to(device)
        points, centers = cloud(device, B, N), cloud(device, B, M, seed=1)
        shape = f"B {B}, N {N:,}, C {C}, M {M:,}"
        # Each feature is read once and each element written once, beside the index.
        moved = 4 * B * N * C + 8 * B * M * _U
        size = float(B * M * _U * C)
        yield Case(
            name=f"features, {shape}",
            size=size,
            like=features,
            ours=by_backend(TABLE, features, partial(group, features, index)),
            others={"torch.gather": partial(_gather, features, index)},
            floor_us=(moved + 4 * size) / _BANDWIDTH * 1e6,
        )
        size = float(B * M * _U * (3 + C))
        arguments = (points, centers, features, index)
        others = {"torch.gather": partial(_relative, *arguments)}
        if device.type == "cuda":
            others["torch.compile"] = partial(torch.compile(_relative), *arguments)
        yield Case(
            name=f"relative, {shape}",
            size=size,
            like=points,
            ours=by_backend(TABLE, points, partial(group_relative, *arguments)),
            others=others,
            floor_us=(moved + 12 * B * N + 4 * size) / _BANDWIDTH * 1e6,
        )


def _gather(features: Tensor, index: Tensor) -> Tensor:
    flat = index.flatten(1)[..., None].expand(-1, -1, features.shape[2])
    return features.gather(1, flat).view(*index.shape, -1)


def _relative(points: Tensor, centers: Tensor, features: Tensor, index: Tensor) -> Tensor:
    near = _gather(points, index) - centers[:, :, None]
    return torch.cat([near, _gather(features, index)], dim=3)
