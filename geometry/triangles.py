"""Triangles drawn with a depth buffer, vectorised."""

import numpy as np
from numpy.typing import NDArray

from geometry.layer import Floats, Layer
from geometry.view import View

_MOST_FRAGMENTS = 4_000_000  # at once: bounds the memory


def draw_triangles(
    view: View,
    placed: NDArray[np.float64],
    faces: NDArray[np.int32],
    normals: Floats,
    light: Floats,
) -> Layer:
    """Triangles with normals and colours interpolated between their corners.

    Args as `discs.draw_discs`; `faces` [F, 3] are drawn from both sides.
    """
    size = view.size
    corners = view.project(placed)[faces]  # [F, 3, 3]
    edge_a, edge_b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    twice_area = edge_a[:, 0] * edge_b[:, 1] - edge_a[:, 1] * edge_b[:, 0]
    drawn = np.flatnonzero(np.abs(twice_area) > 1e-9)
    slopes = _slopes(corners, edge_a, edge_b, np.where(twice_area == 0, 1, twice_area))
    low, high = corners[drawn, :, :2].min(axis=1), corners[drawn, :, :2].max(axis=1)
    boxes = np.cumsum(np.prod(np.minimum(high - low, size) + 1, axis=1))
    cuts = np.flatnonzero(np.diff(boxes // _MOST_FRAGMENTS)) + 1
    top = np.full(size * size, -np.inf, np.float32)
    owner = np.full(size * size, -1, np.int64)
    for chunk in np.split(drawn, cuts):
        at, number = _triangle_fragments(corners[chunk], size)
        number = chunk[number]
        row, column = np.divmod(at, size)
        slope = slopes[number]
        closeness = slope[:, 0] * (column + 0.5) + slope[:, 1] * (row + 0.5) + slope[:, 2]
        closeness = closeness.astype(np.float32)
        before = top[at]
        np.maximum.at(top, at, closeness)
        won = (closeness == top[at]) & (closeness > before)
        owner[at[won]] = number[won]
    pixel = np.flatnonzero(owner >= 0)
    face = owner[pixel]
    # Perspective: what is linear on the triangle is linear in the picture once divided by depth.
    shares = _barycentric(corners, twice_area, face, pixel, size) * corners[face, :, 2]
    weights = (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)
    layer = Layer(
        depth=np.full((size, size), -np.inf, np.float32),
        normal=np.zeros((size, size, 3), np.float32),
        light=np.zeros((size, size, 3), np.float32),
        coverage=(owner >= 0).astype(np.float32).reshape(size, size),
    )
    own = faces[face]
    layer.depth.reshape(-1)[pixel] = (weights * placed[own, 2]).sum(axis=1)
    layer.normal.reshape(-1, 3)[pixel] = np.einsum("nk,nkc->nc", weights, normals[own])
    layer.light.reshape(-1, 3)[pixel] = np.einsum("nk,nkc->nc", weights, light[own])
    return layer


def _slopes(
    corners: NDArray[np.float64],
    edge_a: NDArray[np.float64],
    edge_b: NDArray[np.float64],
    twice_area: NDArray[np.float64],
) -> NDArray[np.float64]:
    """[F, 3]: closeness on each triangle as x, y and constant part of a linear function."""
    across = (edge_a[:, 2] * edge_b[:, 1] - edge_b[:, 2] * edge_a[:, 1]) / twice_area
    down = (edge_b[:, 2] * edge_a[:, 0] - edge_a[:, 2] * edge_b[:, 0]) / twice_area
    start = corners[:, 0]
    constant = start[:, 2] - across * start[:, 0] - down * start[:, 1]
    return np.stack([across, down, constant], axis=1)


def _row_range(corners: NDArray[np.float64], size: int) -> NDArray[np.int64]:
    """[F, 2]: first pixel row whose centre a triangle may hold, and one past the last."""
    y = corners[:, :, 1]
    first = np.ceil(y.min(axis=1) - 0.5)
    last = np.floor(y.max(axis=1) - 0.5) + 1
    rows: NDArray[np.int64] = np.clip(np.stack([first, last], axis=1), 0, size).astype(np.int64)
    return rows


def _triangle_fragments(
    corners: NDArray[np.float64], size: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pixels whose centres lie in triangles [F, 3, 3], and the triangle of each."""
    bounds = _row_range(corners, size)
    face, row = _ranges(bounds[:, 0], bounds[:, 1])
    left, right = np.full(len(face), np.inf), np.full(len(face), -np.inf)
    centre = row + 0.5
    for a, b in ((0, 1), (1, 2), (2, 0)):
        start, end = corners[face, a], corners[face, b]
        rise = end[:, 1] - start[:, 1]
        crosses = (np.minimum(start[:, 1], end[:, 1]) <= centre) & (
            np.maximum(start[:, 1], end[:, 1]) >= centre
        )
        share = (centre - start[:, 1]) / np.where(rise == 0, 1, rise)
        x = start[:, 0] + share * (end[:, 0] - start[:, 0])
        left = np.where(crosses, np.minimum(left, x), left)
        right = np.where(crosses, np.maximum(right, x), right)
    empty = left > right
    left, right = np.where(empty, 0.0, left), np.where(empty, -1.0, right)
    first = np.clip(np.ceil(left - 0.5), 0, size).astype(np.int64)
    last = np.clip(np.floor(right - 0.5) + 1, 0, size).astype(np.int64)
    span, column = _ranges(first, last)
    return row[span] * size + column, face[span]


def _ranges(
    first: NDArray[np.int64], last: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All integers of the ranges [first, last), and the number of the range of each."""
    count = np.maximum(last - first, 0)
    owner = np.repeat(np.arange(len(count)), count)
    start = np.cumsum(count) - count
    return owner, np.arange(len(owner)) - start[owner] + first[owner]


def _barycentric(
    corners: NDArray[np.float64],
    twice_area: NDArray[np.float64],
    face: NDArray[np.integer],
    pixel: NDArray[np.integer],
    size: int,
) -> NDArray[np.float64]:
    """[N, 3] weights of the corners of `face` [N] at the centres of `pixel` [N]."""
    row, column = np.divmod(pixel, size)
    corner = corners[face]
    x, y = column + 0.5 - corner[:, 0, 0], row + 0.5 - corner[:, 0, 1]
    a, b = corner[:, 1, :2] - corner[:, 0, :2], corner[:, 2, :2] - corner[:, 0, :2]
    v = (x * b[:, 1] - y * b[:, 0]) / twice_area[face]
    w = (a[:, 0] * y - a[:, 1] * x) / twice_area[face]
    return np.stack([1 - v - w, v, w], axis=1)
