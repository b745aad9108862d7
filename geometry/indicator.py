"""A smooth inside-outside field on a grid, from points with normals."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fftfreq, irfftn, next_fast_len, rfftfreq, rfftn
from scipy.ndimage import gaussian_filter

Floats = NDArray[np.float64]
Field = NDArray[np.float32]

PAD = 10  # cells around the points: the widest smoothing fits, and the far side does not wrap
# Widths of the Gaussians that normals are spread with, in cells. A point takes the one nearest to
# _SMOOTHING times the spacing of its neighbourhood.
_LEVELS = np.array([0.9, 1.5, 2.4, 3.8])
_SMOOTHING = 0.6
_ISO_RANGE = (0.2, 0.8)  # a point elsewhere is not on the surface that the normals describe
# Cells over which the level is averaged, without noise and from a noise of `_NOISY` spacings on:
# the surface of a clean cloud goes through its points, that of a noisy one between them.
_LEVEL_WIDTHS = (1.0, 2.0)
_NOISY = 0.2
_FLAT = 1e-3  # values nearer to the surface than this would make triangles without area


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Cells around points, and the trilinear weights that join the two.

    Attributes:
        shape: nodes per axis.
        corners: [8, N] flat numbers of the nodes around each point.
        weights: [8, N], each column sums to 1.
    """

    shape: tuple[int, int, int]
    corners: NDArray[np.int64]
    weights: Floats

    def spread(self, values: Floats, chosen: NDArray[np.bool_] | None = None) -> Field:
        """Adds `values` [N] of all or the chosen points to the nodes around them."""
        some = slice(None) if chosen is None else chosen
        weighted = self.weights[:, some] * values[some]
        flat = np.bincount(
            self.corners[:, some].reshape(-1),
            weighted.reshape(-1),
            minlength=int(np.prod(self.shape)),
        )
        return flat.astype(np.float32).reshape(self.shape)

    def read(self, field: Field) -> Floats:
        """[N] values of the field at the points."""
        values: Floats = (field.reshape(-1)[self.corners] * self.weights).sum(axis=0)
        return values


def make_grid(cells: Floats) -> Grid:
    """The grid for points [N, 3] in cells, whose least coordinates are `PAD`."""
    extent = np.ceil(cells.max(axis=0)).astype(int) + PAD + 1
    shape = tuple(next_fast_len(int(side), real=True) for side in extent)
    low = np.floor(cells).astype(np.int64)
    part = cells - low
    corners, weights = [], []
    for offset in np.ndindex(2, 2, 2):
        corners.append(np.ravel_multi_index(tuple((low + offset).T), shape))
        weights.append(np.prod(np.where(offset, part, 1 - part), axis=1))
    return Grid((shape[0], shape[1], shape[2]), np.stack(corners), np.stack(weights))


def inside_field(grid: Grid, normals: Floats, spacing: Floats, noise: float) -> Field:
    """Positive inside, negative outside, zero at the points as far as their normals allow.

    Poisson reconstruction, solved in Fourier space as in Peng et al. 2021 ("Shape as Points"):
    the field whose gradient is the smoothed normals, each weighted by the area that its point
    stands for. Unlike there, smoothing follows the local density, and so does the level: its
    mean near each point, so that thin parts, whose field never reaches one half, keep their size.

    Args:
        grid: of the points.
        normals: [N, 3] unit, outwards.
        spacing: [N] mean distance of neighbours, in cells.
        noise: of the points, in spacings.
    """
    area = spacing**2
    field = _solve(grid, normals * area[:, None], _SMOOTHING * spacing)
    value = np.clip(grid.read(field), *_ISO_RANGE)
    usual = float(np.average(value, weights=area))
    steady = _nearby_mean(grid, area, value, _LEVEL_WIDTHS[1], usual)
    exact = _nearby_mean(grid, area, value, _LEVEL_WIDTHS[0], steady)
    share = np.float32(min(noise / _NOISY, 1))
    level_zero: Field = field - exact - share * (steady - exact)
    return level_zero


def _nearby_mean(
    grid: Grid, weight: Floats, value: Floats, width: float, else_: Field | float
) -> Field:
    """Mean of the points' values around each node, and `else_` where no point is near."""
    faint = np.float32(0.02)
    total = gaussian_filter(grid.spread(weight), width, truncate=3)
    summed = gaussian_filter(grid.spread(weight * value), width, truncate=3)
    mean: Field = (summed + faint * np.asarray(else_, np.float32)) / (total + faint)
    return mean


def _solve(grid: Grid, vectors: Floats, width: Floats) -> Field:
    """The field whose downhill gradient is `vectors`, spread by Gaussians; zero far outside."""
    frequency = [
        (2 * np.pi * fftfreq(grid.shape[0])).astype(np.float32)[:, None, None],
        (2 * np.pi * fftfreq(grid.shape[1])).astype(np.float32)[None, :, None],
        (2 * np.pi * rfftfreq(grid.shape[2])).astype(np.float32)[None, None, :],
    ]
    square = frequency[0] ** 2 + frequency[1] ** 2 + frequency[2] ** 2
    level = np.abs(np.log(np.maximum(width, 1e-9)[:, None] / _LEVELS)).argmin(axis=1)
    total = np.zeros(square.shape, np.complex64)
    for number, sigma in enumerate(_LEVELS):
        chosen = level == number
        if chosen.any():
            flow = sum(
                frequency[axis] * rfftn(grid.spread(vectors[:, axis], chosen)) for axis in range(3)
            )
            total += flow * np.exp(square * np.float32(-sigma * sigma / 2))
    square[0, 0, 0] = 1
    field: Field = irfftn(1j * total / square, grid.shape)
    corners = field[:: grid.shape[0] - 1, :: grid.shape[1] - 1, :: grid.shape[2] - 1]
    level_zero: Field = field - corners.mean()
    return level_zero


def add_balls(field: Field, cells: Floats, radii: Floats) -> Field:
    """The union of the inside and balls around points [N, 3]; everything in cells."""
    reach = int(np.ceil(radii.max())) + 1
    span = np.arange(-reach, reach + 1)
    stencil = np.stack(np.meshgrid(span, span, span, indexing="ij"), axis=-1).reshape(-1, 3)
    balls = np.full(field.size, -1.0, np.float32)
    for start in range(0, len(cells), 1024):  # bounds the memory
        some = slice(start, start + 1024)
        nodes = np.rint(cells[some]).astype(np.int64)[:, None] + stencil  # [n, S, 3]
        away = np.linalg.norm(nodes - cells[some, None], axis=2)
        height = np.maximum(1 - away / radii[some, None], -1).astype(np.float32)
        index = np.ravel_multi_index(tuple(np.moveaxis(nodes, -1, 0)), field.shape, mode="clip")
        np.maximum.at(balls, index.reshape(-1), height.reshape(-1))
    smooth = gaussian_filter(balls.reshape(field.shape), 0.8)
    union: Field = np.maximum(field, np.float32(0.5) * smooth)
    return union


def close_at_box(field: Field, cells: Floats, margin: float) -> Field:
    """`field`, negative beyond the points' box and `margin`, and clear of exact zeros."""
    for axis in range(3):
        low, high = cells[:, axis].min() - margin, cells[:, axis].max() + margin
        node = np.arange(field.shape[axis])
        wall = (0.25 * np.minimum(node - low, high - node)).astype(np.float32)
        shape = [1, 1, 1]
        shape[axis] = -1
        field = np.minimum(field, wall.reshape(shape))
    return np.where(np.abs(field) < _FLAT, np.copysign(np.float32(_FLAT), field), field)
