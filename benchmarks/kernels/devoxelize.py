from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.kernels.cases import Call, Case, by_backend, cloud
from kernels.devoxelize import TABLE, corners, devoxelize, reference
from kernels.voxelize import voxel_coordinates

# B, N, C, R: the three levels of PVCNN2's encoder, then batches.
_SHAPES = ((1, 8192, 64, 32), (1, 1024, 128, 16), (1, 256, 256, 8), (8, 2048, 64, 16))
_GPU_SHAPES = (*_SHAPES, (16, 8192, 64, 32), (1, 100_000, 32, 32))
_BYTES_PER_S = 4.3e12


def cases(device: torch.device) -> Iterator[Case]:
    on_cpu = device.type == "cpu"
    for B, N, C, R in _SHAPES if on_cpu else _GPU_SHAPES:
        generator = torch.Generator().manual_seed(1)
        # Channels last, as they come from `average_voxelize` and from convolutions of its grids.
        rows = torch.randn(B, R**3, C, generator=generator).to(device)
        grid = rows.view(B, R, R, R, C).permute(0, 4, 1, 2, 3)
        coords = voxel_coordinates(cloud(device, B, N), R).coords
        index, weight = corners(coords, R)
        others: dict[str, Call] = {"torch grid_sample": partial(_grid_sample, grid, coords)}
        if not on_cpu:
            from benchmarks.kernels import one_program

            others["torch.compile"] = partial(torch.compile(reference.devoxelize), rows, coords, R)
            others["one program a cloud"] = partial(one_program.devoxelize, rows, index, weight)
        taken = index + R**3 * torch.arange(B, device=device)[:, None, None]
        touched = int(torch.bincount(taken.flatten()).count_nonzero())
        yield Case(
            name=f"B {B}, N {N:,}, C {C}, R {R}",
            size=float(B * N * C),
            like=grid,
            ours=by_backend(TABLE, grid, partial(devoxelize, grid, coords)),
            others=others,
            floor_us=4 * C * (touched + B * N) / _BYTES_PER_S * 1e6,
        )


def _grid_sample(grid: Tensor, coords: Tensor) -> Tensor:
    places = (coords * (2 / (grid.shape[2] - 1)) - 1).flip(-1)[:, :, None, None]
    return F.grid_sample(grid, places, mode="bilinear", align_corners=True)[..., 0, 0].mT
