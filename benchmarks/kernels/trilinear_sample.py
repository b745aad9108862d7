from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.kernels.cases import Call, Case, by_backend
from kernels.trilinear_sample import TABLE, trilinear_sample

_SHAPES = ((1, 32, 32, 2048), (1, 32, 32, 32768), (4, 32, 32, 8192), (1, 1, 128, 32768))
_GPU_SHAPES = (*_SHAPES, (8, 32, 64, 32768), (1, 32, 64, 2_000_000))
_BYTES_S = 4.3e12


def cases(device: torch.device) -> Iterator[Case]:
    on_cpu = device.type == "cpu"
    for B, C, R, N in _SHAPES if on_cpu else _GPU_SHAPES:
        generator = torch.Generator().manual_seed(0)
        grid = torch.randn(B, C, R, R, R, generator=generator).to(device)
        points = (torch.rand(B, N, 3, generator=generator) * 2 - 1).to(device)
        call = partial(trilinear_sample, grid, points, align_corners=True)
        others: dict[str, Call] = {}
        if on_cpu:
            others["F.embedding_bag"] = partial(_bag, grid, points)
        else:
            others["torch.compile"] = partial(torch.compile(call))
        yield Case(
            name=f"B {B}, C {C}, R {R}, N {N:,}",
            size=float(B * N * C),
            like=grid,
            ours=by_backend(TABLE, grid, call),
            others=others,
            floor_us=4 * B * (C * R**3 + N * (3 + C)) / _BYTES_S * 1e6,
        )


def _bag(grid: Tensor, points: Tensor) -> Tensor:
    """Weighted sums of rows of a table, which the grid becomes: for points within it."""
    B, C, R = grid.shape[:3]
    place = (points + 1) / 2 * (R - 1)
    low = place.floor().clamp(max=R - 2)
    share = torch.stack([1 - (place - low), place - low])  # [2, B, N, 3]
    index, weight = [], []
    for dx, dy, dz in torch.cartesian_prod(*[torch.arange(2)] * 3).tolist():
        x, y, z = low.long().unbind(-1)
        index.append(((z + dz) * R + y + dy) * R + x + dx)
        weight.append(share[dx, ..., 0] * share[dy, ..., 1] * share[dz, ..., 2])
    first = torch.arange(B)[:, None] * R**3
    rows = grid.permute(0, 2, 3, 4, 1).reshape(-1, C)
    table = (torch.stack(index, dim=-1) + first[..., None]).view(-1, 8)
    shares = torch.stack(weight, dim=-1).view(-1, 8)
    return F.embedding_bag(table, rows, per_sample_weights=shares, mode="sum").view(B, -1, C)
