"""Features of a few centres spread over a cloud: each point takes those of the three nearest."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from kernels.checks import check_alike, check_devices, check_dtype, check_finite, check_shapes
from kernels.dispatch import ANYWHERE, CPU, CUDA, Choice, Table
from kernels.scatter import scatter_sum
from kernels.three_nn_interpolate import kd_tree, reference, tiled

TABLE = Table(
    op="three_nn_interpolate",
    size="pairs, B * N * M",
    backends={"reference": ANYWHERE, "tiled": ANYWHERE, "kd_tree": CPU, "triton": CUDA},
    choices=(
        Choice("tiled", "cpu", up_to=2e4, measured="kernels-cpu"),
        Choice("kd_tree", "cpu", measured="kernels-cpu"),
        Choice("triton", "cuda"),
        Choice("tiled", "cuda"),
    ),
    dtypes={"triton": (torch.float32,)},
)


class ThreeNearest(NamedTuple):
    """Of each point the three nearest centres, nearest first.

    Attributes:
        center_index: [B, N, 3] int64 into the centres, 0 where there is none.
        weights: [B, N, 3] of the clouds' type, adding up to 1: inverse squared distances, of which
            each counts as 1e-10 to 1e10, and that of a missing centre as 1e10.
    """

    center_index: Tensor
    weights: Tensor


def three_nn(points: Tensor, centers: Tensor) -> ThreeNearest:
    """Find the three nearest centres of each point, and how much each of them counts.

    Args:
        points: [B, N, 3] float32 or float64, finite, any unit.
        centers: [B, M, 3], same type, device and unit. There may be fewer than three.

    Returns:
        `ThreeNearest`. Equal distances go to the lower index; `kd_tree` may take a centre that is
        farther by a rounding error. A squared distance that overflows makes a centre a missing one.

    Raises:
        ShapeError: a shape above does not hold, or a cloud has no point.
        ValueError: types or devices differ, or a coordinate is not finite.

    Not differentiable; deterministic. Limits and weights are those of PVCNN's kernel.
    """
    sizes = check_shapes(points=(points, "B N 3"), centers=(centers, "B M 3"))
    check_dtype("points", points, [torch.float32, torch.float64])
    check_alike(points=points, centers=centers)
    check_finite(points=points, centers=centers)
    backend = TABLE.pick(points, sizes["B"] * sizes["N"] * sizes["M"])
    return _three_nn(points, centers, backend)


def three_nn_interpolate(points: Tensor, centers: Tensor, features: Tensor) -> Tensor:
    """Weighted mean of the features of each point's three nearest centres.

    Args:
        points, centers: as for `three_nn`.
        features: [B, M, C] of the centres: of the type of `points`, float16 or bfloat16.

    Returns:
        [B, N, C] of the type of `features`; sums are made in the type of `points`.

    Raises:
        ShapeError: a shape above does not hold.
        ValueError: as for `three_nn`. Features may hold any value.

    Differentiable in `features` alone, deterministically.
    """
    sizes = check_shapes(
        points=(points, "B N 3"), centers=(centers, "B M 3"), features=(features, "B M C")
    )
    check_dtype("points", points, [torch.float32, torch.float64])
    check_alike(points=points, centers=centers)
    check_devices(points=points, features=features)
    check_dtype("features", features, [points.dtype, torch.float16, torch.bfloat16])
    check_finite(points=points, centers=centers)
    backend = TABLE.pick(points, sizes["B"] * sizes["N"] * sizes["M"])
    index, weights = _three_nn(points, centers, backend)
    out: Tensor = _Interpolate.apply(features, index, weights, backend)  # type: ignore[no-untyped-call]
    return out


def _three_nn(points: Tensor, centers: Tensor, backend: str) -> ThreeNearest:
    points, centers = points.detach(), centers.detach()
    match backend:
        case "triton":
            from kernels.three_nn_interpolate import kernel

            return ThreeNearest(*kernel.three_nn(points, centers))
        case "kd_tree":
            sq_dist, index = kd_tree.three_nearest(points, centers)
        case "tiled":
            sq_dist, index = tiled.three_nearest(points, centers)
        case _:
            sq_dist, index = reference.three_nearest(points, centers)
    return ThreeNearest(index, reference.weights(sq_dist))


class _Interpolate(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx,
        features: Tensor,
        index: Tensor,
        weights: Tensor,
        backend: str,
    ) -> Tensor:
        ctx.save_for_backward(index, weights)
        ctx.like = features.new_empty(0), features.shape[1]  # type: ignore[attr-defined]
        match backend:
            case "triton":
                from kernels.three_nn_interpolate import kernel

                return kernel.interpolate(features, index, weights)
            case "reference":
                return reference.interpolate(features, index, weights)
            case _:
                return tiled.interpolate(features, index, weights)

    @staticmethod
    @once_differentiable
    def backward(
        ctx: torch.autograd.function.FunctionCtx, of_out: Tensor
    ) -> tuple[Tensor, None, None, None]:
        index, weights = ctx.saved_tensors  # type: ignore[attr-defined]
        like, M = ctx.like  # type: ignore[attr-defined]
        B, _, C = of_out.shape
        shares = of_out[:, :, None].to(weights.dtype) * weights[..., None]  # [B, N, 3, C]
        total = scatter_sum(shares.reshape(-1, C), reference.rows(index, M).flatten(), B * M)
        return total.view(B, M, C).to(like.dtype), None, None, None
