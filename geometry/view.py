"""Perspective views of an object from around it, for pictures."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from geometry.frame import measure

DISTANCE = 3.4  # of the camera from the object's centre, in its diameters: a mild perspective
_FILL = 0.9  # of the picture's side, taken by the object


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A pinhole camera that looks at `centre`.

    View space has its origin at `centre`, x to the right, y up, z towards the camera, in object
    diameters. Pixel (0, 0) has its upper left corner at the picture's.

    Attributes:
        rotation: [3, 3] float64, rows are the axes of view space.
        centre: [3] float64, in the unit of the object.
        scale: object units to diameters.
        focal: pixels per unit of x / (distance - z).
        middle: [2] float64, pixel where the optical axis meets the picture.
        size: side of the picture in pixels.
    """

    rotation: NDArray[np.float64]
    centre: NDArray[np.float64]
    scale: float
    focal: float
    middle: NDArray[np.float64]
    size: int

    def place(self, positions: NDArray[np.floating]) -> NDArray[np.float64]:
        """[N, 3] object positions to view space."""
        placed: NDArray[np.float64] = (positions - self.centre) * self.scale @ self.rotation.T
        return placed

    def project(self, placed: NDArray[np.float64]) -> NDArray[np.float64]:
        """[N, 3] of view space to pixels [N, 2] and closeness [N], as columns of [N, 3].

        Closeness, 1 / (distance - z), is linear in the picture along any plane.
        """
        closeness = 1.0 / (DISTANCE - placed[:, 2])
        x = self.middle[0] + self.focal * placed[:, 0] * closeness
        y = self.middle[1] - self.focal * placed[:, 1] * closeness
        return np.stack([x, y, closeness], axis=1)

    def resized(self, size: int) -> "View":
        """The same picture at another size."""
        ratio = size / self.size
        focal, middle = self.focal * ratio, self.middle * ratio
        return replace(self, focal=focal, middle=middle, size=size)

    def rays(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The eye [3] and, per pixel, a direction [size, size, 3], both in view space."""
        along = np.arange(self.size) + 0.5
        x = (along - self.middle[0]) / self.focal
        y = (self.middle[1] - along) / self.focal
        directions = np.empty((self.size, self.size, 3))
        directions[..., 0], directions[..., 1], directions[..., 2] = x[None], y[:, None], -1.0
        return np.array([0.0, 0.0, DISTANCE]), directions


def views_around(
    positions: NDArray[np.float32],
    azimuths: Sequence[float],
    elevation: float,
    size: int,
    margin: float = 0.0,
) -> list[View]:
    """One view per azimuth (degrees), all with the zoom and shift that fit the object in each.

    Azimuth 0 looks from +Z, 90 from +X; `elevation` (degrees) lifts the camera; `margin` is how
    far the object reaches beyond its positions, in diameters.
    """
    frame = measure(positions)
    rotations = [_rotation(azimuth, elevation) for azimuth in azimuths]
    start = np.full(2, size / 2)
    views = [View(r, frame.centre, frame.scale, float(size), start, size) for r in rotations]
    low, high = np.full(2, np.inf), np.full(2, -np.inf)
    for view in views:
        pixels = view.project(view.place(positions))[:, :2]
        low, high = np.minimum(low, pixels.min(axis=0)), np.maximum(high, pixels.max(axis=0))
    low, high = low - margin * size / DISTANCE, high + margin * size / DISTANCE
    if len(views) > 1:  # the object turns about the picture's vertical middle
        reach = max(high[0] - size / 2, size / 2 - low[0])
        low[0], high[0] = size / 2 - reach, size / 2 + reach
    zoom = _FILL * size / max(float((high - low).max()), 0.1 * size)
    middle = start + zoom * (start - (low + high) / 2)
    focal = zoom * size
    return [View(r, frame.centre, frame.scale, focal, middle, size) for r in rotations]


def _rotation(azimuth: float, elevation: float) -> NDArray[np.float64]:
    turn, lift = np.radians(azimuth), np.radians(elevation)
    backwards = np.array([np.sin(turn) * np.cos(lift), np.sin(lift), np.cos(turn) * np.cos(lift)])
    right = np.array([np.cos(turn), 0.0, -np.sin(turn)])
    return np.stack([right, np.cross(backwards, right), backwards])
