"""From what a network gave to the next state of a sampler: guidance, preconditioning and update."""

from typing import NamedTuple

import torch
from torch import Tensor

from kernels.checks import (
    check_alike,
    check_devices,
    check_dtype,
    check_finite,
    check_index,
    check_shapes,
)
from kernels.dispatch import ANYWHERE, CUDA, Choice, Table
from kernels.guided_step import fused, reference
from kernels.guided_step.coefficients import Coefficients, coefficients, partners, table

__all__ = ["TABLE", "Coefficients", "Step", "coefficients", "guided_step", "partners", "table"]

TABLE = Table(
    op="guided_step",
    size="numbers, B * N * C",
    backends={"reference": ANYWHERE, "fused": ANYWHERE, "triton": CUDA},
    choices=(
        Choice("fused", "cpu", measured="kernels-cpu"),
        Choice("triton", "cuda"),
        Choice("fused", "cuda"),
    ),
    dtypes={"triton": (torch.float32,)},
)


class Step(NamedTuple):
    """Attributes:
    x: [B, N, C], where the network is evaluated next.
    denoised: [B, N, C], its estimate of x_0 in this evaluation.
    """

    x: Tensor
    denoised: Tensor


@torch.no_grad()
def guided_step(
    x: Tensor,
    out: Tensor,
    coefficients: Tensor,
    partner: Tensor | None = None,
    memory: Tensor | None = None,
    noise: Tensor | None = None,
) -> Step:
    """Take in one evaluation of B clouds, each with its own sampler at its own sigma.

    guided = uncond + w * (cond - uncond), denoised = skip * x + out * guided, and the next x is
    denoised + a * (x - denoised) + m * (memory - denoised) + n * noise.

    Args:
        x: [B, N, C] float32 (float64 for tests), finite.
        out: [R, N, C] float32, float16 or bfloat16 (or x's type), finite: the network's output, the
            B conditional rows first.
        coefficients: [B, 6] of x's type: a row w, skip, out, a, m, n for each cloud, as
            `coefficients` and `table` make them.
        partner: [B] int64, 0 to R - 1: each cloud's unconditional row, its own where it is not
            guided, as `partners` makes it. None where no cloud is: then R = B, and w is not read.
        memory: [B, N, C] of x's type: what `coefficients` says of the sampler; any finite numbers
            where m = 0. None where no cloud needs it.
        noise: [B, N, C] of x's type, of variance 1. None where no cloud needs it.

    Returns:
        `Step` of x's type, made anew: neither is a view of x or of `out`.

    Raises:
        ShapeError: a shape above does not hold.
        ValueError: types or devices differ, a partner is out of range, a value is not finite.

    Elementwise: no cloud depends on another, and each run gives the same bits. A cloud that is its
    own partner keeps its conditional row, and one whose a, m and n are 0 ends at denoised, to the
    bit. Computed in x's type, right to a few ulp of the largest term. Not differentiable: what it
    returns has no gradient. Sources: see `coefficients`.
    """
    sizes = check_shapes(
        x=(x, "B N C"),
        coefficients=(coefficients, "B 6"),
        partner=(partner, "B"),
        memory=(memory, "B N C"),
        noise=(noise, "B N C"),
    )
    B = sizes["B"]
    R = B if partner is None else max(B, out.shape[:1].numel())
    check_shapes(out=(out, f"{R} {sizes['N']} {sizes['C']}"))
    check_dtype("x", x, [torch.float32, torch.float64])
    check_alike(x=x, coefficients=coefficients, memory=memory, noise=noise)
    check_dtype("out", out, [torch.float32, torch.float16, torch.bfloat16, x.dtype])
    check_devices(x=x, out=out, partner=partner)
    if partner is not None:
        check_dtype("partner", partner, [torch.int64])
        check_index("partner", partner, 0, R - 1)
    check_finite(x=x, out=out, coefficients=coefficients, memory=memory, noise=noise)
    match TABLE.pick(x, x.numel()):
        case "triton":
            from kernels.guided_step import kernel

            found = kernel.guided_step(x, out, coefficients, partner, memory, noise)
        case "fused":
            found = fused.guided_step(x, out, coefficients, partner, memory, noise)
        case _:
            found = reference.guided_step(x, out, coefficients, partner, memory, noise)
    return Step(*found)
