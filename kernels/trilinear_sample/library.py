import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from kernels.trilinear_sample import reference


def trilinear_sample(grid: Tensor, points: Tensor, align_corners: bool, padding: str) -> Tensor:
    """PyTorch's `grid_sample`. On CUDA its backward pass adds by atomics, so it is replaced."""
    if grid.is_cuda and torch.is_grad_enabled() and (grid.requires_grad or points.requires_grad):
        out: Tensor = Repeatable.apply(grid, points, align_corners, padding)  # type: ignore[no-untyped-call]
        return out
    return _sampled(grid, points, align_corners, padding)


def _sampled(grid: Tensor, points: Tensor, align_corners: bool, padding: str) -> Tensor:
    places = points[:, :, None, None]  # [B, N, 1, 1, 3]
    out = F.grid_sample(grid, places, padding_mode=padding, align_corners=align_corners)
    return out[..., 0, 0].mT


class Repeatable(torch.autograd.Function):
    """Forward by `grid_sample`; backward by the reference's gathers, whose gradients PyTorch sums
    in a fixed order."""

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx,
        grid: Tensor,
        points: Tensor,
        align_corners: bool,
        padding: str,
    ) -> Tensor:
        ctx.save_for_backward(grid, points)
        ctx.how = (align_corners, padding)  # type: ignore[attr-defined]
        return _sampled(grid, points, align_corners, padding)

    @staticmethod
    @once_differentiable
    def backward(
        ctx: torch.autograd.function.FunctionCtx, of_out: Tensor
    ) -> tuple[Tensor | None, Tensor | None, None, None]:
        grid, points = ctx.saved_tensors  # type: ignore[attr-defined]
        of_grid, of_points = ctx.needs_input_grad[:2]  # type: ignore[attr-defined]
        with torch.enable_grad():
            grid = grid.detach().requires_grad_(of_grid)
            points = points.detach().requires_grad_(of_points)
            out = reference.trilinear_sample(grid, points, *ctx.how)  # type: ignore[attr-defined]
        torch.autograd.backward(out, of_out)
        return grid.grad, points.grad, None, None
