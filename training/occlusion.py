"""What hides a part of an object: things in front of it, and the border of the photograph."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.camera import Camera, Window, pixel_grid

SHARES = (0.02, 0.2)  # of the object's area that an occluder hides
MAX_CUT = 0.25  # of the object's projected box that lies beyond the border
_TRIES = 6
_SUBPIXEL = 4  # bits


def random_cover(alpha: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.float32] | None:
    """How much of each pixel something in front hides, [S, S] in 0..1.

    It hides a share within SHARES of the object that `alpha` [S, S] shows, and starts at the
    object's outline more often than inside. None where no draw came out so.
    """
    solid = alpha > 127
    total = int(np.count_nonzero(solid))
    rows, columns = np.nonzero(solid)
    if total == 0:
        return None
    reach = np.sqrt(total)
    for attempt in range(_TRIES):
        k = rng.integers(total)
        center = np.array([columns[k], rows[k]]) + rng.normal(0, 0.25 * reach, 2)
        outline = _shape(center, reach * rng.uniform(0.1, 0.45) * 0.85**attempt, rng)
        cover = np.zeros(alpha.shape, np.uint8)
        points = np.rint(outline * 2**_SUBPIXEL).astype(np.int32)
        cv2.fillPoly(cover, [points], 255, cv2.LINE_AA, _SUBPIXEL)
        hidden = np.count_nonzero(solid & (cover > 127))
        if SHARES[0] * total <= hidden <= SHARES[1] * total:
            return cover.astype(np.float32) / np.float32(255)
    return None


def _shape(
    center: NDArray[np.float64], radius: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """The outline [N, 2] of a blob, or of a bar that is several times longer than wide."""
    if rng.random() < 0.3:
        length, width = radius * rng.uniform(3, 8), radius * rng.uniform(0.15, 0.5)
        corners = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * [length, width]
    else:
        n = int(rng.integers(4, 14))
        angle = (np.arange(n) + rng.uniform(-0.3, 0.3, n)) * (2 * np.pi / n)
        ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        corners = ring * rng.uniform(0.7, 1.3, (n, 1)) * [radius, radius * rng.uniform(0.5, 1)]
    turn = rng.uniform(0, 2 * np.pi)
    c, s = np.cos(turn), np.sin(turn)
    outline: NDArray[np.float64] = center + corners @ np.array([[c, s], [-s, c]])
    return outline


@dataclass(frozen=True, slots=True)
class Border:
    """The edge of a photograph that cuts an object: nothing was taken of what lies beyond `limit`
    (tangent units) along `axis` (0 right, 1 up), on the side of `sign`."""

    axis: int
    sign: int
    limit: float

    def beyond(self, window: Window, size: int) -> NDArray[np.bool_]:
        """The pixels of `window` that were not taken, [size, size]."""
        center = (window.cx, window.cy)[self.axis]
        along = center + window.h * pixel_grid(size)[..., self.axis]
        return np.asarray(self.sign * (along - self.limit) > 0)

    def crop_window(self, framed: NDArray[np.float32], camera: Camera, fill: float) -> Window:
        """The square around what is left of the projected box of vertices [V, 3], whose longer
        side takes `fill` of it."""
        projected = camera.project(framed)
        ends = np.stack([projected.min(axis=0), projected.max(axis=0)])
        ends[(self.sign + 1) // 2, self.axis] = self.limit
        cx, cy = ends.mean(axis=0)
        return Window(float(cx), float(cy), float(np.ptp(ends, axis=0).max()) / 2 / fill)


def random_border(framed: NDArray[np.float32], camera: Camera, rng: np.random.Generator) -> Border:
    """A border that cuts off up to MAX_CUT of the projected box, most often at the bottom."""
    projected = camera.project(framed)
    low, high = projected.min(axis=0), projected.max(axis=0)
    axis, sign = ((1, -1), (1, 1), (0, -1), (0, 1))[rng.choice(4, p=[0.4, 0.2, 0.2, 0.2])]
    extent = float(high[axis] - low[axis])
    share = rng.uniform(0.03, MAX_CUT) * extent
    return Border(axis, sign, float(high[axis] - share if sign > 0 else low[axis] + share))
