"""The k nearest points of each query.

Every lane keeps the best few points that it has seen itself, sorted, by compare and select alone;
lanes are merged after the loop. What a lane has dropped is farther than the last that it kept, so
merged points are certain up to the nearest of those last ones. Most rows have k certain points
then; where one has not, its program goes over the points again, behind the last certain one.
Queries that fill too few multiprocessors have the points split, as in `kernels.chamfer.kernel`.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK_M, BLOCK_N = 4, 64
WARPS = 1
_DEEPEST = 4  # points that a lane keeps
_PROGRAMS_WANTED = 16 * 132  # one warp each, four for every scheduler of an H100 or H200
_MOST_SPLITS = 16
# Distances are compared by their bits, whose order is theirs, infinity included. This is behind it,
# and before the bits of NaN, which is what points past the end are filled with.
_NOTHING = tl.constexpr(0x7F800001)
_NO_INDEX = tl.constexpr(0x7FFFFFFF)
_NOTHING_KEY = 0x7F8000017FFFFFFF


@triton.jit
def _inserted(bits, columns, own, own_index, above, above_index):
    """A place of a sorted list, and what it had, once `bits` has been put into the list."""
    passes = bits < above
    fits = bits < own
    index = tl.where(passes, above_index, tl.where(fits, columns, own_index))
    return tl.where(passes, above, tl.where(fits, bits, own)), index


@triton.jit
def _first(bits, index):
    """Of each row the least entry, by distance, then by index."""
    least = tl.min(bits, axis=1)
    return least, tl.min(tl.where(bits == least[:, None], index, _NO_INDEX), axis=1)


@triton.jit
def _nearest_of_lanes(
    q0,
    q1,
    q2,
    points_ptr,
    start,
    stop,
    last,
    last_index,
    AGAIN: tl.constexpr,
    DEPTH: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
):
    """Of each lane the four nearest points, in order, behind (`last`, `last_index`) if AGAIN."""
    a0 = tl.full([BLOCK_M, BLOCK_N], _NOTHING, tl.int32)
    a1, a2, a3 = a0, a0, a0
    i0 = tl.full([BLOCK_M, BLOCK_N], _NO_INDEX, tl.int32)
    i1, i2, i3 = i0, i0, i0
    for first in range(start, stop, BLOCK_N):
        columns = first + tl.arange(0, BLOCK_N)
        within = columns < stop
        row = points_ptr + tl.cast(first, tl.int64) * 3 + (columns - first) * 3
        d0 = q0 - tl.load(row, mask=within, other=float("nan"))[None, :]
        d1 = q1 - tl.load(row + 1, mask=within, other=float("nan"))[None, :]
        d2 = q2 - tl.load(row + 2, mask=within, other=float("nan"))[None, :]
        bits = (d0 * d0 + d1 * d1 + d2 * d2).to(tl.int32, bitcast=True)
        at = columns[None, :]
        if AGAIN:
            behind = (bits > last[:, None]) | ((bits == last[:, None]) & (at > last_index[:, None]))
            bits = tl.where(behind, bits, _NOTHING)
        if DEPTH > 3:
            a3, i3 = _inserted(bits, at, a3, i3, a2, i2)
        if DEPTH > 2:
            a2, i2 = _inserted(bits, at, a2, i2, a1, i1)
        if DEPTH > 1:
            a1, i1 = _inserted(bits, at, a1, i1, a0, i0)
        nearer = bits < a0
        a0, i0 = tl.where(nearer, bits, a0), tl.where(nearer, at, i0)
    return a0, a1, a2, a3, i0, i1, i2, i3


@triton.jit
def knn_kernel(
    query_ptr,
    points_ptr,
    lengths_ptr,
    keys_ptr,
    M,
    N,
    split_size,
    B,
    K: tl.constexpr,
    DEPTH: tl.constexpr,
    HAS_LENGTHS: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
):
    b = tl.program_id(1).to(tl.int64)
    split = tl.program_id(2)
    rows = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    valid = rows < M
    query = query_ptr + (b * M + rows) * 3
    q0 = tl.load(query, mask=valid, other=0.0)[:, None]
    q1 = tl.load(query + 1, mask=valid, other=0.0)[:, None]
    q2 = tl.load(query + 2, mask=valid, other=0.0)[:, None]
    count = tl.load(lengths_ptr + b).to(tl.int32) if HAS_LENGTHS else N
    start = split * split_size
    stop = tl.minimum(start + split_size, count)
    points = points_ptr + b * N * 3
    out = keys_ptr + ((split.to(tl.int64) * B + b) * M + rows) * K

    last = tl.full([BLOCK_M], -1, tl.int32)
    last_index = last
    found = tl.where(valid, 0, K)
    a0, a1, a2, a3, i0, i1, i2, i3 = _nearest_of_lanes(
        q0, q1, q2, points, start, stop, last, last_index, False, DEPTH, BLOCK_M, BLOCK_N
    )
    missing = 1
    while missing > 0:
        # The first place that a lane has no room behind: all up to there is certain.
        if DEPTH == 1:
            end, end_index = _first(a0, i0)
        elif DEPTH == 2:
            end, end_index = _first(a1, i1)
        elif DEPTH == 3:
            end, end_index = _first(a2, i2)
        else:
            end, end_index = _first(a3, i3)
        certain = 1
        while certain > 0:
            least, index = _first(a0, i0)
            take = (least < end) | ((least == end) & (index <= end_index))
            take &= found < K
            key = (least.to(tl.int64) << 32) | index.to(tl.int64)
            tl.store(out + found, key, mask=take)
            last = tl.where(take, least, last)
            last_index = tl.where(take, index, last_index)
            found += take.to(tl.int32)
            taken = (a0 == least[:, None]) & (i0 == index[:, None]) & take[:, None]
            a0, i0 = tl.where(taken, a1, a0), tl.where(taken, i1, i0)
            a1, i1 = tl.where(taken, a2, a1), tl.where(taken, i2, i1)
            a2, i2 = tl.where(taken, a3, a2), tl.where(taken, i3, i2)
            a3 = tl.where(taken, _NOTHING, a3)
            i3 = tl.where(taken, _NO_INDEX, i3)
            certain = tl.max(take.to(tl.int32), axis=0)
        missing = K - tl.min(found, axis=0)
        # Two conditions, for the first is settled while compiling: with room for K all are certain.
        if DEPTH < K:  # noqa: SIM102
            if missing > 0:
                a0, a1, a2, a3, i0, i1, i2, i3 = _nearest_of_lanes(
                    q0, q1, q2, points, start, stop, last, last_index, True, DEPTH, BLOCK_M, BLOCK_N
                )


def knn(query: Tensor, points: Tensor, k: int, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
    """See `kernels.knn.knn`; float32 alone."""
    B, M, _ = query.shape
    N = points.shape[1]
    blocks = triton.cdiv(M, BLOCK_M)
    splits = min(
        triton.cdiv(_PROGRAMS_WANTED, max(blocks * B, 1)), triton.cdiv(N, 8 * BLOCK_N), _MOST_SPLITS
    )
    split_size = triton.cdiv(triton.cdiv(N, splits), BLOCK_N) * BLOCK_N
    splits = triton.cdiv(N, split_size)
    keys = torch.empty(splits, B, M, k, dtype=torch.int64, device=query.device)
    if B:
        knn_kernel[(blocks, B, splits)](
            query.contiguous(),
            points.contiguous(),
            lengths,
            keys,
            M,
            N,
            split_size,
            B,
            K=k,
            DEPTH=min(k, _DEEPEST),
            HAS_LENGTHS=lengths is not None,
            BLOCK_M=BLOCK_M,
            BLOCK_N=BLOCK_N,
            num_warps=WARPS,
        )
    key = keys[0]
    if splits > 1:
        key = keys.permute(1, 2, 0, 3).reshape(B, M, splits * k).sort(dim=2).values[..., :k]
    nothing = key == _NOTHING_KEY
    sq_dist = (key >> 32).to(torch.int32).view(torch.float32).masked_fill(nothing, torch.inf)
    return (key & 0xFFFFFFFF).masked_fill(nothing, -1), sq_dist
