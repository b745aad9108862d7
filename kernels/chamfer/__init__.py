"""Nearest neighbours of two clouds in each other; from them Chamfer distance and F-score."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from kernels.chamfer import kd_tree, reference, tiled
from kernels.checks import check_alike, check_dtype, check_finite, check_lengths, check_shapes
from kernels.dispatch import ANYWHERE, CPU, CUDA, Choice, Table
from kernels.ragged import without_padding
from kernels.scatter import scatter_sum

TABLE = Table(
    op="chamfer",
    size="pairs, B * N * M",
    backends={"reference": ANYWHERE, "tiled": ANYWHERE, "kd_tree": CPU, "triton": CUDA},
    choices=(
        Choice("kd_tree", "cpu", measured="kernels-cpu"),
        Choice("triton", "cuda"),
        Choice("tiled", "cuda"),
    ),
    dtypes={"triton": (torch.float32,)},
)


class NearestPairs(NamedTuple):
    """Of each point the nearest one of the other cloud.

    Attributes:
        x_sq_dist: [B, N] squared distance, of the clouds' type; 0 where x is padding.
        x_index: [B, N] int64 into y, -1 where x is padding.
        y_sq_dist: [B, M], the same for y.
        y_index: [B, M] int64 into x.
    """

    x_sq_dist: Tensor
    x_index: Tensor
    y_sq_dist: Tensor
    y_index: Tensor


def nearest_pairs(
    x: Tensor, y: Tensor, x_lengths: Tensor | None = None, y_lengths: Tensor | None = None
) -> NearestPairs:
    """Find the nearest neighbour of each point in the other cloud, both ways.

    Args:
        x: [B, N, 3] float32 or float64, finite, any unit.
        y: [B, M, 3], same type, device and unit.
        x_lengths: [B] int64, 1 to N, valid points of each cloud; the rest is padding, never read.
        y_lengths: [B] int64, 1 to M.

    Returns:
        `NearestPairs`. Equal distances go to the lower index.

    Raises:
        ShapeError: a shape above does not hold, or a cloud has no point.
        ValueError: types or devices differ, a length is out of range, a coordinate is not finite.

    Squared distances are differentiable, deterministically; pairs are held fixed. They are made of
    direct differences, right to 4 ulp; the expansion |x|^2 - 2xy + |y|^2 cancels near zero.
    """
    sizes = check_shapes(x=(x, "B N 3"), y=(y, "B M 3"))
    B, N, M = sizes["B"], sizes["N"], sizes["M"]
    check_dtype("x", x, [torch.float32, torch.float64])
    check_alike(x=x, y=y)
    check_lengths("x_lengths", x_lengths, B, N, x)
    check_lengths("y_lengths", y_lengths, B, M, y)
    x, y = without_padding(x, x_lengths), without_padding(y, y_lengths)
    check_finite(x=x, y=y)
    found: tuple[Tensor, Tensor, Tensor, Tensor] = _Nearest.apply(x, y, x_lengths, y_lengths)  # type: ignore[no-untyped-call]
    return NearestPairs(*found)


def chamfer_distance(
    pairs: NearestPairs,
    x_lengths: Tensor | None = None,
    y_lengths: Tensor | None = None,
    squared: bool = True,
) -> Tensor:
    """Mean distance of x to y and of y to x, summed: [B].

    Args:
        pairs: of two clouds.
        x_lengths, y_lengths: those that `pairs` were found with.
        squared: of squared distances, as PyTorch3D and chamfer3D have it, or of distances. The
            gradient of a distance of 0 is 0.
    """
    total = pairs.x_sq_dist.new_zeros(len(pairs.x_sq_dist))
    for sq_dist, lengths in ((pairs.x_sq_dist, x_lengths), (pairs.y_sq_dist, y_lengths)):
        distance = sq_dist if squared else _root(sq_dist)
        count = distance.shape[1] if lengths is None else lengths
        total = total + distance.sum(dim=1) / count
    return total


def f_score(
    pairs: NearestPairs,
    thresholds: Sequence[float],
    x_lengths: Tensor | None = None,
    y_lengths: Tensor | None = None,
) -> Tensor:
    """Harmonic mean of the shares of x and of y that lie near the other cloud: [B, T].

    Args:
        pairs: of two clouds.
        thresholds: T distances, not squared; a point counts strictly below.
        x_lengths, y_lengths: those that `pairs` were found with.

    Returns:
        [B, T], 0 where both shares are 0.
    """
    limits = pairs.x_sq_dist.new_tensor(list(thresholds))
    shares = []
    for sq_dist, index, lengths in (
        (pairs.x_sq_dist, pairs.x_index, x_lengths),
        (pairs.y_sq_dist, pairs.y_index, y_lengths),
    ):
        near = (sq_dist.sqrt()[..., None] < limits) & (index >= 0)[..., None]  # [B, N, T]
        count = sq_dist.shape[1] if lengths is None else lengths[:, None]
        shares.append(near.sum(dim=1).to(sq_dist.dtype) / count)
    precision, recall = shares
    total = precision + recall
    return torch.where(total > 0, 2 * precision * recall / total.clamp(min=1e-30), 0.0)


class _Nearest(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx,
        x: Tensor,
        y: Tensor,
        x_lengths: Tensor | None,
        y_lengths: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        match TABLE.pick(x, x.numel() // 3 * y.shape[1]):
            case "triton":
                from kernels.chamfer import kernel

                found = kernel.nearest_pairs(x, y, x_lengths, y_lengths)
            case "kd_tree":
                found = kd_tree.nearest_pairs(x, y, x_lengths, y_lengths)
            case "tiled":
                found = tiled.nearest_pairs(x, y, x_lengths, y_lengths)
            case _:
                found = reference.nearest_pairs(x, y, x_lengths, y_lengths)
        _, x_index, _, y_index = found
        ctx.save_for_backward(x, y, x_index, y_index)
        ctx.mark_non_differentiable(x_index, y_index)
        return found

    @staticmethod
    @once_differentiable
    def backward(
        ctx: torch.autograd.function.FunctionCtx,
        of_x: Tensor,
        _x_index: Tensor,
        of_y: Tensor,
        _y_index: Tensor,
    ) -> tuple[Tensor, Tensor, None, None]:
        x, y, x_index, y_index = ctx.saved_tensors  # type: ignore[attr-defined]
        dx, dy_there = _moved(x, y, x_index, of_x)
        dy, dx_there = _moved(y, x, y_index, of_y)
        return dx + dx_there, dy + dy_there, None, None


def _moved(x: Tensor, y: Tensor, index: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of sum(weight * |x - y[index]|^2) for x [B, N, 3] and y [B, M, 3]."""
    B, M = len(y), y.shape[1]
    valid = index >= 0
    rows = (index.clamp(min=0) + M * torch.arange(B, device=y.device)[:, None]).flatten()
    apart = x - y.reshape(-1, 3)[rows].view_as(x)
    dx = torch.where(valid[..., None], 2 * weight[..., None] * apart, 0.0)
    return dx, -scatter_sum(dx.reshape(-1, 3), rows, B * M).view_as(y)


def _root(sq_dist: Tensor) -> Tensor:
    """Square root whose gradient at 0 is 0, not infinite."""
    positive = sq_dist > 0
    return torch.where(positive, torch.where(positive, sq_dist, 1.0).sqrt(), 0.0)
