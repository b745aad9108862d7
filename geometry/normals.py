"""Oriented normals of a cloud that has none."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geometry.errors import GeometryError
from geometry.frame import measure
from geometry.neighbors import nearest
from geometry.orientation import outward_signs
from geometry.point_cloud import PointCloud


def estimate_normals(
    cloud: PointCloud, neighbors: int = 16, viewpoint: ArrayLike | None = None
) -> PointCloud:
    """The cloud with a unit normal at every point, in place of any it had.

    A normal is the direction of least spread among the `neighbors` nearest points. With a
    `viewpoint` [3], or one per point [N, 3], each normal faces the position its point was seen
    from; without, the normals face outwards as `orientation.outward_signs` finds it.

    Copies of a point share one normal. Fewer than three distinct points have none: all zero.
    Deterministic.

    Raises:
        GeometryError: `neighbors` below 3, or `viewpoint` of another shape or not finite.
    """
    normals = _estimated(cloud, neighbors, viewpoint)
    return PointCloud(cloud.positions, cloud.colors, normals)


def known_normals(cloud: PointCloud) -> NDArray[np.float32]:
    """[N, 3]: the cloud's own normals, or estimated ones if it has none or all are zero."""
    if cloud.normals is not None and cloud.normals.any():
        return cloud.normals
    return _estimated(cloud)


def _estimated(
    cloud: PointCloud, neighbors: int = 16, viewpoint: ArrayLike | None = None
) -> NDArray[np.float32]:
    if neighbors < 3:
        raise GeometryError(f"neighbors: a plane needs at least 3, got {neighbors}")
    # Many copies of one point would make the tree's queries quadratic.
    distinct, first, copies = np.unique(
        cloud.positions, axis=0, return_index=True, return_inverse=True
    )
    if len(distinct) < 3:
        return np.zeros_like(cloud.positions)
    frame = measure(distinct)
    points = (distinct.astype(np.float64) - frame.centre) * frame.scale
    distance, index = nearest(points, min(neighbors + 1, len(points)))
    normals = _fit(points, index)
    if viewpoint is None:
        signs = outward_signs(points, normals, distance, index)
    else:
        seen_from = _checked_viewpoint(viewpoint, len(cloud))[first]
        towards = (seen_from - frame.centre) * frame.scale - points
        signs = np.where((normals * towards).sum(axis=1) < 0, -1.0, 1.0)
    oriented: NDArray[np.float32] = (normals * signs[:, None]).astype(np.float32)
    return oriented[copies.reshape(-1)]


def _fit(points: NDArray[np.float64], index: NDArray[np.intp]) -> NDArray[np.float64]:
    """[N, 3] unit normals without a side, from neighbourhoods `index` [N, k]."""
    around = points[index]  # [N, k, 3]
    mean = around.mean(axis=1)
    around -= mean[:, None]
    spread, axes = np.linalg.eigh(around.transpose(0, 2, 1) @ around)
    normals: NDArray[np.float64] = axes[:, :, 0]
    # Around a thin rod the neighbourhood is a piece of line: two directions have little spread,
    # and the normal is where the point itself lies from the rod's axis.
    along = axes[:, :, 2]
    offset = points - mean
    offset -= along * (offset * along).sum(axis=1, keepdims=True)
    length = np.linalg.norm(offset, axis=1)
    rod = (spread[:, 2] > 6 * spread[:, 1]) & (spread[:, 0] > 0.2 * spread[:, 1]) & (length > 0)
    normals[rod] = offset[rod] / length[rod, None]
    return normals


def _checked_viewpoint(viewpoint: ArrayLike, count: int) -> NDArray[np.float64]:
    seen_from = np.asarray(viewpoint, np.float64)
    if seen_from.shape not in ((3,), (count, 3)) or not np.isfinite(seen_from).all():
        raise GeometryError(
            f"viewpoint: expected [3] or [{count}, 3], all finite, got {list(seen_from.shape)}"
        )
    return np.broadcast_to(seen_from, (count, 3))
