"""Voxelisation as it was published: one program for each cloud, features added by atomics. What our
kernels are measured against on a GPU, written anew in Triton so that nothing else differs."""

# mypy: disable-error-code="no-untyped-def, untyped-decorator"
# ruff: noqa: ANN001, ANN202

import torch
import triton
import triton.language as tl
from torch import Tensor

_WARPS = 16
_BLOCK = 64  # points at a time


@triton.jit
def _count_kernel(cell_ptr, count_ptr, N, cells, BLOCK: tl.constexpr):
    b = tl.program_id(0).to(tl.int64)
    for first in range(0, N, BLOCK):
        point = first + tl.arange(0, BLOCK)
        cell = tl.load(cell_ptr + b * N + point, mask=point < N, other=0)
        tl.atomic_add(count_ptr + b * cells + cell, 1, mask=point < N)


@triton.jit
def _mean_kernel(
    features_ptr,
    cell_ptr,
    count_ptr,
    out_ptr,
    N,
    C,
    cells,
    BLOCK: tl.constexpr,
    WIDTH: tl.constexpr,
):
    b = tl.program_id(0).to(tl.int64)
    channel = tl.arange(0, WIDTH)[None, :]
    for first in range(0, N, BLOCK):
        point = first + tl.arange(0, BLOCK)
        cell = tl.load(cell_ptr + b * N + point, mask=point < N, other=0)
        share = 1.0 / tl.load(count_ptr + b * cells + cell, mask=point < N, other=1).to(tl.float32)
        mask = (point < N)[:, None] & (channel < C)
        row = features_ptr + (b * N + point)[:, None] * C
        value = tl.load(row + channel, mask=mask, other=0.0) * share[:, None]
        tl.atomic_add(out_ptr + (b * cells + cell)[:, None] * C + channel, value, mask=mask)


@triton.jit
def _devoxelize_kernel(
    rows_ptr, index_ptr, weight_ptr, out_ptr, N, C, cells, BLOCK: tl.constexpr, WIDTH: tl.constexpr
):
    b = tl.program_id(0).to(tl.int64)
    channel = tl.arange(0, WIDTH)[None, :]
    for first in range(0, N, BLOCK):
        point = first + tl.arange(0, BLOCK)
        mask = (point < N)[:, None] & (channel < C)
        total = tl.zeros([BLOCK, WIDTH], tl.float32)
        for corner in tl.static_range(8):
            at = (b * N + point) * 8 + corner
            cell = tl.load(index_ptr + at, mask=point < N, other=0)
            weight = tl.load(weight_ptr + at, mask=point < N, other=0.0)
            tap = tl.load(
                rows_ptr + (b * cells + cell)[:, None] * C + channel, mask=mask, other=0.0
            )
            total += weight[:, None] * tap
        tl.store(out_ptr + (b * N + point)[:, None] * C + channel, total, mask=mask)


def average_voxelize(features: Tensor, cell: Tensor, cells: int) -> Tensor:
    """[B, cells, C] means of [B, N, C] features."""
    B, N, C = features.shape
    count = torch.zeros(B, cells, dtype=torch.int32, device=cell.device)
    out = features.new_zeros(B, cells, C)
    _count_kernel[(B,)](cell, count, N, cells, BLOCK=512, num_warps=_WARPS)
    width = triton.next_power_of_2(C)
    _mean_kernel[(B,)](
        features, cell, count, out, N, C, cells, BLOCK=_BLOCK, WIDTH=width, num_warps=_WARPS
    )
    return out


def devoxelize(rows: Tensor, index: Tensor, weight: Tensor) -> Tensor:
    """[B, N, C] blends of `rows` [B, cells, C], corners found beforehand."""
    (B, N, _), C = index.shape, rows.shape[2]
    out = rows.new_empty(B, N, C)
    width = triton.next_power_of_2(C)
    _devoxelize_kernel[(B,)](
        rows, index, weight, out, N, C, rows.shape[1], BLOCK=_BLOCK, WIDTH=width, num_warps=_WARPS
    )
    return out
