"""Rows of points gathered by the neighbourhoods that `ball_query` or `knn` found."""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from kernels.checks import (
    check_alike,
    check_devices,
    check_dtype,
    check_finite,
    check_index,
    check_shapes,
)
from kernels.dispatch import ANYWHERE, CPU, CUDA, Choice, Table
from kernels.group import reference, rows
from kernels.scatter import scatter_sum

TABLE = Table(
    op="group",
    size="elements written, B * M * U * C, or (3 + C)",
    backends={"reference": ANYWHERE, "rows": CPU, "triton": CUDA},
    choices=(
        Choice("rows", "cpu", measured="kernels-cpu"),
        Choice("triton", "cuda"),
        Choice("reference", "cuda"),
    ),
)
_MOST_ELEMENTS = (1 << 31) - (1 << 16)  # of a cloud, which kernels count in 32 bits


def group(features: Tensor, index: Tensor) -> Tensor:
    """Gather the features of each neighbourhood.

    Args:
        features: [B, N, C] float16, bfloat16, float32 or float64; any values.
        index: [B, M, U] int64, 0 to N - 1, same device.

    Returns:
        [B, M, U, C] of the features' type, bit for bit.

    Raises:
        ShapeError: a shape above does not hold, or a size other than B is 0.
        ValueError: types or devices differ, an index is out of range, or a cloud's output has 2^31
            elements.

    Differentiable in the features, deterministically. As `grouping` of PVCNN, with channels last.
    """
    sizes = check_shapes(features=(features, "B N C"), index=(index, "B M U"))
    check_dtype("features", features, [torch.float16, torch.bfloat16, torch.float32, torch.float64])
    _check_index(features, index, sizes["N"], sizes["C"])
    grouped: Tensor = _Group.apply(features, index)  # type: ignore[no-untyped-call]
    return grouped


def group_relative(
    points: Tensor, centers: Tensor, features: Tensor | None, index: Tensor
) -> Tensor:
    """Gather each neighbourhood's points, relative to its centre, and their features behind them.

    Args:
        points: [B, N, 3] float32 or float64, finite, any unit.
        centers: [B, M, 3], same type, device and unit.
        features: [B, N, C], same type; any values; or None.
        index: [B, M, U] int64, 0 to N - 1, same device.

    Returns:
        [B, M, U, 3 + C], or [B, M, U, 3] without features.

    Raises:
        ShapeError: a shape above does not hold, or a size other than B is 0.
        ValueError: types or devices differ, an index is out of range, a coordinate is not finite,
            or a cloud's output has 2^31 elements.

    Differentiable in all three, deterministically. The input of a set abstraction of PointNet++
    (arXiv 1706.02413, section 3.2).
    """
    sizes = check_shapes(
        points=(points, "B N 3"),
        centers=(centers, "B M 3"),
        features=(features, "B N C"),
        index=(index, "B M U"),
    )
    check_dtype("points", points, [torch.float32, torch.float64])
    check_alike(points=points, centers=centers, features=features)
    _check_index(points, index, sizes["N"], 3 + sizes.get("C", 0))
    check_finite(points=points, centers=centers)
    grouped: Tensor = _GroupRelative.apply(points, centers, features, index)  # type: ignore[no-untyped-call]
    return grouped


def _check_index(like: Tensor, index: Tensor, N: int, width: int) -> None:
    check_dtype("index", index, [torch.int64])
    check_devices(points=like, index=index)
    M, U = index.shape[1:]
    if M * U * width > _MOST_ELEMENTS:
        raise ValueError(
            f"index: at most {_MOST_ELEMENTS} elements of a cloud expected, got {M * U * width}"
        )
    check_index("index", index, 0, N - 1)


class _Group(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx, features: Tensor, index: Tensor
    ) -> Tensor:
        ctx.save_for_backward(index)
        ctx.N = features.shape[1]  # type: ignore[attr-defined]
        match TABLE.pick(features, index.numel() * features.shape[2]):
            case "triton":
                from kernels.group import kernel

                return kernel.group(features, index)
            case "rows":
                return rows.group(features, index)
            case _:
                return reference.group(features, index)

    @staticmethod
    @once_differentiable
    def backward(ctx: torch.autograd.function.FunctionCtx, grad: Tensor) -> tuple[Tensor, None]:
        (index,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return _ungrouped(grad, index, ctx.N), None  # type: ignore[attr-defined]


class _GroupRelative(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx,
        points: Tensor,
        centers: Tensor,
        features: Tensor | None,
        index: Tensor,
    ) -> Tensor:
        ctx.save_for_backward(index)
        ctx.N = points.shape[1]  # type: ignore[attr-defined]
        width = 3 if features is None else 3 + features.shape[2]
        match TABLE.pick(points, index.numel() * width):
            case "triton":
                from kernels.group import kernel

                return kernel.group_relative(points, centers, features, index)
            case "rows":
                return rows.group_relative(points, centers, features, index)
            case _:
                return reference.group_relative(points, centers, features, index)

    @staticmethod
    @once_differentiable
    def backward(
        ctx: torch.autograd.function.FunctionCtx, grad: Tensor
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        (index,) = ctx.saved_tensors  # type: ignore[attr-defined]
        N: int = ctx.N  # type: ignore[attr-defined]
        of_points, of_centers, of_features, _ = ctx.needs_input_grad  # type: ignore[attr-defined]
        near = grad[..., :3]
        return (
            _ungrouped(near, index, N) if of_points else None,
            -near.sum(dim=2) if of_centers else None,
            _ungrouped(grad[..., 3:], index, N) if of_features else None,
            None,
        )


def _ungrouped(grad: Tensor, index: Tensor, N: int) -> Tensor:
    """[B, N, C] sums of `grad` [B, M, U, C] over the places where each point stands."""
    B, C = len(grad), grad.shape[3]
    cloud = N * torch.arange(B, device=grad.device)[:, None, None]
    at = (index + cloud).reshape(-1)
    return scatter_sum(grad.reshape(-1, C), at, B * N).view(B, N, C)
