"""Values of a grid between its nodes: what implicit decoders and feature planes read."""

from typing import Literal

import torch
from torch import Tensor

from kernels.checks import check_alike, check_dtype, check_finite, check_shapes
from kernels.dispatch import ANYWHERE, Choice, Table
from kernels.trilinear_sample import library, reference

TABLE = Table(
    op="trilinear_sample",
    size="values, B * N * C",
    backends={"reference": ANYWHERE, "grid_sample": ANYWHERE},
    choices=(
        Choice("grid_sample", "cpu", measured="kernels-cpu"),
        Choice("grid_sample", "cuda"),
    ),
)

_PADDINGS = ("border", "zeros")


def trilinear_sample(
    grid: Tensor,
    points: Tensor,
    *,
    align_corners: bool,
    padding: Literal["border", "zeros"] = "border",
) -> Tensor:
    """Interpolate a grid of features linearly along its three axes.

    Args:
        grid: [B, C, D, H, W] float32 or float64, finite. D = 1 makes it a plane.
        points: [B, N, 3], same type and device, finite. x runs along W, y along H, z along D, each
            from -1 to 1 across the grid.
        align_corners: -1 and 1 are the centres of the outer nodes, else the outer faces of their
            cells.
        padding: what lies beyond the outer nodes: their own values, or zeros, towards which values
            fall off within one cell.

    Returns:
        [B, N, C] of the grid's type.

    Raises:
        ShapeError: a shape above does not hold.
        ValueError: types or devices differ, a value is not finite, the padding is unknown.

    Differentiable in both, deterministically; on `reference` twice. A position has no slope along
    an axis on which it is clamped, rim included; on a node, it has that towards the next node.
    Source: PyTorch's `grid_sample`, mode "bilinear".
    """
    check_shapes(grid=(grid, "B C D H W"), points=(points, "B N 3"))
    check_dtype("grid", grid, [torch.float32, torch.float64])
    check_alike(grid=grid, points=points)
    if padding not in _PADDINGS:
        raise ValueError(f"padding: one of {', '.join(_PADDINGS)} expected, got {padding!r}")
    check_finite(grid=grid, points=points)
    if TABLE.pick(grid, points.numel() // 3 * grid.shape[1]) == "grid_sample":
        return library.trilinear_sample(grid, points, align_corners, padding)
    return reference.trilinear_sample(grid, points, align_corners, padding)
