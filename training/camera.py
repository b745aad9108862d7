"""Cameras in the truth frame, and square windows of their image plane.

The truth frame of a picture: the object upright (+Y), turned about Y so that the camera's azimuth
is +Z, centred on its axis-aligned box, scaled so that its bounding sphere has diameter 1. The
camera stands at (0, sin(elevation), cos(elevation)) * distance and looks at the origin.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_MIN_DISTANCE = 0.7  # the bounding sphere's radius is 0.5
_MAX_REACH = 0.49  # of the frame's side, from its centre: nothing is cut off by the border


class DegenerateMeshError(ValueError):
    """The mesh has no extent, or nothing of it can be seen."""


@dataclass(frozen=True, slots=True)
class Camera:
    """A pinhole camera; angles in radians, `fov` is the full vertical angle."""

    azimuth: float
    elevation: float
    distance: float
    fov: float

    @property
    def position(self) -> NDArray[np.float32]:
        """[3] in the truth frame."""
        position: NDArray[np.float32] = self.axes[2] * np.float32(self.distance)
        return position

    @property
    def axes(self) -> NDArray[np.float32]:
        """[3, 3], rows: right, up, and backwards (from the object to the camera)."""
        s, c = np.sin(self.elevation), np.cos(self.elevation)
        return np.array([[1, 0, 0], [0, c, -s], [0, s, c]], np.float32)

    def project(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Points [N, 3] of the truth frame to tangent units [N, 2], right and up."""
        local = self.axes @ points.T  # [3, N]: bounds of long rows are several times faster
        depth = np.maximum(np.float32(self.distance) - local[2], np.float32(1e-3))
        projected: NDArray[np.float32] = (local[:2] / depth).T
        return projected


@dataclass(frozen=True, slots=True)
class Window:
    """A square of the image plane: centre and half side in tangent units.

    Pixel (u, v) in [-1, 1]^2, v up, looks along (cx + h * u, cy + h * v, -1).
    """

    cx: float
    cy: float
    h: float


def frame_vertices(vertices: NDArray[np.float32], azimuth: float) -> NDArray[np.float32]:
    """Vertices [V, 3] as modelled to the truth frame of a camera at `azimuth` (0 is +Z, 90
    degrees is +X). Raises DegenerateMeshError when they have no extent."""
    s, c = np.float32(np.sin(azimuth)), np.float32(np.cos(azimuth))
    x, z = vertices[:, 0], vertices[:, 2]
    turned = np.stack([c * x - s * z, vertices[:, 1], s * x + c * z])  # [3, V]
    turned -= ((turned.min(axis=1) + turned.max(axis=1)) / 2)[:, None]
    diameter = 2 * np.sqrt(np.square(turned).sum(axis=0).max())
    if not diameter > 1e-6:
        raise DegenerateMeshError("all vertices are in one place")
    return np.ascontiguousarray((turned / diameter).T, np.float32)


def random_camera(
    rng: np.random.Generator,
    vertices: NDArray[np.float32],
    elevation: tuple[float, float] = (-10.0, 60.0),
    fov: tuple[float, float] = (20.0, 60.0),
    span: tuple[float, float] = (0.6, 0.9),
) -> tuple[Camera, NDArray[np.float32]]:
    """Draw a camera (bounds in degrees) for an object as modelled.

    Returns the camera and the object's vertices [V, 3] in that camera's truth frame; the distance
    is such that the longer side of the projected box takes a share within `span` of the frame.
    """
    azimuth = rng.uniform(0, 2 * np.pi)
    tilt = np.radians(rng.uniform(*elevation))
    angle = np.radians(rng.uniform(*fov))
    framed = frame_vertices(vertices, azimuth)
    distance = _fit_distance(framed, tilt, angle, rng.uniform(*span))
    return Camera(azimuth, tilt, distance, angle), framed


def _fit_distance(
    framed: NDArray[np.float32], elevation: float, fov: float, target: float
) -> float:
    side = 2 * np.tan(fov / 2)
    distance = max(_MIN_DISTANCE, 1 / (target * side))
    for _ in range(5):
        projected = Camera(0.0, elevation, distance, fov).project(framed)
        extent = float(np.ptp(projected, axis=0).max()) / side
        reach = float(np.abs(projected).max()) / side
        distance = max(_MIN_DISTANCE, distance * max(extent / target, reach / _MAX_REACH))
    return float(distance)


def frame_window(camera: Camera) -> Window:
    """The whole square picture."""
    return Window(0.0, 0.0, float(np.tan(camera.fov / 2)))


def crop_window(framed: NDArray[np.float32], camera: Camera, fill: float) -> Window:
    """The square around the object's projected box, whose longer side takes `fill` of it."""
    projected = camera.project(framed)
    low, high = projected.min(axis=0), projected.max(axis=0)
    cx, cy = (low + high) / 2
    half = float((high - low).max()) / 2 / fill
    if not half > 1e-6:
        raise DegenerateMeshError("the projection has no extent")
    return Window(float(cx), float(cy), half)


@lru_cache(maxsize=16)
def pixel_grid(size: int) -> NDArray[np.float32]:
    """Centres (u, v) of a picture's pixels, [size, size, 2]; row 0 is the top (v near +1)."""
    ticks = (np.arange(size, dtype=np.float32) + np.float32(0.5)) * np.float32(2 / size) - 1
    grid = np.stack(np.meshgrid(ticks, -ticks), axis=-1).astype(np.float32)
    grid.flags.writeable = False
    return grid


def ray_directions(camera: Camera, window: Window, uv: NDArray[np.float32]) -> NDArray[np.float32]:
    """Directions [N, 3] of the pixels `uv` [N, 2], of unit depth along the optical axis."""
    right, up, back = camera.axes
    origin = right * np.float32(window.cx) + up * np.float32(window.cy) - back
    axes = (np.stack([right, up]) * np.float32(window.h)).astype(np.float32)
    directions: NDArray[np.float32] = uv @ axes
    directions += origin
    return directions
