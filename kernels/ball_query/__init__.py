"""The first points within a radius of each centre, as PointNet++ groups them."""

from typing import NamedTuple

import torch
from torch import Tensor

from kernels.ball_query import blocks, reference, tiled
from kernels.checks import (
    check_alike,
    check_dtype,
    check_finite,
    check_lengths,
    check_range,
    check_shapes,
)
from kernels.dispatch import ANYWHERE, CPU, CUDA, Choice, Table
from kernels.ragged import without_padding

TABLE = Table(
    op="ball_query",
    size="pairs, B * M * N",
    backends={"reference": ANYWHERE, "tiled": ANYWHERE, "blocks": CPU, "triton": CUDA},
    choices=(
        Choice("blocks", "cpu", measured="kernels-cpu"),
        Choice("triton", "cuda"),
        Choice("tiled", "cuda"),
    ),
    dtypes={"triton": (torch.float32,)},
)
MOST_NEIGHBORS = 1024
_MOST_RADIUS = 1e18  # whose square float32 still holds


class Ball(NamedTuple):
    """What lies within the radius of each centre.

    Attributes:
        index: [B, M, U] int64 into the points: the first U hits, by index; slots left over repeat
            the first hit. Without any hit all are 0, a point that is not near.
        count: [B, M] int64, hits up to U: 0 tells such a centre.
    """

    index: Tensor  # type: ignore[assignment]
    count: Tensor  # type: ignore[assignment]


def ball_query(
    centers: Tensor,
    points: Tensor,
    radius: float,
    max_neighbors: int,
    lengths: Tensor | None = None,
) -> Ball:
    """Find the first points, in index order, that lie strictly within a radius of each centre.

    Args:
        centers: [B, M, 3] float32 or float64, finite, any unit.
        points: [B, N, 3], same type, device and unit.
        radius: above 0, same unit, rounded to the points' type before it is squared.
        max_neighbors: U, 1 to 1024; may be more than N.
        lengths: [B] int64, 1 to N, valid points of each cloud; the rest is padding, never read.

    Returns:
        `Ball`. A point whose squared distance is within a rounding error of radius^2 may fall on
        either side on a GPU, which fuses multiplications and additions.

    Raises:
        ShapeError: a shape above does not hold, or there is no centre or no point.
        ValueError: types or devices differ, a number or a length is out of range, a coordinate is
            not finite.

    Not differentiable; every run gives the same bits. As the operator of PVCNN and of PointNet++
    (arXiv 1706.02413, section 3.2), which lacks `count`.
    """
    sizes = check_shapes(centers=(centers, "B M 3"), points=(points, "B N 3"))
    B, M, N = sizes["B"], sizes["M"], sizes["N"]
    check_dtype("centers", centers, [torch.float32, torch.float64])
    check_alike(centers=centers, points=points)
    check_range("max_neighbors", max_neighbors, 1, MOST_NEIGHBORS)
    check_range("radius", radius, torch.finfo(torch.float32).tiny, _MOST_RADIUS)
    check_lengths("lengths", lengths, B, N, points)
    centers, points = centers.detach(), without_padding(points.detach(), lengths)
    check_finite(centers=centers, points=points)
    rounded = torch.tensor(radius, dtype=centers.dtype)
    sq_radius = float(rounded * rounded)
    match TABLE.pick(centers, B * M * N):
        case "triton":
            from kernels.ball_query import kernel

            found = kernel.ball_query(centers, points, sq_radius, max_neighbors, lengths)
        case "blocks":
            found = blocks.ball_query(centers, points, sq_radius, max_neighbors, lengths)
        case "tiled":
            found = tiled.ball_query(centers, points, sq_radius, max_neighbors, lengths)
        case _:
            found = reference.ball_query(centers, points, sq_radius, max_neighbors, lengths)
    return Ball(*found)
