from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from benchmarks.kernels.cases import Call, Case, by_backend, cloud
from kernels.voxelize import TABLE, average_voxelize, voxel_coordinates

# B, N, C, R: the three levels of PVCNN2's encoder, then batches.
_SHAPES = ((1, 8192, 64, 32), (1, 1024, 128, 16), (1, 256, 256, 8), (8, 2048, 64, 16))
_GPU_SHAPES = (*_SHAPES, (16, 8192, 64, 32), (1, 100_000, 32, 32))
_BYTES_PER_S = 4.3e12


def cases(device: torch.device) -> Iterator[Case]:
    on_cpu = device.type == "cpu"
    for B, N, C, R in _SHAPES if on_cpu else _GPU_SHAPES:
        generator = torch.Generator().manual_seed(1)
        features = torch.randn(B, N, C, generator=generator).to(device)
        cell = voxel_coordinates(cloud(device, B, N), R).cell
        others: dict[str, Call] = {
            "torch scatter_reduce, without counts": partial(_scatter, features, cell, R)
        }
        if on_cpu:
            others["SciPy sparse"] = partial(_sparse, features, cell, R)
        else:
            from benchmarks.kernels import one_program

            others["torch.compile"] = partial(torch.compile(_scatter), features, cell, R)
            others["one program a cloud"] = partial(
                one_program.average_voxelize, features, cell, R**3
            )
        yield Case(
            name=f"B {B}, N {N:,}, C {C}, R {R}",
            size=float(features.numel()),
            like=features,
            ours=by_backend(TABLE, features, partial(average_voxelize, features, cell, R)),
            others=others,
            floor_us=4 * B * C * (N + R**3) / _BYTES_PER_S * 1e6,
        )


def _rows(cell: Tensor, R: int) -> Tensor:
    return (cell + R**3 * torch.arange(len(cell), device=cell.device)[:, None]).flatten()


def _scatter(features: Tensor, cell: Tensor, R: int) -> Tensor:
    B, _, C = features.shape
    row = _rows(cell, R)[:, None].expand(-1, C)
    out = features.new_zeros(B * R**3, C)
    return out.scatter_reduce_(0, row, features.view(-1, C), "mean", include_self=False)


def _sparse(features: Tensor, cell: Tensor, R: int) -> object:
    B, N, C = features.shape
    row = _rows(cell, R).numpy()
    member = csr_matrix(
        (np.ones(B * N, np.float32), row, np.arange(B * N + 1)), shape=(B * N, B * R**3)
    )
    total = member.T @ features.view(-1, C).numpy()
    count = np.bincount(row, minlength=B * R**3).astype(np.float32)
    return total / np.maximum(count, 1)[:, None]
