"""Points painted as small shaded balls from the farthest to the nearest, vectorised."""

import numpy as np
from numpy.typing import NDArray

from geometry.spans import Floats, Indices, batches, ranges, whole, write_spans

# Brightness of a ball, of its colour's: its mean level, and what across, up and the middle add.
_LEVEL, _ACROSS, _DOWN, _MIDDLE = 0.84, -0.11, -0.17, 0.26


def paint_balls(
    pixels: Floats, radii: Floats, roundness: Floats, colors: Floats, size: int
) -> NDArray[np.uint8]:
    """[size, size, 4]: colours, and 255 where there is a ball.

    Args:
        pixels: [N, 3] as of `View.project`.
        radii: [N] in pixels, > 0.
        roundness: [N] from 0, a flat disc, to 1, a ball.
        colors: [N, 3] in 0..255.
        size: of the picture's side, in pixels.
    """
    order = np.argsort(pixels[:, 2], kind="stable")
    x, y = (pixels[order, axis] - np.float32(0.5) for axis in (0, 1))
    radii, roundness = radii[order], roundness[order]
    owner = _owners(x, y, radii, size)
    seen = np.flatnonzero(owner >= 0)
    own = owner.take(seen).astype(np.intp)
    row, column = np.divmod(seen.astype(np.int32), np.int32(size))
    inverse = (1 / radii).take(own)
    dx, dy = (column - x.take(own)) * inverse, (row - y.take(own)) * inverse
    bulge = np.sqrt(np.maximum(1 - dx * dx - dy * dy, 0))
    bulge *= np.float32(_MIDDLE)
    bulge += dx * np.float32(_ACROSS) + dy * np.float32(_DOWN) + np.float32(_LEVEL - 1)
    bulge *= roundness.take(own)
    bulge += 1
    picture = np.zeros((size * size, 4), np.uint8)
    for channel in range(3):
        shaded = colors[order, channel].take(own) * bulge
        picture[seen, channel] = np.minimum(shaded, 255, out=shaded)
    picture[seen, 3] = 255
    return picture.reshape(size, size, 4)


def _owners(x: Floats, y: Floats, radii: Floats, size: int) -> Indices:
    """[size * size] number of the ball seen at each pixel, or -1; of those there the last."""
    # No ball is too small for a pixel.
    radii = np.maximum(radii, np.float32(0.71))
    first, rows = whole(y - radii, y + radii, size)
    owner = np.full(size * size, -1, np.int32)
    for part in batches(rows):
        own, row = ranges(first[part], rows[part])
        own += part.start
        rise = row - y.take(own)
        half = np.sqrt(np.maximum(np.square(radii).take(own) - rise * rise, 0))
        middle = x.take(own)
        write_spans(owner, own, row, middle - half, middle + half, size)
    return owner
