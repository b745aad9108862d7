from typing import NamedTuple

import torch
from torch import Tensor

from kernels.checks import (
    check_dtype,
    check_finite,
    check_lengths,
    check_range,
    check_shapes,
    values_are_trusted,
)

FINEST = 1024  # cells along a side: their number fits 32 bits
PADDING = -1


class VoxelCoordinates(NamedTuple):
    """Where points lie in a grid of R cells a side.

    Attributes:
        coords: [B, N, 3] in cells, 0 to R - 1, of the points' type; 0 where a point is padding.
        cell: [B, N] int64, `x * R * R + y * R + z` of the nearest cell centre; -1 for padding.
    """

    coords: Tensor
    cell: Tensor


def voxel_coordinates(
    points: Tensor,
    resolution: int,
    normalize: bool = True,
    eps: float = 0.0,
    lengths: Tensor | None = None,
) -> VoxelCoordinates:
    """Place clouds in a grid, their mean in its middle.

    Args:
        points: [B, N, 3] float32 or float64, finite, any unit.
        resolution: R, cells along a side, 1 to 1024.
        normalize: scale each cloud by twice its largest distance from the mean, plus `eps`, so that
            it fills the grid; otherwise [-1, 1] about the mean does, and what lies outside goes to
            the grid's faces.
        eps: 0 or more, in the points' unit.
        lengths: [B] int64, 1 to N, valid points of each cloud; the rest is padding, never read.

    Returns:
        `VoxelCoordinates`. The last cell is R - 1 though the scale is R: coordinates beyond are
        clamped. Coordinates midway between two cells go to the even one.

    Raises:
        ShapeError: a shape above does not hold, or a cloud has no point.
        ValueError: a type or device is wrong, a length is out of range, a coordinate is not finite,
            or a cloud has no extent, all its points being equal, where `eps` is 0.

    Not differentiable: the result is detached. Plain PyTorch on every device; means and radii are
    taken in float64. Source: Liu et al., Point-Voxel CNN, 2019, as published in code.
    """
    sizes = check_shapes(points=(points, "B N 3"))
    B, N = sizes["B"], sizes["N"]
    check_dtype("points", points, [torch.float32, torch.float64])
    check_range("resolution", resolution, 1, FINEST)
    check_range("eps", eps, 0, torch.finfo(points.dtype).max)
    check_lengths("lengths", lengths, B, N, points)
    points = points.detach()
    valid = None
    if lengths is not None:
        valid = (torch.arange(N, device=points.device) < lengths[:, None])[..., None]  # [B, N, 1]
        points = torch.where(valid, points, points[:, :1])  # which changes no extent
    check_finite(points=points)

    centred = points - _mean(points, valid)
    if normalize:
        radii = torch.linalg.vector_norm(centred, dim=-1, keepdim=True, dtype=torch.float64)
        extent = 2 * radii.amax(dim=1, keepdim=True) + eps  # [B, 1, 1]
        _check_extent(points, extent, eps)
        unit = centred / extent.to(points.dtype) + 0.5
    else:
        unit = (centred + 1) / 2
    coords = (unit * resolution).clamp(0, resolution - 1)
    x, y, z = coords.round().long().unbind(dim=-1)
    cell = (x * resolution + y) * resolution + z
    if valid is not None:
        coords = torch.where(valid, coords, 0.0)
        cell = torch.where(valid[..., 0], cell, PADDING)
    return VoxelCoordinates(coords, cell)


def _mean(points: Tensor, valid: Tensor | None) -> Tensor:
    """[B, 1, 3], in float64 on the way: the mean of equal points is their place exactly."""
    if valid is None:
        return points.mean(dim=1, keepdim=True, dtype=torch.float64).to(points.dtype)
    total = torch.where(valid, points, 0.0).sum(dim=1, keepdim=True, dtype=torch.float64)
    return (total / valid.sum(dim=1, keepdim=True)).to(points.dtype)


def _check_extent(points: Tensor, extent: Tensor, eps: float) -> None:
    if values_are_trusted():
        return
    if not torch.isfinite(extent).all():
        raise ValueError(
            f"points: an extent that fits {points.dtype} expected, got an infinite one"
        )
    if eps == 0:
        alike = int((points.amax(dim=1) == points.amin(dim=1)).all(dim=-1).sum())
        if alike:
            raise ValueError(
                "points: two distinct points in each cloud expected where eps is 0, "
                f"got {alike} of one place, which have no extent to normalize by"
            )
