"""The k nearest points of each query."""

from typing import NamedTuple

import torch
from torch import Tensor

from kernels.checks import (
    check_alike,
    check_dtype,
    check_finite,
    check_lengths,
    check_range,
    check_shapes,
)
from kernels.dispatch import ANYWHERE, CPU, CUDA, Choice, Table
from kernels.knn import kd_tree, reference, tiled
from kernels.ragged import without_padding

TABLE = Table(
    op="knn",
    size="pairs, B * M * N",
    backends={"reference": ANYWHERE, "tiled": ANYWHERE, "kd_tree": CPU, "triton": CUDA},
    choices=(
        Choice("kd_tree", "cpu", measured="kernels-cpu"),
        Choice("triton", "cuda"),
        Choice("tiled", "cuda"),
    ),
    dtypes={"triton": (torch.float32,)},
)
MOST_NEIGHBORS = 32


class Neighbors(NamedTuple):
    """Of each query the nearest points, nearest first.

    Attributes:
        index: [B, M, k] int64 into the points, -1 where the cloud has fewer than k.
        sq_dist: [B, M, k] squared distance, of the clouds' type, infinite where `index` is -1.
    """

    index: Tensor  # type: ignore[assignment]
    sq_dist: Tensor


def knn(query: Tensor, points: Tensor, k: int, lengths: Tensor | None = None) -> Neighbors:
    """Find the k nearest points of each query, nearest first.

    Args:
        query: [B, M, 3] float32 or float64, finite, any unit.
        points: [B, N, 3], same type, device and unit.
        k: 1 to 32 and to N.
        lengths: [B] int64, 1 to N, valid points of each cloud; the rest is padding, never read.

    Returns:
        `Neighbors`. Equal distances go to the lower index.

    Raises:
        ShapeError: a shape above does not hold, or there is no query or no point.
        ValueError: types or devices differ, k or a length is out of range, a coordinate is not
            finite.

    Not differentiable. Squared distances are made of direct differences, right to 4 ulp; every run
    gives the same bits. Own definition, without a published counterpart.
    """
    sizes = check_shapes(query=(query, "B M 3"), points=(points, "B N 3"))
    B, M, N = sizes["B"], sizes["M"], sizes["N"]
    check_dtype("query", query, [torch.float32, torch.float64])
    check_alike(query=query, points=points)
    check_range("k", k, 1, min(N, MOST_NEIGHBORS))
    check_lengths("lengths", lengths, B, N, points)
    query, points = query.detach(), without_padding(points.detach(), lengths)
    check_finite(query=query, points=points)
    match TABLE.pick(query, B * M * N):
        case "triton":
            from kernels.knn import kernel

            found = kernel.knn(query, points, k, lengths)
        case "kd_tree":
            found = kd_tree.knn(query, points, k, lengths)
        case "tiled":
            found = tiled.knn(query, points, k, lengths)
        case _:
            found = reference.knn(query, points, k, lengths)
    return Neighbors(*found)
