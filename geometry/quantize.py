"""Vertex attributes as small integers, for KHR_mesh_quantization. Rows are 4k bytes long."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geometry.srgb import LINEAR

# The finest step that float32, in which viewers place things, still holds in full.
_LEAST_STEP = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Stands for `origin + step * value`: one step for all axes, so that normals keep."""

    origin: NDArray[np.float64]  # [3]
    step: float


def quantize_positions(
    positions: NDArray[np.float32], bits: int
) -> tuple[NDArray[np.uint16], Grid]:
    """[N, 4] integers below 2^bits, the last of them 0, and their grid over the box.

    No position moves by more than half a step per axis; the box's longest side has 2^bits - 1.
    """
    exact = positions.astype(np.float64)
    origin = exact.min(axis=0)
    extent = float((exact.max(axis=0) - origin).max())
    step = max(extent / (2**bits - 1), _LEAST_STEP) if extent > 0 else 1.0
    values = np.zeros((len(exact), 4), "<u2")
    values[:, :3] = np.rint((exact - origin) / step)
    return values, Grid(origin, step)


def quantize_normals(normals: NDArray[np.float32]) -> NDArray[np.int8]:
    """[N, 4] signed normalised bytes of [N, 3] unit normals, the last of them 0.

    They turn by 0.4 degrees at most.
    """
    values = np.zeros((len(normals), 4), np.int8)
    values[:, :3] = np.rint(normals * 127.0)
    return values


def quantize_uv(uv: NDArray[np.float32]) -> NDArray[np.uint16]:
    """[N, 2] unsigned normalised integers of [N, 2] coordinates in 0..1."""
    return np.rint(uv.astype(np.float64) * 65535.0).astype("<u2")


def linear_light(colors: NDArray[np.uint8], rounded: bool) -> NDArray[np.uint16]:
    """[N, 4] unsigned normalised linear light of [N, 3] sRGB bytes, alpha 1.

    Linear light in bytes would merge the dark tones; 16 bits keep all 256 sRGB steps apart (the
    smallest is 20 of 65535) in two thirds of the size of floats. `rounded` ones compress better,
    and stand for the same sRGB bytes.
    """
    light = np.full((len(colors), 4), 65535, "<u2")
    light[:, :3] = (_ROUND_LIGHT if rounded else _LIGHT)[colors]
    return light


def _roundest(light: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """For each of 256 steps the number with most zeros at its end within a quarter of a step."""
    exact = light.astype(np.int64)
    room = np.diff(exact) // 4
    low = exact - np.concatenate([[0], room])
    high = exact + np.concatenate([room, [0]])
    rounded = exact.copy()
    for bit in range(1, 16):
        multiple = (exact + (1 << bit >> 1)) >> bit << bit
        rounded = np.where((low <= multiple) & (multiple <= high), multiple, rounded)
    return rounded.astype(np.uint16)


_LIGHT: NDArray[np.uint16] = np.rint(LINEAR * 65535.0).astype(np.uint16)
_ROUND_LIGHT = _roundest(_LIGHT)
