"""Earth mover's distance of two clouds with as many points each."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from kernels.checks import check_alike, check_dtype, check_finite, check_shapes
from kernels.dispatch import ANYWHERE, Choice, Table
from kernels.emd import exact, reference, sinkhorn

TABLE = Table(
    op="emd",
    size="points of a cloud, N",
    backends={"reference": ANYWHERE, "exact": ANYWHERE, "sinkhorn": ANYWHERE},
    choices=(
        Choice("exact", "cpu", up_to=8192, measured="kernels-cpu"),
        Choice("sinkhorn", "cpu"),
        Choice("exact", "cuda", up_to=2048),
        Choice("sinkhorn", "cuda"),
    ),
)


class EarthMover(NamedTuple):
    """What it takes to move one cloud onto the other.

    Attributes:
        distance: [B] float64, the mean of |x_i - y_j|^p over the pairs.
        assignment: [B, N] int64, the j of each i, each j once; None where it is not exact.
        exact: whether `distance` is the least there is. Else it is a lower bound, up to rounding,
            and compares only with other bounds.
    """

    distance: Tensor
    assignment: Tensor | None
    exact: bool


def emd(x: Tensor, y: Tensor, p: Literal[1, 2] = 1) -> EarthMover:
    """Pair the points of two clouds one to one at the least cost.

    Args:
        x: [B, N, 3] float32 or float64, finite, any unit.
        y: [B, N, 3], same type, device and unit.
        p: 1 for distances, as PointFlow defines EMD, 2 for their squares. The two pair
            differently.

    Returns:
        `EarthMover`; of several best assignments any one.

    Raises:
        ShapeError: a shape above does not hold, or the clouds differ in size.
        ValueError: types or devices differ, a coordinate is not finite, p is neither 1 nor 2.
        BackendError: the clouds are too large for an exact answer, and the extra `evaluation`,
            which has the library for the other, is not installed.

    Not differentiable. Exact answers are SciPy's and take seconds from 4,096 points on, most where
    the clouds have different shapes. The bound is Sinkhorn's, deterministic, up to a seventh low
    for clouds that differ by chance alone, less for others, and takes 16 N^2 bytes and more. The
    approxmatch of the literature's tables is not offered: it is no bijection, and its numbers
    compare only with its own.
    """
    sizes = check_shapes(x=(x, "B N 3"), y=(y, "B N 3"))
    check_dtype("x", x, [torch.float32, torch.float64])
    check_alike(x=x, y=y)
    if p not in (1, 2):
        raise ValueError(f"p: 1 or 2 expected, got {p!r}")
    check_finite(x=x, y=y)
    with torch.no_grad():
        backend = TABLE.pick(x, sizes["N"])
        x, y, side = _in_unit_cube(x, y)
        assignment = None
        if backend == "sinkhorn":
            distance = sinkhorn.lower_bound(x, y, p)
        elif backend == "exact":
            distance, assignment = exact.assign(x, y, p)
        else:
            distance, assignment = reference.assign(x, y, p)
        return EarthMover(distance * side**p, assignment, backend != "sinkhorn")


def _in_unit_cube(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Both clouds in float64, moved and scaled alike into 0 .. 1, and the scale [B]."""
    both = torch.cat([x, y], dim=1).double()
    low = both.amin(dim=1, keepdim=True)
    side = (both - low).amax(dim=(1, 2))
    both = (both - low) / torch.where(side > 0, side, 1.0)[:, None, None]
    x, y = both.chunk(2, dim=1)
    return x, y, side
