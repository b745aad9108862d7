"""How far points are from triangles."""

import numpy as np
from numpy.typing import NDArray

from geometry.neighbors import nearest

Floats = NDArray[np.float64]

_CANDIDATES = 8  # faces of each size that are looked at
_SIZE_CLASSES = 6
_CHUNK = 1 << 14  # points at once: bounds the memory


def distances_to_faces(points: Floats, vertices: Floats, faces: NDArray[np.integer]) -> Floats:
    """[N] from each of `points` [N, 3] to the surface, in their unit.

    Faces are sorted into sizes, a factor of two apart, and of each size those with the nearest
    middles are measured exactly. So the result is never too small, and rarely too large.
    """
    corners = vertices[faces]  # [F, 3, 3]
    middle = corners.mean(axis=1)
    radius = np.linalg.norm(corners - middle[:, None], axis=2).max(axis=1)
    largest = max(float(radius.max()), 1e-300)
    size_class = np.minimum(-np.log2(np.maximum(radius / largest, 2.0**-40)), _SIZE_CLASSES - 1)
    best = np.full(len(points), np.inf)
    for number in range(_SIZE_CLASSES):
        members = np.flatnonzero(size_class.astype(np.int64) == number)
        if len(members) == 0:
            continue
        distinct = members[np.unique(middle[members], axis=0, return_index=True)[1]]
        near = min(_CANDIDATES, len(distinct))
        for start in range(0, len(points), _CHUNK):
            some = slice(start, start + _CHUNK)
            index = distinct[nearest(middle[distinct], near, points[some])[1]]  # [n, k]
            away = _point_to_triangle(points[some, None], corners[index])
            best[some] = np.minimum(best[some], away.min(axis=1))
    return best


def _point_to_triangle(points: Floats, corners: Floats) -> Floats:
    """Distances between points [..., 3] and triangles [..., 3, 3]; faces may have no area."""
    a, b, c = corners[..., 0, :], corners[..., 1, :], corners[..., 2, :]
    to_edge = np.minimum(
        np.minimum(_point_to_segment(points, a, b), _point_to_segment(points, b, c)),
        _point_to_segment(points, c, a),
    )
    normal = np.cross(b - a, c - a)
    square = (normal * normal).sum(axis=-1)
    inside = np.ones(square.shape, np.bool_)
    for start, end in ((a, b), (b, c), (c, a)):
        inside &= (np.cross(end - start, points - start) * normal).sum(axis=-1) >= 0
    height = np.abs(((points - a) * normal).sum(axis=-1))
    # Slivers whose normal is noise are left to their edges.
    longest = np.maximum(((b - a) ** 2).sum(axis=-1), ((c - a) ** 2).sum(axis=-1))
    inside &= square > 1e-20 * longest**2
    above = np.divide(height, np.sqrt(square), out=np.zeros_like(height), where=square > 0)
    return np.where(inside, np.minimum(above, to_edge), to_edge)


def _point_to_segment(points: Floats, start: Floats, end: Floats) -> Floats:
    along = end - start
    square = (along * along).sum(axis=-1)
    share = ((points - start) * along).sum(axis=-1)
    share = np.clip(np.divide(share, square, out=np.zeros_like(share), where=square > 0), 0, 1)
    away: Floats = np.linalg.norm(points - start - share[..., None] * along, axis=-1)
    return away
