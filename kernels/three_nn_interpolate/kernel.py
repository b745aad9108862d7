"""Three nearest centres, and the mean of their features: two kernels, as the second is bound by
memory and wants tiles of channels, while the first is bound by instructions.

Every lane keeps the three best centres that it has seen itself; lanes are compared once, after the
loop: for each place a minimum of distances and one of the indices that have it, both as 32-bit
integers, which a warp reduces in one instruction. Distances are not negative: their bits order as
they do.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.three_nn_interpolate.reference import FARTHEST, NEAREST

BLOCK_N, BLOCK_M = 32, 32
WARPS = 4
CHANNELS, TILE = 64, 2048  # of the second kernel: channels at the most, and values
_NEAREST = tl.constexpr(NEAREST)
_FARTHEST = tl.constexpr(FARTHEST)


@triton.jit
def _nearest(sq_dist, at):
    """Of each row the least distance, the lowest index that has it, and the lane of that index."""
    bits = sq_dist.to(tl.int32, bitcast=True)
    least = tl.min(bits, axis=1)
    equal = bits == least[:, None]
    index = tl.min(tl.where(equal, at, 0x7FFFFFFF), axis=1)
    taken = equal & (at == index[:, None])
    return least.to(tl.float32, bitcast=True), index, taken


@triton.jit
def nearest_kernel(
    points_ptr,
    centers_ptr,
    index_ptr,
    weights_ptr,
    N,
    M,
    BLOCK_N: tl.constexpr,
    BLOCK_M: tl.constexpr,
):
    b = tl.program_id(1).to(tl.int64)
    rows = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    valid = rows < N
    row = points_ptr + (b * N + rows) * 3
    x = tl.load(row, mask=valid, other=0.0)[:, None]
    y = tl.load(row + 1, mask=valid, other=0.0)[:, None]
    z = tl.load(row + 2, mask=valid, other=0.0)[:, None]

    d_0 = tl.full([BLOCK_N, BLOCK_M], float("inf"), tl.float32)
    d_1 = d_0
    d_2 = d_0
    at_0 = tl.zeros([BLOCK_N, BLOCK_M], tl.int32)
    at_1 = at_0
    at_2 = at_0
    cloud = centers_ptr + b * M * 3
    for first in range(0, M, BLOCK_M):
        columns = first + tl.arange(0, BLOCK_M)
        inside = columns < M
        # Past the end a centre lies infinitely far away, where it is nearer than none.
        row = cloud + tl.cast(first, tl.int64) * 3 + (columns - first) * 3
        dx = x - tl.load(row, mask=inside, other=float("inf"))[None, :]
        dy = y - tl.load(row + 1, mask=inside, other=0.0)[None, :]
        dz = z - tl.load(row + 2, mask=inside, other=0.0)[None, :]
        sq_dist = dx * dx + dy * dy + dz * dz
        at = columns[None, :]
        before_0, before_1, before_2 = sq_dist < d_0, sq_dist < d_1, sq_dist < d_2
        d_2 = tl.where(before_1, d_1, tl.where(before_2, sq_dist, d_2))
        at_2 = tl.where(before_1, at_1, tl.where(before_2, at, at_2))
        d_1 = tl.where(before_0, d_0, tl.where(before_1, sq_dist, d_1))
        at_1 = tl.where(before_0, at_0, tl.where(before_1, at, at_1))
        d_0 = tl.where(before_0, sq_dist, d_0)
        at_0 = tl.where(before_0, at, at_0)

    first_sq, first_at, taken = _nearest(d_0, at_0)
    d_0, at_0 = tl.where(taken, d_1, d_0), tl.where(taken, at_1, at_0)
    d_1, at_1 = tl.where(taken, d_2, d_1), tl.where(taken, at_2, at_1)
    second_sq, second_at, taken = _nearest(d_0, at_0)
    d_0, at_0 = tl.where(taken, d_1, d_0), tl.where(taken, at_1, at_0)
    third_sq, third_at, taken = _nearest(d_0, at_0)

    u = tl.minimum(tl.maximum(first_sq, _NEAREST), _FARTHEST)
    v = tl.minimum(tl.maximum(second_sq, _NEAREST), _FARTHEST)
    w = tl.minimum(tl.maximum(third_sq, _NEAREST), _FARTHEST)
    total = v * w + u * w + u * v
    out = (b * N + rows) * 3
    tl.store(index_ptr + out, first_at.to(tl.int64), mask=valid)
    tl.store(index_ptr + out + 1, second_at.to(tl.int64), mask=valid)
    tl.store(index_ptr + out + 2, third_at.to(tl.int64), mask=valid)
    tl.store(weights_ptr + out, v * w / total, mask=valid)
    tl.store(weights_ptr + out + 1, u * w / total, mask=valid)
    tl.store(weights_ptr + out + 2, u * v / total, mask=valid)


@triton.jit
def interpolate_kernel(
    features_ptr,
    index_ptr,
    weights_ptr,
    out_ptr,
    N,
    M,
    C,
    BLOCK_N: tl.constexpr,
    BLOCK_C: tl.constexpr,
):
    b = tl.program_id(2).to(tl.int64)
    rows = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    columns = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    valid = rows < N
    inside = valid[:, None] & (columns < C)[None, :]
    row = (b * N + rows) * 3
    centers = features_ptr + b * M * C + columns[None, :]
    total = tl.zeros([BLOCK_N, BLOCK_C], tl.float32)
    for place in tl.static_range(3):
        at = tl.load(index_ptr + row + place, mask=valid, other=0)
        weight = tl.load(weights_ptr + row + place, mask=valid, other=0.0)
        found = tl.load(centers + at[:, None] * C, mask=inside, other=0.0)
        total += found.to(tl.float32) * weight[:, None]
    out = out_ptr + (b * N + rows)[:, None] * C + columns[None, :]
    tl.store(out, total.to(out_ptr.dtype.element_ty), mask=inside)


def three_nn(points: Tensor, centers: Tensor) -> tuple[Tensor, Tensor]:
    """See `kernels.three_nn_interpolate.three_nn`; float32 alone."""
    B, N, _ = points.shape
    M = centers.shape[1]
    index = torch.empty(B, N, 3, dtype=torch.int64, device=points.device)
    weights = points.new_empty(B, N, 3)
    if B:
        nearest_kernel[(triton.cdiv(N, BLOCK_N), B)](
            points.contiguous(),
            centers.contiguous(),
            index,
            weights,
            N,
            M,
            BLOCK_N=BLOCK_N,
            BLOCK_M=BLOCK_M,
            num_warps=WARPS,
        )
    return index, weights


def interpolate(features: Tensor, index: Tensor, weights: Tensor) -> Tensor:
    """Weighted sums [B, N, C] of three rows of `features` [B, M, C]."""
    B, N, _ = index.shape
    _, M, C = features.shape
    out = features.new_empty(B, N, C)
    width = min(CHANNELS, triton.next_power_of_2(C))
    height = min(TILE // width, triton.next_power_of_2(N))
    if B:
        interpolate_kernel[(triton.cdiv(N, height), triton.cdiv(C, width), B)](
            features.contiguous(),
            index,
            weights,
            out,
            N,
            M,
            C,
            BLOCK_N=height,
            BLOCK_C=width,
            num_warps=WARPS,
        )
    return out
