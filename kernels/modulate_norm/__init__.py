"""Layer norm, modulated by a condition, with the gated sum of a residual branch before it."""

from typing import overload

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from kernels.checks import check_alike, check_dtype, check_finite, check_range, check_shapes
from kernels.dispatch import ANYWHERE, CPU, CUDA, Choice, Table
from kernels.modulate_norm import eager, native, reference

MOST_CHANNELS = 2048

_HALF_OR_SINGLE = (torch.float32, torch.float16, torch.bfloat16)

TABLE = Table(
    op="modulate_norm",
    size="numbers, B * N * C",
    backends={"reference": ANYWHERE, "eager": ANYWHERE, "native": CPU, "triton": CUDA},
    choices=(
        Choice("native", "cpu", measured="kernels-cpu"),
        Choice("triton", "cuda"),
        Choice("eager", "cuda"),
    ),
    dtypes={"triton": _HALF_OR_SINGLE},
)


@overload
def modulate_norm(
    x: Tensor,
    shift: Tensor | None = None,
    scale: Tensor | None = None,
    residual: None = None,
    gate: None = None,
    eps: float = 1e-6,
) -> Tensor: ...


@overload
def modulate_norm(
    x: Tensor,
    shift: Tensor | None,
    scale: Tensor | None,
    residual: Tensor,
    gate: Tensor | None = None,
    eps: float = 1e-6,
) -> tuple[Tensor, Tensor]: ...


def modulate_norm(
    x: Tensor,
    shift: Tensor | None = None,
    scale: Tensor | None = None,
    residual: Tensor | None = None,
    gate: Tensor | None = None,
    eps: float = 1e-6,
) -> Tensor | tuple[Tensor, Tensor]:
    """x' = x + gate * residual; y = LN(x') * (1 + scale) + shift, LN over channels, without affine.

    Args:
        x: [B, N, C] float32, float16, bfloat16 or float64, finite; C is at most 2,048.
        shift, scale: [B, C], of x's type and device; 0 where they are None.
        residual: [B, N, C], the same.
        gate: [B, C], the same, for a residual only; 1 where it is None. It multiplies as it is: a
            network that stores its gates less 1 adds the 1.
        eps: 1e-12 to 1, added to the variance.

    Returns:
        y [B, N, C] of x's type; with a residual (x', y), y being that of x' as it is returned,
        rounded.

    Raises:
        ShapeError: a shape above does not hold.
        ValueError: types or devices differ, eps or C is out of range, a value is not finite, or
            there is a gate and no residual.

    Sums over channels are taken in float32 at least, the variance in a second pass. A constant row
    gives `shift`, up to the rounding of its mean in `eager` and `native`. Differentiable, with
    the gradient of `eager`, which is computed anew for it; deterministic. At most twice as far from
    float64 as PyTorch's layer norm and the arithmetic written out. Squares of more than 3e38 / C
    overflow. Source: Peebles and Xie 2023, adaLN-Zero.
    """
    sizes = check_shapes(
        x=(x, "B N C"),
        shift=(shift, "B C"),
        scale=(scale, "B C"),
        residual=(residual, "B N C"),
        gate=(gate, "B C"),
    )
    check_range("C", sizes["C"], 1, MOST_CHANNELS)
    check_range("eps", eps, 1e-12, 1.0)
    check_dtype("x", x, [*_HALF_OR_SINGLE, torch.float64])
    check_alike(x=x, shift=shift, scale=scale, residual=residual, gate=gate)
    if gate is not None and residual is None:
        raise ValueError("gate: a residual expected with it, got None")
    check_finite(x=x, shift=shift, scale=scale, residual=residual, gate=gate)
    found: Tensor | tuple[Tensor, Tensor] = _Modulated.apply(x, shift, scale, residual, gate, eps)  # type: ignore[no-untyped-call]
    return found


class _Modulated(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx,
        x: Tensor,
        shift: Tensor | None,
        scale: Tensor | None,
        residual: Tensor | None,
        gate: Tensor | None,
        eps: float,
    ) -> Tensor | tuple[Tensor, Tensor]:
        ctx.save_for_backward(x, shift, scale, residual, gate)  # type: ignore[arg-type]
        ctx.eps = eps  # type: ignore[attr-defined]
        match TABLE.pick(x, x.numel()):
            case "triton":
                from kernels.modulate_norm import kernel

                found = kernel.modulate_norm(x, shift, scale, residual, gate, eps)
            case "native":
                found = native.modulate_norm(x, shift, scale, residual, gate, eps)
            case "eager":
                found = eager.modulate_norm(x, shift, scale, residual, gate, eps)
            case _:
                found = reference.modulate_norm(x, shift, scale, residual, gate, eps)
        return found[1] if residual is None else found

    @staticmethod
    @once_differentiable
    def backward(
        ctx: torch.autograd.function.FunctionCtx, *grads: Tensor
    ) -> tuple[Tensor | None, ...]:
        needed: tuple[bool, ...] = ctx.needs_input_grad  # type: ignore[attr-defined]
        saved: tuple[Tensor | None, ...] = ctx.saved_tensors  # type: ignore[attr-defined]
        inputs = [
            None if each is None else each.detach().requires_grad_(wanted)
            for each, wanted in zip(saved, needed[:-1], strict=True)
        ]
        with torch.enable_grad():
            found = eager.modulate_norm(*inputs, eps=ctx.eps)  # type: ignore[arg-type, attr-defined, misc]
        asked = [each for each in inputs if each is not None and each.requires_grad]
        given = iter(torch.autograd.grad(found[-len(grads) :], asked, grads))
        return tuple(next(given) if wanted else None for wanted in needed)
