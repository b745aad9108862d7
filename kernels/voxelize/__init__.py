"""Mean of the features that fall into each cell of a grid (PVCNN's average voxelisation)."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from kernels.checks import (
    check_devices,
    check_dtype,
    check_finite,
    check_index,
    check_range,
    check_shapes,
    values_are_trusted,
)
from kernels.dispatch import ANYWHERE, CPU, CUDA, Choice, Table
from kernels.voxelize import reference, scatter
from kernels.voxelize.coordinates import (
    FINEST,
    PADDING,
    VoxelCoordinates,
    voxel_coordinates,
)

__all__ = ["TABLE", "VoxelCoordinates", "VoxelMeans", "average_voxelize", "voxel_coordinates"]

TABLE = Table(
    op="voxelize",
    size="features, B * N * C",
    backends={"reference": ANYWHERE, "scatter": CPU, "triton": CUDA},
    choices=(
        Choice("scatter", "cpu", measured="kernels-cpu"),
        Choice("triton", "cuda"),
        Choice("reference", "cuda"),
    ),
    dtypes={"triton": (torch.float32, torch.float16, torch.bfloat16)},
)


class VoxelMeans(NamedTuple):
    """What the cells of a grid hold.

    Attributes:
        mean: [B, C, R, R, R], of the features' type, 0 in empty cells. Channels are last in memory
            (`torch.channels_last_3d`), as a convolution of points' features wants them.
        counts: [B, R, R, R] int32, how many points fell into each cell.
    """

    mean: Tensor
    counts: Tensor


def average_voxelize(features: Tensor, cell: Tensor, resolution: int) -> VoxelMeans:
    """Average the features of the points in each cell.

    Args:
        features: [B, N, C] float16, bfloat16, float32 or float64, finite.
        cell: [B, N] int64, `x * R * R + y * R + z` of 0 to R^3 - 1, or -1 for padding, whose
            features are never read. `voxel_coordinates` makes it.
        resolution: R, cells along a side, 1 to 1024.

    Returns:
        `VoxelMeans`.

    Raises:
        ShapeError: a shape above does not hold, or a cloud has no point.
        ValueError: a type or device is wrong, a cell is out of range, a feature is not finite.

    Differentiable in `features`: each point gets its cell's gradient over the count. Deterministic
    both ways: a cell is summed in the order of its points, in float32 or wider. Source: Liu et al.,
    Point-Voxel CNN, 2019, whose published code adds by atomics, in any order.
    """
    sizes = check_shapes(features=(features, "B N C"), cell=(cell, "B N"))
    allowed = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
    check_dtype("features", features, allowed)
    check_dtype("cell", cell, [torch.int64])
    check_devices(features=features, cell=cell)
    check_range("resolution", resolution, 1, FINEST)
    check_index("cell", cell, PADDING, resolution**3 - 1)
    if not values_are_trusted():
        check_finite(features=features.masked_fill((cell == PADDING)[..., None], 0))
    rows: Tensor
    count: Tensor
    rows, count = _Average.apply(features, cell, resolution**3)  # type: ignore[no-untyped-call]
    B, C, R = sizes["B"], sizes["C"], resolution
    return VoxelMeans(rows.view(B, R, R, R, C).permute(0, 4, 1, 2, 3), count.view(B, R, R, R))


class _Average(torch.autograd.Function):
    """[B, N, C] features to [B, R^3, C] means and [B, R^3] counts."""

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx, features: Tensor, cell: Tensor, cells: int
    ) -> tuple[Tensor, Tensor]:
        match TABLE.pick(features, features.numel()):
            case "triton":
                from kernels.voxelize import kernel

                mean, count = kernel.average_voxelize(features, cell, cells)
            case "scatter":
                mean, count = scatter.average_voxelize(features, cell, cells)
            case _:
                mean, count = reference.average_voxelize(features, cell, cells)
        ctx.save_for_backward(cell, count)
        ctx.mark_non_differentiable(count)
        return mean, count

    @staticmethod
    @once_differentiable
    def backward(
        ctx: torch.autograd.function.FunctionCtx, of_mean: Tensor, _of_count: Tensor
    ) -> tuple[Tensor, None, None]:
        cell, count = ctx.saved_tensors  # type: ignore[attr-defined]
        B, cells, C = of_mean.shape
        first = cells * torch.arange(B, device=cell.device)[:, None]
        flat = cell.clamp(min=0) + first  # [B, N]
        share = of_mean.reshape(-1, C)[flat] / count.flatten()[flat].clamp(min=1)[..., None]
        return share.masked_fill((cell == PADDING)[..., None], 0), None, None
