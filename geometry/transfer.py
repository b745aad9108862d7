"""How much light from each direction reaches each point of an object, shadows included.

Computed once per object; every picture then only weighs the directions by the lamps that shine
from them (precomputed radiance transfer, Sloan et al. 2002, with directions for harmonics).
"""

from concurrent.futures import Executor
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_CELLS = 72  # of a shadow map's side
_HALF_WIDTH = 0.56  # of a shadow map, in diameters: the object and a margin
_SOFT = 0.015  # depth over which what is in the way grows opaque, in diameters
_UNKNOWN = 0.25  # a cosine's mean over the sphere
_CONTACT = 0.15  # height over which the floor's own shadow ends, in diameters
_CONTACT_LIGHT = 0.35  # of the floor where something stands on it


@dataclass(frozen=True, slots=True, eq=False)
class Transfer:
    """Attributes:
    directions: [D, 3] unit, from the object, evenly over the sphere.
    received: [D, N] cosine of each direction at each point, times what reaches it of the light.
    shut: [N] in 0..1, the share of a uniform light that is kept off.
    """

    directions: Floats
    received: Floats
    shut: Floats


def even_directions(count: int) -> Floats:
    """[count, 3]: a Fibonacci lattice on the sphere."""
    number = np.arange(count) + 0.5
    height = 1 - 2 * number / count
    turn = number * (np.pi * (3 - np.sqrt(5)))
    across = np.sqrt(1 - height**2)
    spread = np.stack([across * np.cos(turn), height, across * np.sin(turn)], axis=1)
    return np.asarray(spread, np.float32)


def light_transfer(
    points: Floats, normals: Floats, lift: float, floor: float, directions: Floats, pool: Executor
) -> Transfer:
    """Of `points` [N, 3] that cover a surface, with `normals` [N, 3], zero where unknown.

    All in diameters about the object's centre, upright. `floor` is a height; light is looked for
    `lift` outside of the surface, which keeps its roughness from shading itself.
    """
    received = np.maximum(directions @ normals.T, 0)
    received[:, ~normals.any(axis=1)] = _UNKNOWN
    full = received.sum(axis=0)
    lifted = points + np.float32(lift) * normals
    near_floor = np.clip((points[:, 1] - np.float32(floor)) / np.float32(_CONTACT), 0, 1)
    floor_light = np.float32(_CONTACT_LIGHT) + np.float32(1 - _CONTACT_LIGHT) * near_floor

    def shade(number: int) -> None:
        received[number] *= _open(lifted, points, directions[number])
        if directions[number, 1] < 0:
            received[number] *= floor_light

    list(pool.map(shade, range(len(directions))))
    scale = np.float32(1 / _UNKNOWN / len(directions))
    return Transfer(directions, received, (full - received.sum(axis=0)) * scale)


def _open(points: Floats, blockers: Floats, direction: Floats) -> Floats:
    """[N] in 0..1: how much of a distant light in `direction` reaches each point."""
    axes = _axes(direction)
    at, depth = _cells(blockers, axes)
    nearest = np.full(_CELLS * _CELLS, -9, np.float32)
    np.maximum.at(nearest, at, depth)
    # Points are sparse: each closes the cells about its own.
    closed = cv2.dilate(nearest.reshape(_CELLS, _CELLS), np.ones((3, 3), np.uint8)).reshape(-1)
    at, depth = _cells(points, axes)
    blocked = closed[at]
    blocked -= depth
    blocked *= np.float32(1 / _SOFT)
    opened: Floats = 1 - np.clip(blocked, 0, 1, out=blocked)
    return opened


def _axes(direction: Floats) -> Floats:
    """[3, 3], as rows two axes across `direction` and itself."""
    aside = np.eye(3, dtype=np.float32)[int(np.argmin(np.abs(direction)))]
    right = np.cross(direction, aside)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(direction, right), direction]).astype(np.float32)


def _cells(points: Floats, axes: Floats) -> tuple[NDArray[np.int32], Floats]:
    """Number of the shadow map's cell [N], and depth towards the light [N]."""
    across, along, depth = axes @ points.T
    scale, middle = np.float32(_CELLS / (2 * _HALF_WIDTH)), np.float32(_CELLS / 2)
    column = (across * scale + middle).astype(np.int32)
    row = (along * scale + middle).astype(np.int32)
    np.clip(column, 0, _CELLS - 1, out=column)
    np.clip(row, 0, _CELLS - 1, out=row)
    return row * np.int32(_CELLS) + column, depth
