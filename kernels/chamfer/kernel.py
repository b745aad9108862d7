"""Nearest neighbours of one cloud in another.

Every lane keeps the best point that it has seen itself and lanes are compared once, after the loop:
10 instructions a pair, where a reduction inside the loop takes 45. A cloud that fills too few
multiprocessors is split over the points searched; parts are merged as one integer, distance above
index, whose order is that of (distance, index) because distances are not negative.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK_N, BLOCK_M = 64, 32
WARPS = 4
_PROGRAMS_WANTED = 4 * 132  # four waves of an H100 or H200
_MOST_SPLITS = 64


@triton.jit
def nearest_kernel(
    x_ptr,
    y_ptr,
    x_lengths_ptr,
    y_lengths_ptr,
    keys_ptr,
    N,
    M,
    split_size,
    B,
    HAS_X_LENGTHS: tl.constexpr,
    HAS_Y_LENGTHS: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_M: tl.constexpr,
):
    b = tl.program_id(1).to(tl.int64)
    split = tl.program_id(2)
    rows = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    x_count = tl.load(x_lengths_ptr + b).to(tl.int32) if HAS_X_LENGTHS else N
    y_count = tl.load(y_lengths_ptr + b).to(tl.int32) if HAS_Y_LENGTHS else M
    valid = rows < x_count
    x_row = x_ptr + (b * N + rows) * 3
    x0 = tl.load(x_row, mask=valid, other=0.0)[:, None]
    x1 = tl.load(x_row + 1, mask=valid, other=0.0)[:, None]
    x2 = tl.load(x_row + 2, mask=valid, other=0.0)[:, None]

    least = tl.full([BLOCK_N, BLOCK_M], float("inf"), tl.float32)
    start = split * split_size
    stop = tl.minimum(start + split_size, y_count)
    index = tl.zeros([BLOCK_N, BLOCK_M], tl.int32) + start
    lane = tl.arange(0, BLOCK_M)
    y_tile = y_ptr + (b * M + start) * 3
    for first in range(start, stop, BLOCK_M):
        # Past the end the last point stands again: equal distances keep the lower index.
        y_row = y_tile + tl.minimum(lane, stop - 1 - first) * 3
        d0 = x0 - tl.load(y_row)[None, :]
        d1 = x1 - tl.load(y_row + 1)[None, :]
        d2 = x2 - tl.load(y_row + 2)[None, :]
        sq_dist = d0 * d0 + d1 * d1 + d2 * d2
        nearer = sq_dist < least
        least = tl.where(nearer, sq_dist, least)
        index = tl.where(nearer, (first + lane)[None, :], index)
        y_tile += BLOCK_M * 3

    # Lanes past the end of a short tile have seen copies of its last point, under a number of their
    # own; no copy is nearer than the point, whose number is lower.
    best = tl.min(least, axis=1)
    at = tl.min(tl.where(least == best[:, None], index, 0x7FFFFFFF), axis=1)
    key = (best.to(tl.int32, bitcast=True).to(tl.int64) << 32) | at.to(tl.int64)
    # A split with no point left has nothing to say.
    key = tl.where(start < y_count, key, 0x7FFFFFFFFFFFFFFF)
    out = keys_ptr + (split.to(tl.int64) * B + b) * N + rows
    tl.store(out, tl.where(valid, key, -1), mask=rows < N)


def nearest_pairs(
    x: Tensor, y: Tensor, x_lengths: Tensor | None, y_lengths: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """See `kernels.chamfer.nearest_pairs`; float32 alone."""
    x, y = x.contiguous(), y.contiguous()
    return *_nearest(x, y, x_lengths, y_lengths), *_nearest(y, x, y_lengths, x_lengths)


def _nearest(
    x: Tensor, y: Tensor, x_lengths: Tensor | None, y_lengths: Tensor | None
) -> tuple[Tensor, Tensor]:
    B, N, _ = x.shape
    M = y.shape[1]
    blocks = triton.cdiv(N, BLOCK_N)
    splits = min(
        triton.cdiv(_PROGRAMS_WANTED, max(blocks * B, 1)), triton.cdiv(M, 4 * BLOCK_M), _MOST_SPLITS
    )
    split_size = triton.cdiv(triton.cdiv(M, splits), BLOCK_M) * BLOCK_M
    splits = triton.cdiv(M, split_size)
    keys = torch.empty(splits, B, N, dtype=torch.int64, device=x.device)
    if B:
        nearest_kernel[(blocks, B, splits)](
            x,
            y,
            x_lengths,
            y_lengths,
            keys,
            N,
            M,
            split_size,
            B,
            HAS_X_LENGTHS=x_lengths is not None,
            HAS_Y_LENGTHS=y_lengths is not None,
            BLOCK_N=BLOCK_N,
            BLOCK_M=BLOCK_M,
            num_warps=WARPS,
        )
    key = keys[0] if splits == 1 else keys.amin(dim=0)
    padding = key < 0
    least = (key >> 32).to(torch.int32).view(torch.float32).masked_fill(padding, 0)
    index = (key & 0xFFFFFFFF).masked_fill(padding, -1)
    return least, index
