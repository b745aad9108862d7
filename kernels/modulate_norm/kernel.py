"""Gated sum, layer norm and modulation in one pass: each input is read once, each output written
once.

A program holds rows of one cloud in registers, so that the sums over channels cost no memory. A
warp takes 1,024 numbers: several rows share what is read of the cloud's vectors, and sums over a
row stay within the warp. Up to 1,024 channels nothing passes through shared memory.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

_NUMBERS = 1024  # of a warp, 32 of a thread: with four warps a row costs a third more instructions


@triton.jit
def modulate_norm_kernel(
    x_ptr,
    residual_ptr,
    gate_ptr,
    scale_ptr,
    shift_ptr,
    sum_ptr,
    y_ptr,
    N,
    C,
    blocks,
    gate_stride,
    scale_stride,
    shift_stride,
    eps,
    ROWS: tl.constexpr,
    BLOCK_C: tl.constexpr,
):
    program = tl.program_id(0)
    b = (program // blocks).to(tl.int64)
    row = (program % blocks) * ROWS + tl.arange(0, ROWS)[:, None]
    column = tl.arange(0, BLOCK_C)[None, :]
    inside = column < C
    valid = (row < N) & inside
    at = (b * N + row) * C + column
    x = tl.load(x_ptr + at, mask=valid, other=0.0).to(tl.float32)
    if residual_ptr is not None:
        residual = tl.load(residual_ptr + at, mask=valid, other=0.0).to(tl.float32)
        if gate_ptr is not None:
            gate = tl.load(gate_ptr + b * gate_stride + column, mask=inside, other=0.0)
            residual *= gate.to(tl.float32)
        # What is normalised is the sum as it is handed out, rounded.
        total = (x + residual).to(sum_ptr.dtype.element_ty)
        tl.store(sum_ptr + at, total, mask=valid)
        x = total.to(tl.float32)

    x = tl.where(inside, x - (tl.sum(x, axis=1) / C)[:, None], 0.0)
    # A mean far from 0 was rounded, by as much as a small spread: what it missed counts (Chan,
    # Golub and LeVeque 1983, the corrected two-pass algorithm).
    missed = tl.sum(x, axis=1) / C
    variance = tl.maximum(tl.sum(x * x, axis=1) / C - missed * missed, 0.0)
    y = (x - missed[:, None]) * tl.rsqrt(variance + eps)[:, None]
    if scale_ptr is not None:
        scale = tl.load(scale_ptr + b * scale_stride + column, mask=inside, other=0.0)
        y *= 1 + scale.to(tl.float32)
    if shift_ptr is not None:
        shift = tl.load(shift_ptr + b * shift_stride + column, mask=inside, other=0.0)
        y += shift.to(tl.float32)
    tl.store(y_ptr + at, y.to(y_ptr.dtype.element_ty), mask=valid)


def tile(C: int) -> tuple[int, int, int]:
    """Rows, columns and warps of a program."""
    columns = triton.next_power_of_2(C)
    return max(1, _NUMBERS // columns), columns, max(1, columns // _NUMBERS)


def modulate_norm(
    x: Tensor,
    shift: Tensor | None,
    scale: Tensor | None,
    residual: Tensor | None,
    gate: Tensor | None,
    eps: float,
) -> tuple[Tensor, Tensor]:
    """See `kernels.modulate_norm`: (x', y), x' being x where there is no residual."""
    B, N, C = x.shape
    x = x.contiguous()
    residual = None if residual is None else residual.contiguous()
    gate, scale, shift = (_dense_rows(each) for each in (gate, scale, shift))
    y = torch.empty_like(x)
    total = x if residual is None else torch.empty_like(x)
    rows, columns, warps = tile(C)
    blocks = triton.cdiv(N, rows)
    if B:
        modulate_norm_kernel[(B * blocks,)](
            x,
            residual,
            gate,
            scale,
            shift,
            total,
            y,
            N,
            C,
            blocks,
            *(0 if each is None else each.stride(0) for each in (gate, scale, shift)),
            eps,
            ROWS=rows,
            BLOCK_C=columns,
            num_warps=warps,
        )
    return total, y


def _dense_rows(vectors: Tensor | None) -> Tensor | None:
    """[B, C] with any stride between rows, as pieces of a larger projection have it."""
    return vectors if vectors is None or vectors.stride(-1) == 1 else vectors.contiguous()
