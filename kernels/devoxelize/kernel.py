"""Trilinear blends, a program for some points and some channels of a cloud.

Lanes run along channels, which are last in memory, so that each of the eight reads is coalesced.
"""

import triton
import triton.language as tl
from torch import Tensor

BLOCK_N, WIDEST_C = 16, 64  # points and channels of a program
WARPS = 4


@triton.jit
def devoxelize_kernel(
    rows_ptr,
    coords_ptr,
    out_ptr,
    N,
    C,
    R,
    BLOCK_N: tl.constexpr,
    BLOCK_C: tl.constexpr,
):
    b = tl.program_id(1).to(tl.int64)
    point = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    channel = tl.program_id(2) * BLOCK_C + tl.arange(0, BLOCK_C)
    valid = point < N
    wanted = valid[:, None] & (channel < C)[None, :]
    at = coords_ptr + (b * N + point) * 3
    x = tl.load(at, mask=valid, other=0.0)
    y = tl.load(at + 1, mask=valid, other=0.0)
    z = tl.load(at + 2, mask=valid, other=0.0)
    # Clamped so that a coordinate taken on trust reads nothing outside.
    x0 = tl.minimum(tl.maximum(tl.floor(x).to(tl.int32), 0), R - 1)
    y0 = tl.minimum(tl.maximum(tl.floor(y).to(tl.int32), 0), R - 1)
    z0 = tl.minimum(tl.maximum(tl.floor(z).to(tl.int32), 0), R - 1)
    u, v, w = x - x0, y - y0, z - z0
    x1 = tl.minimum(x0 + (u > 0), R - 1)
    y1 = tl.minimum(y0 + (v > 0), R - 1)
    z1 = tl.minimum(z0 + (w > 0), R - 1)

    rows = rows_ptr + b * R * R * R * C + channel[None, :]
    total = tl.zeros([BLOCK_N, BLOCK_C], tl.float32)
    for corner in tl.static_range(8):
        cx, cu = (x1, u) if corner & 4 else (x0, 1 - u)
        cy, cv = (y1, v) if corner & 2 else (y0, 1 - v)
        cz, cw = (z1, w) if corner & 1 else (z0, 1 - w)
        cell = ((cx * R + cy) * R + cz).to(tl.int64)
        tap = tl.load(rows + cell[:, None] * C, mask=wanted, other=0.0)
        total += (cu * cv * cw)[:, None] * tap.to(tl.float32)
    out = out_ptr + (b * N + point)[:, None] * C + channel[None, :]
    tl.store(out, total.to(out_ptr.dtype.element_ty), mask=wanted)


def devoxelize(rows: Tensor, coords: Tensor, R: int) -> Tensor:
    """[B, N, C] of `rows` [B, R^3, C], contiguous."""
    rows, coords = rows.contiguous(), coords.contiguous()
    (B, N, _), C = coords.shape, rows.shape[2]
    out = rows.new_empty(B, N, C)
    block_c = min(triton.next_power_of_2(C), WIDEST_C)
    if B:
        devoxelize_kernel[(triton.cdiv(N, BLOCK_N), B, triton.cdiv(C, block_c))](
            rows, coords, out, N, C, R, BLOCK_N=BLOCK_N, BLOCK_C=block_c, num_warps=WARPS
        )
    return out
