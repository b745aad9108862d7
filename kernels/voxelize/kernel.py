"""Means by cell, made of points in the order of their cells.

Programs own cells, not points: nothing is added from two sides, so no atomics, and a cell is summed
in the order of its points. A small batch is sorted by counting, for each point, the ones that stand
before it: quadratic, but one launch that fills the device, where a radix sort is half a dozen.

A cell is summed by one program, four points at a time: thousands of points in one cell are slow.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK_N, BLOCK_M = 32, 128  # points ranked by a program, points they are compared with at a time
BLOCK_R, WIDEST_C, TAPS = 16, 64, 4  # cells and channels of a program, points read at a time
BLOCK_RUN = 256
WARPS = 4
_MOST_PAIRS = 1 << 27  # B * N * N: ten to twenty microseconds of an H200, a radix sort's time
_LARGEST_KEY = 1 << 30


@triton.jit
def rank_kernel(cell_ptr, order_ptr, N, BLOCK_N: tl.constexpr, BLOCK_M: tl.constexpr):
    """order[rank of point i by (cell, i)] = i."""
    cloud = tl.program_id(1).to(tl.int64) * N
    i = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    key = tl.load(cell_ptr + cloud + i, mask=i < N, other=0).to(tl.int32) * N + i
    before = tl.zeros([BLOCK_N, BLOCK_M], tl.int32)
    for first in range(0, N, BLOCK_M):
        j = first + tl.arange(0, BLOCK_M)
        other = tl.load(cell_ptr + cloud + j, mask=j < N, other=0).to(tl.int32) * N + j
        other = tl.where(j < N, other, 0x3FFFFFFF)
        # The sign of the difference: 2.3 instructions a pair, where comparing takes 4.3.
        apart = (other[None, :] - key[:, None]).to(tl.uint32, bitcast=True)
        before += (apart >> 31).to(tl.int32)
    rank = tl.sum(before, axis=1)
    tl.store(order_ptr + cloud + rank, i.to(tl.int64), mask=i < N)


@triton.jit
def runs_kernel(cell_ptr, order_ptr, start_ptr, stop_ptr, N, cells, BLOCK: tl.constexpr):
    """Where the points of each cell start and stop in `order`; cells without any are left alone."""
    b = tl.program_id(1).to(tl.int64)
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    order = order_ptr + b * N + at
    cell = tl.load(cell_ptr + b * N + tl.load(order, mask=at < N, other=0))
    left = tl.load(cell_ptr + b * N + tl.load(order - 1, mask=(at > 0) & (at < N), other=0))
    right = tl.load(cell_ptr + b * N + tl.load(order + 1, mask=at < N - 1, other=0))
    known = (at < N) & (cell >= 0) & (cell < cells)
    is_first = known & ((at == 0) | (left != cell))
    is_last = known & ((at == N - 1) | (right != cell))
    tl.store(start_ptr + b * cells + cell, at, mask=is_first)
    tl.store(stop_ptr + b * cells + cell, at + 1, mask=is_last)


@triton.jit
def mean_kernel(
    features_ptr,
    order_ptr,
    start_ptr,
    stop_ptr,
    mean_ptr,
    count_ptr,
    N,
    C,
    cells,
    BLOCK_R: tl.constexpr,
    BLOCK_C: tl.constexpr,
    TAPS: tl.constexpr,
):
    b = tl.program_id(1).to(tl.int64)
    cell = tl.program_id(0) * BLOCK_R + tl.arange(0, BLOCK_R)
    channel = tl.program_id(2) * BLOCK_C + tl.arange(0, BLOCK_C)
    here, wanted = cell < cells, (channel < C)[None, :]
    start = tl.load(start_ptr + b * cells + cell, mask=here, other=0)
    count = tl.load(stop_ptr + b * cells + cell, mask=here, other=0) - start
    order = order_ptr + b * N + start
    features = features_ptr + b * N * C + channel[None, :]
    total = tl.zeros([BLOCK_R, BLOCK_C], tl.float32)
    for first in range(0, tl.max(count), TAPS):
        for tap in tl.static_range(TAPS):
            more = first + tap < count
            point = tl.load(order + first + tap, mask=more, other=0)
            taken = more[:, None] & wanted
            value = tl.load(features + point[:, None] * C, mask=taken, other=0.0)
            total += value.to(tl.float32)
    mean = tl.div_rn(total, tl.maximum(count, 1).to(tl.float32)[:, None])
    row = b * cells + cell
    out = mean_ptr + row[:, None] * C + channel[None, :]
    tl.store(out, mean.to(mean_ptr.dtype.element_ty), mask=here[:, None] & wanted)
    tl.store(count_ptr + row, count, mask=here & (tl.program_id(2) == 0))


def average_voxelize(features: Tensor, cell: Tensor, cells: int) -> tuple[Tensor, Tensor]:
    """[B, cells, C] means and [B, cells] int32 counts; cells out of range are left out."""
    features, cell = features.contiguous(), cell.contiguous()
    B, N, C = features.shape
    mean = features.new_empty(B, cells, C)
    count = torch.empty(B, cells, dtype=torch.int32, device=cell.device)
    if B == 0:
        return mean, count
    order = _order(cell, cells)
    start, stop = torch.zeros(2, B, cells, dtype=torch.int32, device=cell.device)
    runs_kernel[(triton.cdiv(N, BLOCK_RUN), B)](
        cell, order, start, stop, N, cells, BLOCK=BLOCK_RUN, num_warps=WARPS
    )
    block_c = min(triton.next_power_of_2(C), WIDEST_C)
    mean_kernel[(triton.cdiv(cells, BLOCK_R), B, triton.cdiv(C, block_c))](
        features,
        order,
        start,
        stop,
        mean,
        count,
        N,
        C,
        cells,
        BLOCK_R=BLOCK_R,
        BLOCK_C=block_c,
        TAPS=TAPS,
        num_warps=WARPS,
    )
    return mean, count


def _order(cell: Tensor, cells: int) -> Tensor:
    """[B, N] int64: the points of each cloud by cell, those of a cell in their order."""
    B, N = cell.shape
    if B * N * N > _MOST_PAIRS or (cells + 1) * N > _LARGEST_KEY:
        return cell.to(torch.int32).sort(dim=1, stable=True).indices
    order = torch.empty_like(cell)
    rank_kernel[(triton.cdiv(N, BLOCK_N), B)](
        cell, order, N, BLOCK_N=BLOCK_N, BLOCK_M=BLOCK_M, num_warps=WARPS
    )
    return order
