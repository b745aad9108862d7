"""Where an enlarged map takes its values from, and the gradient that goes back there."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from kernels.scatter import scatter_sum

Mode = Literal["bilinear", "nearest"]
Gather = Callable[[Tensor, Tensor, int, int, Mode], Tensor]


def taps(
    pixel: Tensor, size: tuple[int, int], image_size: tuple[int, int], mode: Mode
) -> tuple[Tensor, Tensor]:
    """Cells of a map of `size` that make up each pixel: numbers and weights, both [B, N, K].

    Weights are float64, of a hidden point 0. In whole numbers up to the weights, so that every
    backend takes the same cells.
    """
    (h, w), (H, W) = size, image_size
    seen = pixel >= 0
    at = pixel.clamp(min=0)
    row, column = at // W, at % W
    if mode == "nearest":
        return (row * h // H * w + column * w // W)[..., None], seen[..., None].double()
    top, bottom, down = _between(row, h, H)
    left, right, across = _between(column, w, W)
    cells = [top * w + left, top * w + right, bottom * w + left, bottom * w + right]
    up, back = (1 - down) * seen, 1 - across
    down = down * seen
    weights = [up * back, up * across, down * back, down * across]
    return torch.stack(cells, dim=-1), torch.stack(weights, dim=-1)


def _between(at: Tensor, size: int, of: int) -> tuple[Tensor, Tensor, Tensor]:
    """The two cells that place `at` of `of` lies between, and how far it is towards the second."""
    steps = ((2 * at + 1) * size - of).clamp(min=0)  # of 1 / (2 * of) of a cell
    low = steps // (2 * of)
    return low, (low + 1).clamp(max=size - 1), (steps - low * (2 * of)).double() / (2 * of)


class FeaturesAt(torch.autograd.Function):
    """What `gather` finds, with the gradient to the map that all backends share."""

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx,
        feature_map: Tensor,
        pixel: Tensor,
        image_size: tuple[int, int],
        mode: Mode,
        gather: Gather,
    ) -> Tensor:
        ctx.save_for_backward(pixel)
        ctx.where = feature_map.shape, image_size, mode  # type: ignore[attr-defined]
        return gather(feature_map, pixel, *image_size, mode)

    @staticmethod
    @once_differentiable
    def backward(
        ctx: torch.autograd.function.FunctionCtx, of_features: Tensor
    ) -> tuple[Tensor, None, None, None, None]:
        (pixel,) = ctx.saved_tensors  # type: ignore[attr-defined]
        (B, C, h, w), image_size, mode = ctx.where  # type: ignore[attr-defined]
        cells, weights = taps(pixel, (h, w), image_size, mode)
        cells = cells + h * w * torch.arange(B, device=pixel.device)[:, None, None]
        wide = of_features.to(torch.promote_types(of_features.dtype, torch.float32))
        total = wide.new_zeros(B * h * w, C)
        for k in range(cells.shape[-1]):  # one after another: all at once is four times the memory
            part = weights[..., k, None].to(wide.dtype) * wide
            total += scatter_sum(part.flatten(0, 1), cells[..., k].flatten(), B * h * w)
        of_map = total.view(B, h, w, C).permute(0, 3, 1, 2).to(of_features.dtype)
        return of_map, None, None, None, None
