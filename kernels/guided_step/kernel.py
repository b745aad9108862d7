"""Guidance, preconditioning and update in one pass: each number is read once and each result
written once. Which cloud a program works on decides all that is not elementwise."""

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 512  # small, so that one cloud of 2,048 points has 12 programs
WARPS = 4


@triton.jit
def guided_step_kernel(
    x_ptr,
    out_ptr,
    coefficients_ptr,
    partner_ptr,
    memory_ptr,
    noise_ptr,
    next_ptr,
    denoised_ptr,
    size,
    blocks,
    BLOCK: tl.constexpr,
):
    program = tl.program_id(0)
    b = (program // blocks).to(tl.int64)
    within = (program % blocks) * BLOCK + tl.arange(0, BLOCK)
    valid = within < size
    at = b * size + within
    row = coefficients_ptr + b * 6  # in the order of `Coefficients`
    x = tl.load(x_ptr + at, mask=valid, other=0.0)
    out = tl.load(out_ptr + at, mask=valid, other=0.0).to(tl.float32)
    if partner_ptr is not None:
        without = tl.load(partner_ptr + b) * size + within
        uncond = tl.load(out_ptr + without, mask=valid, other=0.0).to(tl.float32)
        out = uncond + tl.load(row) * (out - uncond)
    denoised = tl.load(row + 1) * x + tl.load(row + 2) * out
    tl.store(denoised_ptr + at, denoised, mask=valid)
    following = denoised + tl.load(row + 3) * (x - denoised)
    if memory_ptr is not None:
        memory = tl.load(memory_ptr + at, mask=valid, other=0.0)
        following += tl.load(row + 4) * (memory - denoised)
    if noise_ptr is not None:
        following += tl.load(row + 5) * tl.load(noise_ptr + at, mask=valid, other=0.0)
    tl.store(next_ptr + at, following, mask=valid)


def guided_step(
    x: Tensor,
    out: Tensor,
    coefficients: Tensor,
    partner: Tensor | None,
    memory: Tensor | None,
    noise: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """See `kernels.guided_step.guided_step`; state in float32 alone."""
    B, N, C = x.shape
    blocks = triton.cdiv(N * C, BLOCK)
    following, denoised = (
        torch.empty(B, N, C, device=x.device),
        torch.empty(B, N, C, device=x.device),
    )
    if B:
        guided_step_kernel[(B * blocks,)](
            x.contiguous(),
            out.contiguous(),
            coefficients.contiguous(),
            None if partner is None else partner.contiguous(),
            None if memory is None else memory.contiguous(),
            None if noise is None else noise.contiguous(),
            following,
            denoised,
            N * C,
            blocks,
            BLOCK=BLOCK,
            num_warps=WARPS,
        )
    return following, denoised
