"""Colours of a cloud at other places."""

import numpy as np
from numpy.typing import NDArray

from geometry.neighbors import nearest
from geometry.srgb import from_linear, to_linear

Floats = NDArray[np.float64]

_NEIGHBORS = 7
_FAR_SIDE = 0.01  # weight of a point that faces away, against one that faces the same way
_CHUNK = 1 << 17  # places at once: bounds the memory


def transferred_colors(
    points: Floats,
    colors: NDArray[np.uint8],
    normals: NDArray[np.floating] | None,
    places: Floats,
    facing: NDArray[np.floating],
) -> NDArray[np.uint8]:
    """[M, 3] sRGB colours at `places` [M, 3] that face `facing` [M, 3], in the unit of `points`.

    A mean in linear light of the nearest points, weighted as by Franke and Little (1980): exact
    at a point, continuous between them. Points whose normals face away count for little, so that
    the two sides of a thin part keep their own colours.

    Args:
        points: [N, 3], distinct.
        colors: [N, 3].
        normals: [N, 3] unit or zero, or None.
        places: [M, 3].
        facing: [M, 3] unit or zero.
    """
    light = to_linear(colors)
    result = np.empty((len(places), 3), np.uint8)
    near = min(_NEIGHBORS, len(points))
    for start in range(0, len(places), _CHUNK):
        some = slice(start, start + _CHUNK)
        distance, index = nearest(points, near, places[some])
        reach = distance[:, -1:] if near > 1 else distance + 1
        share = np.maximum(reach - distance, 1e-6 * reach + 1e-12)
        weight = (share / np.maximum(reach * distance, 1e-12)) ** 2
        if normals is not None:
            along = np.einsum("nkc,nc->nk", normals[index], facing[some])
            weight *= np.maximum(along, 0) + _FAR_SIDE
        weight /= weight.sum(axis=1, keepdims=True)
        result[some] = from_linear(np.einsum("nk,nkc->nc", weight, light[index]))
    return result
