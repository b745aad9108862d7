"""The solids that buildings are put together from, with a colour on each face.

Lengths are metres, +Y is up. Solids are closed and may overlap: what lies inside another is never
seen, nor sampled.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Colour = tuple[int, int, int]  # sRGB

_SEGMENTS = 16  # of a circle


@dataclass(frozen=True, slots=True)
class Solid:
    """Vertices [V, 3] float64, faces [F, 3] and their colours [F, 3] uint8."""

    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]
    colors: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Rect:
    """A rectangle on the ground, by its lower and upper corner."""

    x0: float
    z0: float
    x1: float
    z1: float

    @property
    def size(self) -> tuple[float, float]:
        return self.x1 - self.x0, self.z1 - self.z0

    @property
    def middle(self) -> tuple[float, float]:
        return (self.x0 + self.x1) / 2, (self.z0 + self.z1) / 2

    def inset(self, x: float, z: float) -> "Rect":
        """Smaller by `x` and `z` on either side, at most to a line; negative: larger."""
        x, z = min(x, self.size[0] / 2), min(z, self.size[1] / 2)
        return Rect(self.x0 + x, self.z0 + z, self.x1 - x, self.z1 - z)

    def corners(self) -> NDArray[np.float64]:
        """[4, 2] (x, z), anticlockwise as seen from above with z downwards."""
        x0, z0, x1, z1 = self.x0, self.z0, self.x1, self.z1
        return np.array([[x0, z1], [x1, z1], [x1, z0], [x0, z0]])


def joined(parts: Sequence[Solid]) -> Solid:
    starts = np.cumsum([0, *(len(part.vertices) for part in parts)])
    return Solid(
        np.concatenate([part.vertices for part in parts]),
        np.concatenate([part.faces + k for part, k in zip(parts, starts, strict=False)]),
        np.concatenate([part.colors for part in parts]),
    )


def quad(corners: NDArray[np.float64], colour: Colour) -> Solid:
    """`corners` [4, 3] in order."""
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    return Solid(np.asarray(corners, np.float64), faces, _painted(colour, 2))


def loft(rings: Sequence[NDArray[np.float64]], sides: Sequence[Colour], cap: Colour) -> Solid:
    """A solid through `rings` [n, 3] of as many corners each, lowest first, closed at both ends.

    Side k of the rings' polygon has the colour sides[k % len(sides)], the upper end that of `cap`.
    """
    n = len(rings[0])
    here = np.arange(n)
    right = (here + 1) % n
    band = np.concatenate(
        [np.stack([here, right, right + n], 1), np.stack([here, right + n, here + n], 1)]
    )
    fan = np.stack([np.zeros(n - 2, np.int64), here[1:-1], here[2:]], 1)
    bands = [band + n * k for k in range(len(rings) - 1)]
    painted = np.array([sides[k % len(sides)] for k in range(n)], np.uint8)
    painted = np.tile(painted, (2 * len(bands), 1))
    ends = [_painted(sides[0], n - 2), _painted(cap, n - 2)]
    top = fan + n * (len(rings) - 1)
    return Solid(
        np.concatenate(rings),
        np.concatenate([*bands, fan[:, ::-1], top]),
        np.concatenate([painted, *ends]),
    )


def box(rect: Rect, low: float, high: float, colour: Colour, top: Colour | None = None) -> Solid:
    return loft([ring(rect, low), ring(rect, high)], [colour], top or colour)


def ring(rect: Rect, height: float) -> NDArray[np.float64]:
    """The corners of `rect` at a height, [4, 3]."""
    corners = rect.corners()
    return np.stack([corners[:, 0], np.full(4, height), corners[:, 1]], axis=1)


def circle(middle: tuple[float, float], radius: float, height: float) -> NDArray[np.float64]:
    """[_SEGMENTS, 3], in the order of `Rect.corners`."""
    angle = np.arange(_SEGMENTS) * (2 * np.pi / _SEGMENTS)
    x, z = middle[0] + radius * np.cos(angle), middle[1] - radius * np.sin(angle)
    return np.stack([x, np.full(_SEGMENTS, height), z], axis=1)


def round_tower(
    middle: tuple[float, float], profile: Sequence[tuple[float, float]], side: Colour
) -> Solid:
    """A solid of revolution through (radius, height), lowest first."""
    return loft([circle(middle, radius, height) for radius, height in profile], [side], side)


def _painted(colour: Colour, count: int) -> NDArray[np.uint8]:
    return np.tile(np.array(colour, np.uint8), (count, 1))
