"""Farthest point sampling: each cloud a program, which takes one pick after the other.

A pick is a maximum and, among the points that have it, a minimum of their ranks. A warp reduces
32-bit integers in one instruction: with 8 points a thread a pick takes 129 instructions, where one
reduction of distance and rank together takes 180. Distances are not negative, so their bits order
as they do; those of padding, which is -1, are a negative number.

Clouds of up to RESIDENT points stay in registers. Larger ones are read from memory at every pick,
in chunks, and only their distances change there.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.farthest_point_sampling.reference import UNSEEN

RESIDENT = 8192
CHUNK = 4096  # a multiple of 512, for the order of ties
CHUNK_WARPS = 32
_FAR = tl.constexpr(UNSEEN)
_PADDING = tl.constexpr(-1.0)


@triton.jit
def _first_of_farthest(sq_dist, k, SPREAD: tl.constexpr):
    """Of the points numbered `k` the farthest; of equal ones the lowest number, or the lowest
    modulo 512 and then the lowest."""
    bits = sq_dist.to(tl.int32, bitcast=True)
    rank = ((k & 511) << 22) | (k >> 9) if SPREAD else k
    best = tl.min(tl.where(bits == tl.max(bits, axis=0), rank, 0x7FFFFFFF), axis=0)
    return ((best & 0x3FFFFF) << 9) | (best >> 22) if SPREAD else best


@triton.jit
def resident_kernel(
    points_ptr,
    lengths_ptr,
    picked_ptr,
    N,
    S,
    HAS_LENGTHS: tl.constexpr,
    SPREAD: tl.constexpr,
    BLOCK: tl.constexpr,
):
    b = tl.program_id(0).to(tl.int64)
    count = tl.load(lengths_ptr + b).to(tl.int32) if HAS_LENGTHS else N
    cloud = points_ptr + b * N * 3
    picked = picked_ptr + b * S
    k = tl.arange(0, BLOCK)
    valid = k < count
    x = tl.load(cloud + k * 3, mask=valid, other=0.0)
    y = tl.load(cloud + k * 3 + 1, mask=valid, other=0.0)
    z = tl.load(cloud + k * 3 + 2, mask=valid, other=0.0)
    least = tl.where(valid, _FAR, _PADDING)
    last = tl.zeros([], tl.int32)
    tl.store(picked, last.to(tl.int64))
    for s in range(1, S):
        dx = x - tl.load(cloud + last * 3)
        dy = y - tl.load(cloud + last * 3 + 1)
        dz = z - tl.load(cloud + last * 3 + 2)
        least = tl.minimum(least, dx * dx + dy * dy + dz * dz)
        last = _first_of_farthest(least, k, SPREAD)
        tl.store(picked + s, last.to(tl.int64))


@triton.jit
def streamed_kernel(state_ptr, picked_ptr, P, S, SPREAD: tl.constexpr, CHUNK: tl.constexpr):
    b = tl.program_id(0).to(tl.int64)
    x_ptr = state_ptr + b * P * 4
    y_ptr, z_ptr, least_ptr = x_ptr + P, x_ptr + 2 * P, x_ptr + 3 * P
    picked = picked_ptr + b * S
    last = tl.zeros([], tl.int32)
    tl.store(picked, last.to(tl.int64))
    for s in range(1, S):
        x, y, z = tl.load(x_ptr + last), tl.load(y_ptr + last), tl.load(z_ptr + last)
        most = tl.full([CHUNK], -1.0, tl.float32)
        at = tl.arange(0, CHUNK)
        for first in range(0, P, CHUNK):
            # The reductions below hold barriers: what a pick writes is there for the next to read.
            k = first + tl.arange(0, CHUNK)
            dx = tl.load(x_ptr + k) - x
            dy = tl.load(y_ptr + k) - y
            dz = tl.load(z_ptr + k) - z
            least = tl.minimum(tl.load(least_ptr + k), dx * dx + dy * dy + dz * dz)
            tl.store(least_ptr + k, least)
            # A lane's numbers differ by multiples of 512, so of equal ones it prefers the first.
            farther = least > most
            most = tl.where(farther, least, most)
            at = tl.where(farther, k, at)
        last = _first_of_farthest(most, at, SPREAD)
        tl.store(picked + s, last.to(tl.int64))


def farthest_point_sampling(
    points: Tensor, num_samples: int, lengths: Tensor | None, ties: str
) -> Tensor:
    """See `kernels.farthest_point_sampling`; float32 alone."""
    B, N, _ = points.shape
    picked = torch.empty(B, num_samples, dtype=torch.int64, device=points.device)
    if B == 0:
        return picked
    spread = ties == "pvcnn"
    if N > RESIDENT:
        state = _state(points, lengths)
        streamed_kernel[(B,)](
            state,
            picked,
            state.shape[2],
            num_samples,
            SPREAD=spread,
            CHUNK=CHUNK,
            num_warps=CHUNK_WARPS,
        )
        return picked
    block = triton.next_power_of_2(N)
    resident_kernel[(B,)](
        points.contiguous(),
        lengths,
        picked,
        N,
        num_samples,
        HAS_LENGTHS=lengths is not None,
        SPREAD=spread,
        BLOCK=block,
        num_warps=resident_warps(block),
    )
    return picked


def resident_warps(block: int) -> int:
    """16 points a thread; up to 512 points one warp, which needs no barrier."""
    return 1 if block <= 512 else max(4, block // 512)


def _state(points: Tensor, lengths: Tensor | None) -> Tensor:
    """[B, 4, P] x, y, z and the least distance so far, P a multiple of CHUNK."""
    B, N, _ = points.shape
    state = points.new_zeros(B, 4, triton.cdiv(N, CHUNK) * CHUNK)
    state[:, :3, :N] = points.mT
    index = torch.arange(state.shape[2], device=points.device)
    count = N if lengths is None else lengths[:, None]
    state[:, 3] = torch.where(index < count, UNSEEN, -1.0)
    return state
