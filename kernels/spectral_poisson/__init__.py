"""Poisson reconstruction in Fourier space: from points with normals to an inside-outside field."""

import torch
from torch import Tensor

from kernels.checks import (
    check_alike,
    check_dtype,
    check_finite,
    check_lengths,
    check_range,
    check_shapes,
    values_are_trusted,
)
from kernels.dispatch import ANYWHERE, Choice, Table
from kernels.spectral_poisson import fourier, reference

TABLE = Table(
    op="spectral_poisson",
    size="nodes, B * R^3",
    backends={"reference": ANYWHERE, "fourier": ANYWHERE},
    choices=(
        Choice("fourier", "cpu", measured="kernels-cpu"),
        Choice("fourier", "cuda"),
    ),
)

_OUTSIDE = 0.5  # of the field at the corner, without its sign: Peng et al. 2021, m in equation 7
_LEAST = 1e-5  # of what the normals would make if they all agreed: less is rounding error


def spectral_poisson(
    points: Tensor,
    normals: Tensor,
    *,
    resolution: int,
    sigma: float = 1.0,
    lengths: Tensor | None = None,
) -> Tensor:
    """The field whose downhill gradient is the normals, spread on a periodic grid and smoothed.

    Args:
        points: [B, N, 3] float32 or float64, 0 to 1. Node (i, j, k) is at (i, j, k) / resolution;
            opposite faces of the cube are the same, so keep the surface clear of them.
        normals: [B, N, 3], same type and device, outwards. Only their ratios matter: a point that
            stands for a larger area wants a longer one.
        resolution: R, nodes along an axis, 2 to 512.
        sigma: standard deviation of the smoothing Gaussian, in cells, 0 to 16. Shape as Points
            writes it pi times as large.
        lengths: [B] int64, 1 to N, valid points of each cloud; the rest is padding, never read.

    Returns:
        [B, R, R, R], axes x, y, z: positive inside, as `geometry.indicator` has it, zero on average
        at the points, -0.5 at node (0, 0, 0), which is taken for outside.

    Raises:
        ShapeError: a shape above does not hold.
        ValueError: types or devices differ, a value is out of range or not finite, or the field is
            zero, as without normals or with such as cancel. Trusted values then give NaN.

    Differentiable in points and normals, deterministically. Float32 is right to 1e-4 of the largest
    value. Source: Peng et al. 2021, "Shape As Points", section 3.1.
    """
    sizes = check_shapes(points=(points, "B N 3"), normals=(normals, "B N 3"))
    check_dtype("points", points, [torch.float32, torch.float64])
    check_alike(points=points, normals=normals)
    check_range("resolution", resolution, 2, 512)
    check_range("sigma", sigma, 0, 16)
    check_lengths("lengths", lengths, sizes["B"], sizes["N"], points)
    share = torch.full_like(points[..., 0], 1 / sizes["N"])
    if lengths is not None:
        valid = torch.arange(sizes["N"], device=points.device) < lengths[:, None]
        points, normals = (torch.where(valid[..., None], x, 0.0) for x in (points, normals))
        share = valid / lengths[:, None].to(points.dtype)
    check_finite(points=points, normals=normals)
    _check_cube(points)
    if sizes["B"] == 0:  # of which no FFT is taken
        return points.new_zeros(0, resolution, resolution, resolution)
    # Normals of any length: their squares must neither overflow nor vanish.
    longest = normals.detach().abs().amax(dim=(1, 2), keepdim=True)
    normals = normals / torch.where(longest > 0, longest, 1.0)
    if TABLE.pick(points, sizes["B"] * resolution**3) == "fourier":
        field, level = fourier.indicator(points, normals, share, resolution, sigma)
    else:
        field, level = reference.indicator(points, normals, share, resolution, sigma)
    field = field - level[:, None, None, None]
    corner = field[:, 0, 0, 0].abs()
    _check_corner(corner, normals.detach().norm(dim=-1).sum(dim=1) / resolution**2)
    return field * (_OUTSIDE / corner)[:, None, None, None]


def _check_cube(points: Tensor) -> None:
    if values_are_trusted() or points.numel() == 0:
        return
    low, high = (float(value) for value in points.detach().aminmax())
    if low < 0 or high > 1:
        raise ValueError(f"points: 0 to 1 expected, got {low if low < 0 else high}")


def _check_corner(corner: Tensor, usual: Tensor) -> None:
    if values_are_trusted():
        return
    flat = int((corner <= _LEAST * usual).sum())
    if flat:
        raise ValueError(
            f"normals: a field other than zero at the cube's corner expected, got {flat} that are "
            "zero there: no normals, such as cancel, or a surface through the corner"
        )
