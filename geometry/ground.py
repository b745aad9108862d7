"""The shadow of an object on the ground on which it stands."""

from concurrent.futures import Executor
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from geometry.view import DISTANCE, View

Floats = NDArray[np.float32]

_CELLS = 144
_HALF_WIDTH = 1.1  # of the square of ground, in diameters
_SCALE = _CELLS / (2 * _HALF_WIDTH)
_LOWEST = 0.35  # sine of a light's height above the horizon: lower ones cast too far
# Up to which height above the ground, and the blur of such parts' shadow, both in diameters:
# lamps are wide, and the lattice of directions is coarse.
_BANDS = ((0.025, 0.007), (0.08, 0.016), (0.25, 0.04), (2.0, 0.085))
_FAINTEST = 0.03  # darkness that is left out, so that the shadow has an end
_FADE = 0.3  # of half the picture's side


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """Attributes:
    floor: height of the ground, in diameters from the object's centre.
    above: [K] numbers of the directions that cast shadows.
    blocked: [K, cells * cells] in 0..1, by cell of the ground.
    """

    floor: float
    above: NDArray[np.intp]
    blocked: Floats


def ground_transfer(points: Floats, floor: float, directions: Floats, pool: Executor) -> Ground:
    """`points` [N, 3] cover the object's surface, in diameters about its centre, upright."""
    height = np.maximum(points[:, 1] - np.float32(floor), 0)
    band = np.searchsorted(np.array([top for top, _ in _BANDS[:-1]], np.float32), height)
    bands = [(points[band == k][:, [0, 2]], height[band == k]) for k in range(len(_BANDS))]
    above = np.flatnonzero(directions[:, 1] > _LOWEST)

    def cast(number: np.intp) -> Floats:
        slope = directions[number, [0, 2]] / directions[number, 1]
        shut = np.zeros((_CELLS, _CELLS), np.float32)
        for (across, rise), (_, blur) in zip(bands, _BANDS, strict=True):
            if len(across):
                np.maximum(shut, _blurred(across - rise[:, None] * slope, blur), out=shut)
        return shut.reshape(-1)

    return Ground(floor, above, np.stack(list(pool.map(cast, above))))


def _blurred(fallen: Floats, blur: float) -> Floats:
    cell = (fallen * np.float32(_SCALE) + np.float32(_CELLS / 2)).astype(np.int32)
    np.clip(cell, 0, _CELLS - 1, out=cell)
    shut = np.zeros((_CELLS, _CELLS), np.float32)
    shut[cell[:, 1], cell[:, 0]] = 1
    shut = np.asarray(cv2.morphologyEx(shut, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)))
    return np.asarray(cv2.GaussianBlur(shut, (0, 0), blur * _SCALE), np.float32)


def shadow_maps(ground: Ground, shares: Floats) -> Floats:
    """[V, cells, cells] in 0..1: what the ground lacks of its light.

    `shares` [V, D] of that light come from each direction; those that cast none are left out.
    """
    own = shares[:, ground.above]
    flat = (own @ ground.blocked / own.sum(axis=1, keepdims=True)).reshape(-1, _CELLS, _CELLS)
    maps: Floats = np.clip((flat - np.float32(_FAINTEST)) / np.float32(1 - _FAINTEST), 0, 1)
    return maps


def shadow_in_view(flat: Floats, floor: float, view: View) -> Floats:
    """[size, size] in 0..1: a map of `shadow_maps` as the camera sees it.

    All zero when the camera is not above the ground.
    """
    size = view.size
    right, up, back = view.rotation
    eye = DISTANCE * back
    if eye[1] <= floor:
        return np.zeros((size, size), np.float32)
    # A pixel's ray in object space is linear in the pixel; where it meets the floor, homogeneous.
    ray = np.stack(
        [right / view.focal, -up / view.focal,
         -view.middle[0] / view.focal * right + view.middle[1] / view.focal * up - back],
        axis=1,
    )  # fmt: skip
    ray = ray @ np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])  # to centres of pixels
    falls = -ray[1] / (eye[1] - floor)
    to_cell = np.stack(
        [_SCALE * ray[0] + (_SCALE * eye[0] + _CELLS / 2 - 0.5) * falls,
         _SCALE * ray[2] + (_SCALE * eye[2] + _CELLS / 2 - 0.5) * falls,
         falls]
    )  # fmt: skip
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    dark = np.asarray(cv2.warpPerspective(flat, to_cell, (size, size), flags=flags), np.float32)
    sky = falls[0] * size / 2 + falls[1] * np.arange(size) + falls[2] <= 1e-3
    dark[sky] = 0
    return dark * _vignette(size)


def _vignette(size: int) -> Floats:
    """[size, size]: the shadow ends before the picture does, and not along a square."""
    inset = np.square((np.arange(size, dtype=np.float32) + 0.5) * (2 / size) - 1) ** 2
    away = np.sqrt(np.sqrt(inset[:, None] + inset[None]))
    fade: Floats = np.clip((np.float32(0.98) - away) / np.float32(_FADE), 0, 1)
    return fade * fade * (3 - 2 * fade)
