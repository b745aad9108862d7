"""Points of a cloud picked one by one, each the farthest from those before it."""

from typing import Literal, get_args

import torch
from torch import Tensor

from kernels.checks import check_dtype, check_finite, check_lengths, check_range, check_shapes
from kernels.dispatch import ANYWHERE, CPU, CUDA, Choice, Table
from kernels.farthest_point_sampling import joint, reference
from kernels.ragged import without_padding

TABLE = Table(
    op="farthest_point_sampling",
    size="distances, B * N * num_samples",
    backends={"reference": ANYWHERE, "joint": CPU, "triton": CUDA},
    choices=(
        Choice("joint", "cpu", measured="kernels-cpu"),
        Choice("triton", "cuda"),
        Choice("reference", "cuda"),
    ),
    dtypes={"triton": (torch.float32,)},
)

Ties = Literal["lowest", "pvcnn"]

_MOST = 2**31 - 1  # samples


def farthest_point_sampling(
    points: Tensor, num_samples: int, lengths: Tensor | None = None, ties: Ties = "lowest"
) -> Tensor:
    """Pick point 0, then again and again the point farthest from all that are picked.

    Args:
        points: [B, N, 3] float32 or float64, finite, any unit.
        num_samples: S, 1 to 2^31 - 1. It may exceed N.
        lengths: [B] int64, 1 to N, valid points of each cloud; the rest is padding, never picked.
        ties: which of equally far points is picked: "lowest" index; "pvcnn", the lowest index
            modulo 512 and of those the lowest, as by the kernel that the checkpoints of PVCNN, PVD,
            DiT-3D and PC^2 were trained with.

    Returns:
        [B, S] int64 into `points`; once every place in the cloud has been picked, 0 each time.

    Raises:
        ShapeError: a shape above does not hold, or a cloud has no point.
        ValueError: wrong type or device, unknown `ties`, a number or length out of range, a
            coordinate that is not finite.

    Not differentiable; deterministic. A distance is a sum of squared differences, at most 1e38.
    Points whose distances differ by a rounding error may be picked in another order elsewhere.
    """
    sizes = check_shapes(points=(points, "B N 3"))
    B, N = sizes["B"], sizes["N"]
    check_dtype("points", points, [torch.float32, torch.float64])
    check_range("num_samples", num_samples, 1, _MOST)
    check_lengths("lengths", lengths, B, N, points)
    if ties not in get_args(Ties):
        raise ValueError(f"ties: one of {', '.join(get_args(Ties))} expected, got {ties!r}")
    points = without_padding(points.detach(), lengths)
    check_finite(points=points)
    match TABLE.pick(points, B * N * num_samples):
        case "triton":
            from kernels.farthest_point_sampling import kernel

            return kernel.farthest_point_sampling(points, num_samples, lengths, ties)
        case "joint":
            return joint.farthest_point_sampling(points, num_samples, lengths, ties)
        case _:
            return reference.farthest_point_sampling(points, num_samples, lengths, ties)
