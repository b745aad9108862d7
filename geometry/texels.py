"""Which texels of a square picture belong to which triangle."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_MOST_CANDIDATES = 2_000_000  # at once: bounds the memory


@dataclass(frozen=True, slots=True, eq=False)
class Texels:
    """Texels under triangles.

    Attributes:
        index: [T] row * size + column, each at most once.
        face: [T] the triangle of each.
        weights: [T, 3] barycentric, of the texel's centre; 0..1, rows sum to 1.
    """

    index: NDArray[np.int64]
    face: NDArray[np.int64]
    weights: Floats


def texels_of_faces(corners: Floats, size: int) -> Texels:
    """The texels whose centres lie in triangles [F, 3, 2], given in texels (x right, y down).

    A triangle that holds no centre gets the texel of its own middle, if no other has it. Where
    triangles meet, a texel goes to the last.
    """
    low = np.clip(np.ceil(corners.min(axis=1) - 0.5), 0, size - 1).astype(np.int64)
    high = np.clip(np.floor(corners.max(axis=1) - 0.5), 0, size - 1).astype(np.int64)
    extent = np.maximum(high - low + 1, 0)
    count = extent.prod(axis=1)
    before = np.cumsum(count)
    cuts = np.flatnonzero(np.diff(before // _MOST_CANDIDATES)) + 1
    parts = [
        _inside(corners, chunk, low, extent, count, size)
        for chunk in np.split(np.arange(len(corners)), cuts)
    ]
    index = np.concatenate([part.index for part in parts])
    face = np.concatenate([part.face for part in parts])
    weights = np.concatenate([part.weights for part in parts])
    lost = np.setdiff1d(np.arange(len(corners)), face)
    middle = np.clip(corners[lost].mean(axis=1), 0, size - 1).astype(np.int64)
    # Middles come first, so that texels which are truly inside win.
    index = np.concatenate([middle @ [1, size], index])
    face = np.concatenate([lost, face])
    weights = np.concatenate([np.full((len(lost), 3), 1 / 3), weights])
    last = len(index) - 1 - np.unique(index[::-1], return_index=True)[1]
    return Texels(index[last], face[last], weights[last])


def _inside(
    corners: Floats,
    chunk: NDArray[np.int64],
    low: NDArray[np.int64],
    extent: NDArray[np.int64],
    count: NDArray[np.int64],
    size: int,
) -> Texels:
    """The texels of the triangles `chunk`, out of those in their boxes."""
    face = np.repeat(chunk, count[chunk])
    start = np.cumsum(count[chunk]) - count[chunk]
    number = np.arange(len(face)) - np.repeat(start, count[chunk])
    row, column = np.divmod(number, np.maximum(extent[face, 0], 1))
    row, column = row + low[face, 1], column + low[face, 0]
    a = corners[:, 0]
    b, c = corners[:, 1] - a, corners[:, 2] - a
    twice_area = b[:, 0] * c[:, 1] - b[:, 1] * c[:, 0]
    scale = np.divide(1.0, twice_area, out=np.zeros_like(twice_area), where=twice_area != 0)
    x, y = column + 0.5 - a[face, 0], row + 0.5 - a[face, 1]
    v = (x * c[face, 1] - y * c[face, 0]) * scale[face]
    w = (b[face, 0] * y - b[face, 1] * x) * scale[face]
    weights = np.stack([1 - v - w, v, w], axis=1)
    inside = (weights >= -1e-9).all(axis=1) & (scale[face] != 0)
    clipped = np.clip(weights[inside], 0, 1)
    clipped /= clipped.sum(axis=1, keepdims=True)
    return Texels((row * size + column)[inside], face[inside], clipped)
