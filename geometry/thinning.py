"""Fewer points for what cannot use more."""

import numpy as np
from numpy.typing import NDArray

from geometry.point_cloud import PointCloud
from geometry.srgb import from_linear, to_linear

Floats = NDArray[np.float64]

_MARGIN = 0.005  # share of the points at either end that does not count for the size
_MOST_CELLS = 1 << 19  # per axis and side: three axes and a direction fit 64 bits


def thinned(cloud: PointCloud, cells: int) -> PointCloud:
    """One point for each occupied cell of a grid with so many cells along the longest side.

    It is the mean of the cell's points, of their colours in linear light and of their normals.
    Points of one cell whose normals point to different sides (of six) stay apart, so that thin
    parts keep both. Points far outside of all others do not make the cells larger.
    """
    exact = cloud.positions.astype(np.float64)
    low, high = np.quantile(exact, (_MARGIN, 1 - _MARGIN), axis=0)
    extent = float((high - low).max()) or float(np.ptp(exact, axis=0).max()) or 1.0
    cell = np.floor((exact - low) * (cells / extent))
    key = np.clip(cell, -_MOST_CELLS, _MOST_CELLS - 1).astype(np.int64) + _MOST_CELLS
    number = (key[:, 0] << 43) | (key[:, 1] << 23) | (key[:, 2] << 3)
    if cloud.normals is not None:
        number |= _side(cloud.normals)
    group, size = np.unique(number, return_inverse=True, return_counts=True)[1:]
    group = group.reshape(-1)
    normals = None
    if cloud.normals is not None:
        mean = _means(cloud.normals.astype(np.float64), group, size)
        length = np.linalg.norm(mean, axis=1, keepdims=True)
        normals = (mean / np.where(length > 0, length, 1)).astype(np.float32)
    colors = cloud.colors
    return PointCloud(
        _means(exact, group, size).astype(np.float32),
        None if colors is None else from_linear(_means(to_linear(colors), group, size)),
        normals,
    )


def _side(normals: NDArray[np.float32]) -> NDArray[np.int64]:
    """[N] 0 to 5: the axis that a normal is nearest to, with its sign."""
    axis = np.abs(normals).argmax(axis=1)
    ahead = np.take_along_axis(normals, axis[:, None], axis=1)[:, 0] > 0
    side: NDArray[np.int64] = 2 * axis.astype(np.int64) + ahead
    return side


def _means(values: Floats, group: NDArray[np.intp], size: NDArray[np.intp]) -> Floats:
    columns = [np.bincount(group, column) / size for column in values.T]
    return np.stack(columns, axis=1)
