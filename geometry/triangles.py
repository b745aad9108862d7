"""Triangles painted from the farthest to the nearest, vectorised."""

import numpy as np
from numpy.typing import NDArray

from geometry.spans import Floats, Indices, batches, ranges, whole, write_spans


def paint_triangles(pixels: Floats, faces: Indices, colors: Floats, size: int) -> NDArray[np.uint8]:
    """[size, size, 4]: colours, interpolated between corners, and 255 where there is a triangle.

    The order is that of whole triangles: where large ones meet at a slant, it may be wrong.

    Args:
        pixels: [V, 3] as of `View.project`.
        faces: [F, 3].
        colors: [V, 3] in 0..255.
        size: of the picture's side, in pixels.
    """
    a, b, c = faces.T
    depth = pixels[:, 2].copy()
    corners = faces[np.argsort(depth.take(a) + depth.take(b) + depth.take(c))].T.copy()  # [3, F]
    x = (pixels[:, 0] - np.float32(0.5)).take(corners)
    y = (pixels[:, 1] - np.float32(0.5)).take(corners)
    owner = _owners(x, y, size)
    seen = np.flatnonzero(owner >= 0)
    own = owner.take(seen).astype(np.intp)
    row, column = (
        each.astype(np.float32) for each in np.divmod(seen.astype(np.int32), np.int32(size))
    )
    picture = np.zeros((size * size, 4), np.uint8)
    for channel in range(3):
        across, down, start = _slopes(x, y, colors[:, channel].copy().take(corners))
        value = across.take(own)
        value *= column
        value += down.take(own) * row
        value += start.take(own)
        picture[seen, channel] = np.clip(value, 0, 255, out=value)
    picture[seen, 3] = 255
    return picture.reshape(size, size, 4)


def _owners(x: Floats, y: Floats, size: int) -> Indices:
    """[size * size] number of the triangle seen at each pixel, or -1; of [3, F] there the last."""
    xs, ys = _from_the_top(x, y)
    first, rows = whole(ys[0], ys[2], size)
    edges = [_edge(xs, ys, a, b) for a, b in ((0, 2), (0, 1), (1, 2))]
    owner = np.full(size * size, -1, np.int32)
    for part in batches(rows):
        own, row = ranges(first[part], rows[part])
        own += part.start
        height = row.astype(np.float32)
        long, upper, lower = (slope.take(own) * height + start.take(own) for slope, start in edges)
        short = np.where(height < ys[1].take(own), upper, lower)
        write_spans(owner, own, row, np.minimum(long, short), np.maximum(long, short), size)
    return owner


def _from_the_top(x: Floats, y: Floats) -> tuple[list[Floats], list[Floats]]:
    """The corners by rising y, so that neighbours compute the edge they share alike."""
    xs, ys = list(x), list(y)
    for a, b in ((0, 1), (1, 2), (0, 1)):
        swap = ys[a] > ys[b]
        for values in (xs, ys):
            values[a], values[b] = (
                np.where(swap, values[b], values[a]),
                np.where(swap, values[a], values[b]),
            )
    return xs, ys


def _edge(x: list[Floats], y: list[Floats], a: int, b: int) -> tuple[Floats, Floats]:
    """Slope and start of x along the edge between two corners, as a function of y."""
    rise = y[b] - y[a]
    rise[rise == 0] = 1  # no row crosses it
    slope: Floats = (x[b] - x[a]) / rise
    return slope, x[a] - slope * y[a]


def _slopes(x: Floats, y: Floats, value: Floats) -> tuple[Floats, Floats, Floats]:
    """Each [F]: a value given at corners [3, F], as across * x + down * y + start."""
    ax, ay, bx, by = x[1] - x[0], y[1] - y[0], x[2] - x[0], y[2] - y[0]
    area = ax * by - ay * bx
    # Slivers are of one colour.
    inverse = np.where(np.abs(area) < 1e-2, 0, 1 / np.where(area == 0, 1, area))
    a, b = value[1] - value[0], value[2] - value[0]
    across, down = (a * by - b * ay) * inverse, (b * ax - a * bx) * inverse
    return across, down, value[0] - across * x[0] - down * y[0]
