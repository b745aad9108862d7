"""Trilinear interpolation of a grid's features at points (PVCNN's devoxelisation)."""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from kernels.checks import (
    check_devices,
    check_dtype,
    check_finite,
    check_shapes,
    values_are_trusted,
)
from kernels.devoxelize import bag, reference
from kernels.devoxelize.reference import corners
from kernels.dispatch import ANYWHERE, CPU, CUDA, Choice, Table
from kernels.scatter import scatter_sum

__all__ = ["TABLE", "corners", "devoxelize"]

TABLE = Table(
    op="devoxelize",
    size="features, B * N * C",
    backends={"reference": ANYWHERE, "bag": CPU, "triton": CUDA},
    choices=(
        Choice("bag", "cpu", measured="kernels-cpu"),
        Choice("reference", "cpu", measured="kernels-cpu"),
        Choice("triton", "cuda"),
        Choice("reference", "cuda"),
    ),
    dtypes={
        "bag": (torch.float32, torch.float64),
        "triton": (torch.float32, torch.float16, torch.bfloat16),
    },
)


def devoxelize(grid: Tensor, coords: Tensor) -> Tensor:
    """Blend the eight cells about each point.

    Args:
        grid: [B, C, R, R, R] float16, bfloat16, float32 or float64, any strides, finite. One that
            is not `torch.channels_last_3d` is copied to be so.
        coords: [B, N, 3] in cells, 0 to R - 1, float64 with a float64 grid and else float32.
            `kernels.voxelize.voxel_coordinates` makes them.

    Returns:
        [B, N, C] of the grid's type.

    Raises:
        ShapeError: a shape above does not hold, or a cloud has no point.
        ValueError: a type or device is wrong, a value is not finite, a coordinate lies outside.

    Differentiable in `grid` alone, deterministically. Sums of float16 and bfloat16 are float32's.
    Where a coordinate is whole the neighbour above it is itself, so that R - 1 reads nothing
    outside. Source: Liu et al., Point-Voxel CNN, 2019.
    """
    R = check_shapes(grid=(grid, "B C R R R"), coords=(coords, "B N 3"))["R"]
    allowed = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
    check_dtype("grid", grid, allowed)
    double = grid.dtype == torch.float64
    check_dtype("coords", coords, [torch.float64 if double else torch.float32])
    check_devices(grid=grid, coords=coords)
    check_finite(grid=grid, coords=coords)
    _check_inside(coords, R - 1)
    found: Tensor = _Devoxelize.apply(grid, coords)  # type: ignore[no-untyped-call]
    return found


def _check_inside(coords: Tensor, most: int) -> None:
    if values_are_trusted() or coords.numel() == 0:
        return
    low, high = (float(value) for value in coords.detach().aminmax())
    if low < 0 or high > most:
        raise ValueError(
            f"coords: values of 0 to {most} expected, got {low if low < 0 else high:.9g}"
        )


class _Devoxelize(torch.autograd.Function):
    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, grid: Tensor, coords: Tensor) -> Tensor:
        B, C, R = grid.shape[:3]
        rows = grid.permute(0, 2, 3, 4, 1).reshape(B, R**3, C)
        match TABLE.pick(grid, coords.numel() // 3 * C):
            case "triton":
                from kernels.devoxelize import kernel

                found = kernel.devoxelize(rows, coords, R)
            case "bag":
                found = bag.devoxelize(rows, coords, R)
            case _:
                found = reference.devoxelize(rows, coords, R)
        ctx.save_for_backward(coords)
        ctx.resolution = R  # type: ignore[attr-defined]
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: torch.autograd.function.FunctionCtx, of_found: Tensor) -> tuple[Tensor, None]:
        (coords,) = ctx.saved_tensors  # type: ignore[attr-defined]
        R: int = ctx.resolution  # type: ignore[attr-defined]
        B, _, C = of_found.shape
        index, weight = corners(coords, R)
        first = R**3 * torch.arange(B, device=coords.device)[:, None, None]
        share = weight[..., None] * of_found[:, :, None]  # [B, N, 8, C]
        rows = scatter_sum(share.reshape(-1, C), (index + first).flatten(), B * R**3)
        return rows.to(of_found.dtype).view(B, R, R, R, C).permute(0, 4, 1, 2, 3), None
