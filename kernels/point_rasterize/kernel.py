"""Z-buffer of discs, the pixels of points, and the features of those pixels.

A pixel keeps the least of one integer per disc over it, depth above index, whose order is that of
(depth, index) because depths are not negative. Atomic minima of integers come out the same in
whatever order they are taken, so this is deterministic. Distances are taken in half pixels, as in
the other backends, and without fused multiply-add, so that the picture is the same to the bit.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.point_rasterize.taps import Mode

# Points and columns of their windows that a program takes at once, for small and for large discs.
SMALL = (64, 2)
LARGE = (8, 32)
SPLAT_WARPS = 4
PIXELS = 512
PIXEL_WARPS = 4
FEATURES = 2048  # of a program
MOST_CHANNELS = 128
FEATURE_WARPS = 4
_SMALL_REACH = 2.5  # half pixels, up to which two or three columns are a window
NOTHING = tl.constexpr(0x7FFFFFFFFFFFFFFF)
FAR = tl.constexpr(1e30)
SLACK = tl.constexpr(
    2.0**-20
)  # of the numbers that a window is made of: eight times their rounding


@triton.jit
def splat_kernel(
    points_ptr,
    radii_ptr,
    keys_ptr,
    radius,
    N,
    H,
    W,
    HAS_RADII: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_X: tl.constexpr,
):
    b = tl.program_id(1).to(tl.int64)
    points = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    valid = points < N
    side = tl.minimum(H, W).to(tl.float32)
    row_ptr = points_ptr + (b * N + points) * 3
    x = tl.load(row_ptr, mask=valid, other=0.0) * side
    y = tl.load(row_ptr + 1, mask=valid, other=0.0) * side
    z = tl.load(row_ptr + 2, mask=valid, other=-1.0)
    if HAS_RADII:
        reach = tl.load(radii_ptr + b * N + points, mask=valid, other=0.0) * side
    else:
        reach = tl.zeros([BLOCK_N], tl.float32) + radius * side
    left, right = _window(x, reach, W)
    top, bottom = _window(y, reach, H)
    shown = (z >= 0) & (left <= right) & (top <= bottom)
    columns = tl.max(tl.where(shown, right - left + 1, 0), axis=0)
    rows = tl.max(tl.where(shown, bottom - top + 1, 0), axis=0)

    depth = tl.where(z > 0, z, 0.0)  # of -0.0 the bits are not those of 0.0
    key = (depth.to(tl.int32, bitcast=True).to(tl.int64) << 32) | points.to(tl.int64)
    key = tl.broadcast_to(key[:, None], [BLOCK_N, BLOCK_X])
    sq_reach = (reach * reach)[:, None]
    picture = keys_ptr + b * H * W
    for dy in range(rows):
        row = top + dy
        up = (H - 1 - 2 * row).to(tl.float32) - y
        sq_up = (up * up)[:, None]
        in_row = (shown & (row < H))[:, None]
        start = row[:, None] * W
        for dx in range(0, columns, BLOCK_X):
            column = left[:, None] + dx + tl.arange(0, BLOCK_X)[None, :]
            across = (W - 1 - 2 * column).to(tl.float32) - x[:, None]
            covered = across * across + sq_up < sq_reach
            hit = covered & in_row & (column < W)
            tl.atomic_min(picture + (start + column), key, mask=hit, sem="relaxed")


@triton.jit
def _window(x, reach, size):
    """The first and the last pixel along a side that a disc may cover."""
    x = tl.minimum(tl.maximum(x, -FAR), FAR)
    reach = tl.minimum(reach, FAR)
    reach = reach + (size + tl.abs(x) + reach) * SLACK
    first = tl.ceil((size - 1 - x - reach) * 0.5)
    last = tl.floor((size - 1 - x + reach) * 0.5)
    limit = size.to(tl.float32)
    first = tl.minimum(tl.maximum(first, 0.0), limit)
    last = tl.minimum(tl.maximum(last, -1.0), limit - 1)
    return first.to(tl.int32), last.to(tl.int32)


@triton.jit
def resolve_kernel(keys_ptr, index_ptr, z_ptr, total, BLOCK: tl.constexpr):
    pixels = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = pixels < total
    key = tl.load(keys_ptr + pixels, mask=inside, other=NOTHING)
    z = (key >> 32).to(tl.int32).to(tl.float32, bitcast=True)
    nothing = key == NOTHING
    tl.store(index_ptr + pixels, tl.where(nothing, -1, key & 0xFFFFFFFF), mask=inside)
    tl.store(z_ptr + pixels, tl.where(nothing, float("inf"), z), mask=inside)


@triton.jit
def own_kernel(index_ptr, found_ptr, pixels_of_picture, N, BLOCK: tl.constexpr):
    b = tl.program_id(1).to(tl.int64)
    pixels = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = pixels < pixels_of_picture
    index = tl.load(index_ptr + b * pixels_of_picture + pixels, mask=inside, other=-1)
    owned = inside & (index >= 0)
    at = found_ptr + b * N + tl.where(owned, index, 0)
    tl.atomic_max(at, pixels.to(tl.int64), mask=owned, sem="relaxed")


@triton.jit
def gather_kernel(
    map_ptr,
    pixel_ptr,
    out_ptr,
    N,
    C,
    h,
    w,
    H,
    W,
    b_stride,
    c_stride,
    h_stride,
    w_stride,
    BILINEAR: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_C: tl.constexpr,
):
    b = tl.program_id(2).to(tl.int64)
    points = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    channels = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    valid = points < N
    pixel = tl.load(pixel_ptr + b * N + points, mask=valid, other=-1).to(tl.int32)
    seen = pixel >= 0
    at = tl.where(seen, pixel, 0)
    row, column = at // W, at % W
    mask = seen[:, None] & (channels < C)[None, :]
    source = map_ptr + b * b_stride + channels.to(tl.int64)[None, :] * c_stride
    if BILINEAR:
        top, bottom, down = _between(row, h, H)
        left, right, across = _between(column, w, W)
        upper, lower = top * h_stride, bottom * h_stride
        first, second = left * w_stride, right * w_stride
        total = _cells(source, upper + first, mask) * ((1 - down) * (1 - across))[:, None]
        total += _cells(source, upper + second, mask) * ((1 - down) * across)[:, None]
        total += _cells(source, lower + first, mask) * (down * (1 - across))[:, None]
        total += _cells(source, lower + second, mask) * (down * across)[:, None]
    else:
        cell = (row * h // H).to(tl.int64) * h_stride + (column * w // W).to(tl.int64) * w_stride
        total = _cells(source, cell, mask)
    out = out_ptr + (b * N + points)[:, None] * C + channels[None, :]
    total = total.to(out_ptr.dtype.element_ty)
    tl.store(out, total, mask=valid[:, None] & (channels < C)[None, :])


@triton.jit
def _cells(source, offset, mask):
    return tl.load(source + offset[:, None], mask=mask, other=0.0).to(tl.float32)


@triton.jit
def _between(at, size, of):
    """The two cells that place `at` of `of` lies between, and how far it is towards the second."""
    steps = tl.maximum((2 * at + 1) * size - of, 0)  # of 1 / (2 * of) of a cell
    low = steps // (2 * of)
    part = (steps - low * (2 * of)).to(tl.float32) / (2 * of).to(tl.float32)
    return low.to(tl.int64), tl.minimum(low + 1, size - 1).to(tl.int64), part


def rasterize_points(
    points: Tensor, radius: float | Tensor, H: int, W: int
) -> tuple[Tensor, Tensor]:
    """See `kernels.point_rasterize.rasterize_points`; float32 alone."""
    B, N, _ = points.shape
    radii = radius.contiguous() if isinstance(radius, Tensor) else None
    keys = torch.full((B, H, W), NOTHING.value, dtype=torch.int64, device=points.device)
    index = torch.empty_like(keys)
    z = torch.empty(B, H, W, device=points.device)
    if B == 0:
        return index, z
    small = not isinstance(radius, Tensor) and radius * min(H, W) <= _SMALL_REACH
    block_n, block_x = SMALL if small else LARGE
    splat_kernel[(triton.cdiv(N, block_n), B)](
        points.contiguous(),
        radii,
        keys,
        0.0 if isinstance(radius, Tensor) else radius,
        N,
        H,
        W,
        HAS_RADII=radii is not None,
        BLOCK_N=block_n,
        BLOCK_X=block_x,
        num_warps=SPLAT_WARPS,
        enable_fp_fusion=False,
    )
    blocks = triton.cdiv(keys.numel(), PIXELS)
    resolve_kernel[(blocks,)](keys, index, z, keys.numel(), BLOCK=PIXELS, num_warps=PIXEL_WARPS)
    return index, z


def pixels_of_points(index: Tensor, N: int) -> Tensor:
    """See `kernels.point_rasterize.pixels_of_points`; `index` is [B, H * W]."""
    B, pixels = index.shape
    found = torch.full((B, N), -1, dtype=torch.int64, device=index.device)
    if B:
        own_kernel[(triton.cdiv(pixels, PIXELS), B)](
            index.contiguous(), found, pixels, N, BLOCK=PIXELS, num_warps=PIXEL_WARPS
        )
    return found


def gather_features(feature_map: Tensor, pixel: Tensor, H: int, W: int, mode: Mode) -> Tensor:
    """See `kernels.point_rasterize.gather_features`."""
    B, C, h, w = feature_map.shape
    N = pixel.shape[1]
    out = feature_map.new_empty(B, N, C)
    block_c = min(MOST_CHANNELS, max(16, triton.next_power_of_2(C)))
    block_n = FEATURES // block_c
    if B:
        gather_kernel[(triton.cdiv(N, block_n), triton.cdiv(C, block_c), B)](
            feature_map,
            pixel.contiguous(),
            out,
            N,
            C,
            h,
            w,
            H,
            W,
            *feature_map.stride(),
            BILINEAR=mode == "bilinear",
            BLOCK_N=block_n,
            BLOCK_C=block_c,
            num_warps=FEATURE_WARPS,
        )
    return out
