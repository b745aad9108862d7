"""The first points within a radius of each centre.

A program takes four centres and goes over the points in their order, counting hits: the counts of
the four stand in the four bytes of one integer, so that one running sum is theirs. A tile without
any hit costs none, and once all its centres have enough a program stops.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK_M, BLOCK_N = 4, 64  # a byte for each centre, which counts to 255
WARPS = 1
_NO_INDEX = tl.constexpr(0x7FFFFFFF)


@triton.jit
def ball_query_kernel(
    centers_ptr,
    points_ptr,
    lengths_ptr,
    index_ptr,
    count_ptr,
    M,
    N,
    U,
    sq_radius,
    HAS_LENGTHS: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_U: tl.constexpr,
):
    b = tl.program_id(1).to(tl.int64)
    rows = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    valid = rows < M
    center = centers_ptr + (b * M + rows) * 3
    c0 = tl.load(center, mask=valid, other=0.0)[:, None]
    c1 = tl.load(center + 1, mask=valid, other=0.0)[:, None]
    c2 = tl.load(center + 2, mask=valid, other=0.0)[:, None]
    stop = tl.load(lengths_ptr + b).to(tl.int32) if HAS_LENGTHS else N
    points = points_ptr + b * N * 3
    out = index_ptr + (b * M + rows) * U

    byte = tl.arange(0, BLOCK_M) * 8
    first_hit = tl.full([BLOCK_M], _NO_INDEX, tl.int32)
    count = tl.where(valid, 0, U)
    first = 0
    while first < stop:
        columns = first + tl.arange(0, BLOCK_N)
        within = columns < stop
        row = points + tl.cast(first, tl.int64) * 3 + (columns - first) * 3
        d0 = c0 - tl.load(row, mask=within, other=float("inf"))[None, :]
        d1 = c1 - tl.load(row + 1, mask=within, other=float("inf"))[None, :]
        d2 = c2 - tl.load(row + 2, mask=within, other=float("inf"))[None, :]
        hit = (d0 * d0 + d1 * d1 + d2 * d2) < sq_radius
        packed = tl.sum(hit.to(tl.int32) << byte[:, None], axis=0)  # [BLOCK_N]
        total = tl.sum(packed, axis=0)
        first += BLOCK_N
        if total != 0:
            running = tl.cumsum(packed, axis=0)
            place = count[:, None] + ((running[None, :] >> byte[:, None]) & 0xFF) - 1
            at = tl.broadcast_to(columns[None, :], [BLOCK_M, BLOCK_N])
            tl.store(out[:, None] + place, at.to(tl.int64), mask=hit & (place < U))
            first_hit = tl.minimum(first_hit, tl.min(tl.where(hit, at, _NO_INDEX), axis=1))
            count = tl.minimum(count + ((total >> byte) & 0xFF), U)
            if tl.min(count, axis=0) == U:
                first = stop

    slots = tl.arange(0, BLOCK_U)[None, :]
    unfilled = valid[:, None] & (slots >= count[:, None]) & (slots < U)
    filling = tl.where(count > 0, first_hit, 0).to(tl.int64)[:, None]
    tl.store(out[:, None] + slots, tl.broadcast_to(filling, [BLOCK_M, BLOCK_U]), mask=unfilled)
    tl.store(count_ptr + b * M + rows, count.to(tl.int64), mask=valid)


def ball_query(
    centers: Tensor, points: Tensor, sq_radius: float, max_neighbors: int, lengths: Tensor | None
) -> tuple[Tensor, Tensor]:
    """See `kernels.ball_query.ball_query`; float32 alone."""
    B, M, _ = centers.shape
    index = torch.empty(B, M, max_neighbors, dtype=torch.int64, device=centers.device)
    count = torch.empty(B, M, dtype=torch.int64, device=centers.device)
    if B:
        ball_query_kernel[(triton.cdiv(M, BLOCK_M), B)](
            centers.contiguous(),
            points.contiguous(),
            lengths,
            index,
            count,
            M,
            points.shape[1],
            max_neighbors,
            sq_radius,
            HAS_LENGTHS=lengths is not None,
            BLOCK_M=BLOCK_M,
            BLOCK_N=BLOCK_N,
            BLOCK_U=triton.next_power_of_2(max_neighbors),
            num_warps=WARPS,
        )
    return index, count
