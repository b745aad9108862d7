"""Fused attention: no score is ever in memory, and sums run in float32.

The matrix unit wants powers of two, so a head dimension is taken in two parts, the second at least
16 wide: 72 costs 64 + 16 columns, where padding would cost 128. Powers are of two, log2(e) being
folded into the scale. All tiles of keys but the last are whole and go without masks.
"""

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

LOG2E = tl.constexpr(1.4426950408889634)
LN2 = tl.constexpr(0.6931471805599453)


class Tiles(NamedTuple):
    """Rows and keys of a tile, and what works on it."""

    BLOCK_N: int
    BLOCK_M: int
    warps: int
    stages: int


@triton.jit
def load_tile(
    ptr,
    stride,
    rows,
    count,
    FIRST: tl.constexpr,
    WIDTH: tl.constexpr,
    D: tl.constexpr,
    EDGE: tl.constexpr,
):
    """Columns from FIRST on of rows that lie `stride` apart: 0 where a row or a column is none."""
    dims = FIRST + tl.arange(0, WIDTH)
    place = ptr + rows[:, None] * stride + dims[None, :]
    if EDGE:
        tile = tl.load(place, mask=(rows < count)[:, None] & (dims < D)[None, :], other=0.0)
    elif FIRST + WIDTH > D:
        tile = tl.load(place, mask=(dims < D)[None, :], other=0.0)
    else:
        tile = tl.load(place)
    return tile


@triton.jit
def add_keys(
    q,
    q_tail,
    best,
    total,
    mixed,
    mixed_tail,
    q_ptr,
    q_stride,
    IN_PARTS: tl.constexpr,
    k_ptr,
    v_ptr,
    bias_ptr,
    k_stride,
    v_stride,
    bias_row,
    bias_stride,
    rows_left,
    keys_left,
    scale,
    D: tl.constexpr,
    MAIN: tl.constexpr,
    TAIL: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    EDGE: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_M: tl.constexpr,
):
    """One tile of keys. `best` is the highest score of a row so far, in powers of two; `total` and
    `mixed` are sums of weights and of weighted values, relative to it."""
    keys = tl.arange(0, BLOCK_M)
    if IN_PARTS:
        rows = tl.arange(0, BLOCK_N)
        scores = tl.zeros([BLOCK_N, BLOCK_M], tl.float32)
        for part in tl.static_range(0, MAIN + TAIL, 16):
            q_part = load_tile(q_ptr, q_stride, rows, rows_left, part, 16, D, True)
            k_part = load_tile(k_ptr, k_stride, keys, keys_left, part, 16, D, EDGE)
            scores = tl.dot(q_part, tl.trans(k_part), scores, input_precision="ieee")
    else:
        k = load_tile(k_ptr, k_stride, keys, keys_left, 0, MAIN, D, EDGE)
        scores = tl.dot(q, tl.trans(k), input_precision="ieee")
    if TAIL and not IN_PARTS:
        k_tail = load_tile(k_ptr, k_stride, keys, keys_left, MAIN, TAIL, D, EDGE)
        scores = tl.dot(q_tail, tl.trans(k_tail), scores, input_precision="ieee")
    if HAS_BIAS:
        rows = tl.arange(0, BLOCK_N)
        inside = (rows < rows_left)[:, None]
        if EDGE:
            inside = inside & (keys < keys_left)[None, :]
        place = bias_ptr + rows[:, None] * bias_row + keys[None, :] * bias_stride
        bias = tl.load(place, mask=inside, other=0.0).to(tl.float32)
        scores = scores * scale + bias * LOG2E
        scale = 1.0
    if EDGE:
        scores = tl.where((keys < keys_left)[None, :], scores, float("-inf"))
    highest = tl.maximum(best, tl.max(scores, axis=1) * scale)
    pivot = highest
    if HAS_BIAS:  # a row may have no key yet
        pivot = tl.where(highest == float("-inf"), 0.0, highest)
    weights = tl.exp2(scores * scale - pivot[:, None])
    shrink = tl.exp2(best - pivot)
    total = total * shrink + tl.sum(weights, axis=1)
    v = load_tile(v_ptr, v_stride, keys, keys_left, 0, MAIN, D, EDGE)
    weights = weights.to(v.dtype)
    mixed = tl.dot(weights, v, mixed * shrink[:, None], input_precision="ieee")
    if TAIL:
        v_tail = load_tile(v_ptr, v_stride, keys, keys_left, MAIN, TAIL, D, EDGE)
        mixed_tail = tl.dot(weights, v_tail, mixed_tail * shrink[:, None], input_precision="ieee")
    return highest, total, mixed, mixed_tail


@triton.jit
def attention_kernel(
    q_ptr,
    k_ptr,
    v_ptr,
    bias_ptr,
    lengths_ptr,
    out_ptr,
    lse_ptr,
    q_batch,
    q_head,
    q_stride,
    k_batch,
    k_head,
    k_stride,
    v_batch,
    v_head,
    v_stride,
    bias_batch,
    bias_head,
    bias_row,
    bias_stride,
    out_batch,
    out_head,
    out_stride,
    H,
    N,
    M,
    scale,
    D: tl.constexpr,
    MAIN: tl.constexpr,
    TAIL: tl.constexpr,
    IN_PARTS: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    HAS_LENGTHS: tl.constexpr,
    HAS_LSE: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_M: tl.constexpr,
):
    blocks = tl.cdiv(N, BLOCK_N)
    first = (tl.program_id(0) % blocks) * BLOCK_N
    head = (tl.program_id(0) // blocks).to(tl.int64)  # of all heads in the batch
    b, h = head // H, head % H
    rows = tl.arange(0, BLOCK_N)
    rows_left = N - first
    q_ptr += b * q_batch + h * q_head + first.to(tl.int64) * q_stride
    k_ptr += b * k_batch + h * k_head
    v_ptr += b * v_batch + h * v_head
    if HAS_BIAS:
        bias_ptr += b * bias_batch + h * bias_head + first.to(tl.int64) * bias_row
    count = tl.load(lengths_ptr + b).to(tl.int32) if HAS_LENGTHS else M

    q = load_tile(q_ptr, q_stride, rows, rows_left, 0, MAIN, D, True)
    q_tail = load_tile(q_ptr, q_stride, rows, rows_left, MAIN, TAIL, D, True) if TAIL else q
    best = tl.full([BLOCK_N], float("-inf"), tl.float32)
    total = tl.zeros([BLOCK_N], tl.float32)
    mixed = tl.zeros([BLOCK_N, MAIN], tl.float32)
    mixed_tail = tl.zeros([BLOCK_N, TAIL if TAIL else 1], tl.float32)
    whole = (count - 1) // BLOCK_M * BLOCK_M
    for _ in range(0, whole, BLOCK_M):
        best, total, mixed, mixed_tail = add_keys(
            q,
            q_tail,
            best,
            total,
            mixed,
            mixed_tail,
            q_ptr,
            q_stride,
            IN_PARTS,
            k_ptr,
            v_ptr,
            bias_ptr,
            k_stride,
            v_stride,
            bias_row,
            bias_stride,
            rows_left,
            BLOCK_M,
            scale,
            D,
            MAIN,
            TAIL,
            HAS_BIAS,
            False,
            BLOCK_N,
            BLOCK_M,
        )
        k_ptr += BLOCK_M * k_stride
        v_ptr += BLOCK_M * v_stride
        if HAS_BIAS:
            bias_ptr += BLOCK_M * bias_stride
    best, total, mixed, mixed_tail = add_keys(
        q,
        q_tail,
        best,
        total,
        mixed,
        mixed_tail,
        q_ptr,
        q_stride,
        IN_PARTS,
        k_ptr,
        v_ptr,
        bias_ptr,
        k_stride,
        v_stride,
        bias_row,
        bias_stride,
        rows_left,
        count - whole,
        scale,
        D,
        MAIN,
        TAIL,
        HAS_BIAS,
        True,
        BLOCK_N,
        BLOCK_M,
    )

    known = total > 0
    share = tl.where(known, total, 1.0)
    out_ptr += b * out_batch + h * out_head + first.to(tl.int64) * out_stride
    dims = tl.arange(0, MAIN)
    place = out_ptr + rows[:, None] * out_stride + dims[None, :]
    inside = (rows < rows_left)[:, None] & (dims < D)[None, :]
    tl.store(place, (mixed / share[:, None]).to(out_ptr.dtype.element_ty), mask=inside)
    if TAIL:
        dims = MAIN + tl.arange(0, TAIL)
        place = out_ptr + rows[:, None] * out_stride + dims[None, :]
        inside = (rows < rows_left)[:, None] & (dims < D)[None, :]
        tl.store(place, (mixed_tail / share[:, None]).to(out_ptr.dtype.element_ty), mask=inside)
    if HAS_LSE:
        lse = tl.where(known, (best + tl.log2(share)) * LN2, float("-inf"))
        tl.store(lse_ptr + head * N + first + rows, lse, mask=rows < rows_left)


def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None,
    key_lengths: Tensor | None,
    scale: float,
    return_lse: bool,
) -> tuple[Tensor, Tensor | None]:
    """See `kernels.attention.attention`. The result lies in memory as [B, N, H, d], so that heads
    join without a copy."""
    B, H, N, d = q.shape
    M = k.shape[2]
    q, k, v = (x if x.stride(3) == 1 else x.contiguous() for x in (q, k, v))
    main, tail = parts(d)
    tiles = choose_tiles(q.dtype, main + tail, M, bias is not None)
    out = q.new_empty(B, N, H, d).transpose(1, 2)
    lse = torch.empty(B, H, N, dtype=torch.float32, device=q.device) if return_lse else None
    of_bias = (0, 0, 0, 0) if bias is None else bias.expand(B, H, N, M).stride()
    if B:
        attention_kernel[(triton.cdiv(N, tiles.BLOCK_N) * B * H,)](
            q,
            k,
            v,
            bias,
            key_lengths,
            out,
            lse,
            *q.stride()[:3],
            *k.stride()[:3],
            *v.stride()[:3],
            *of_bias,
            *out.stride()[:3],
            H,
            N,
            M,
            scale * LOG2E.value,
            D=d,
            MAIN=main,
            TAIL=tail,
            IN_PARTS=q.dtype == torch.float32,
            HAS_BIAS=bias is not None,
            HAS_LENGTHS=key_lengths is not None,
            HAS_LSE=return_lse,
            BLOCK_N=tiles.BLOCK_N,
            BLOCK_M=tiles.BLOCK_M,
            num_warps=tiles.warps,
            num_stages=tiles.stages,
        )
    return out, lse


def parts(d: int) -> tuple[int, int]:
    """Columns of the two parts of a head dimension: powers of two, the second may be 0."""
    wanted = triton.cdiv(d, 16) * 16
    main = 1 << (wanted.bit_length() - 1)
    tail = triton.next_power_of_2(wanted - main) if wanted > main else 0
    return (2 * main, 0) if tail == main else (main, tail)


def choose_tiles(dtype: torch.dtype, width: int, M: int, has_bias: bool) -> Tiles:
    """What compiles without spilling. Wide tiles need a quarter fewer instructions a score."""
    if dtype == torch.float32:  # no matrix unit
        return Tiles(64, 32, 8, 1) if width <= 64 else Tiles(32, 16, 8, 1)
    if M >= 1024 and width <= 96 and not has_bias:
        return Tiles(128, 128, 8, 2)
    return Tiles(128, 64, 8, 2 if has_bias else 3)
