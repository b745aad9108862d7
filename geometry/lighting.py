"""A studio: a wide key lamp above the camera's left, a fill, a rim lamp, a sky and a floor."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geometry.transfer import Transfer

Floats = NDArray[np.float32]

# Direction in view space (lamps stay with the camera while the object turns), sharpness, and the
# linear light that a white surface facing the lamp sends back.
_KEY = np.array([-0.55, 0.75, 0.55])
_LAMPS = (
    (_KEY, 9.0, (0.92, 0.88, 0.82)),
    (np.array([0.85, 0.25, 0.45]), 3.0, (0.10, 0.115, 0.135)),
    (np.array([0.35, 0.55, -0.85]), 6.0, (0.22, 0.23, 0.25)),
)
_ZENITH = np.array([0.50, 0.53, 0.58], np.float32)
_HORIZON = np.array([0.36, 0.365, 0.38], np.float32)
_FLOOR = np.array([0.29, 0.265, 0.23], np.float32)
_INTERREFLECTION = 0.6
_GLOSS, _GLOSSINESS = 0.06, 22
_RIM = 0.06
_KNEE = 0.6  # linear light from which on highlights are compressed
_MIDDLE_GREY = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class Lights:
    """What the lamps of V views send to an object, before its colours.

    Attributes:
        arriving: [V, N, 3] linear light at the points of the surface.
        between: [V, 3] linear light that parts of the object send to each other, if white.
        shut: [N] as of `Transfer`.
        ground_shares: [V, D], sums to 1: how much of the ground's light each direction sends.
    """

    arriving: Floats
    between: Floats
    shut: Floats
    ground_shares: Floats


def light_views(
    transfer: Transfer, rotations: list[NDArray[np.float64]], smooth: Callable[[Floats], Floats]
) -> Lights:
    """The studio around each view; `rotations` [3, 3] map to view space.

    `smooth` averages [N, K] over neighbours: shadow maps are grainy.
    """
    light = np.stack([_radiance(transfer.directions, rotation) for rotation in rotations])
    weights = light.transpose(0, 2, 1).reshape(-1, light.shape[1])  # [V * 3, D]
    arriving = (weights * np.float32(4 / light.shape[1])) @ transfer.received
    smoothed = smooth(np.concatenate([arriving, transfer.shut[None]]).T)  # [N, V * 3 + 1]
    by_view = smoothed[:, :-1].reshape(len(smoothed), len(rotations), 3).transpose(1, 0, 2)
    falling = light.mean(axis=2) * np.maximum(transfer.directions[:, 1], 0)
    return Lights(
        np.ascontiguousarray(by_view),
        light.mean(axis=1) * np.float32(_INTERREFLECTION),
        smoothed[:, -1],
        falling / falling.sum(axis=1, keepdims=True),
    )


def _radiance(directions: Floats, rotation: NDArray[np.float64]) -> Floats:
    """[D, 3] linear light from `directions` of object space."""
    up = directions[:, 1:2]
    light = np.where(up > 0, _HORIZON + (_ZENITH - _HORIZON) * np.abs(up), _FLOOR)
    for direction, sharpness, color in _LAMPS:
        towards = rotation.T @ direction / np.linalg.norm(direction)
        lobe = np.maximum(directions @ towards.astype(np.float32), 0) ** np.float32(sharpness)
        # The lattice samples a narrow lamp unevenly as it turns; its power stays.
        lobe *= np.float32(len(lobe) / 4 / max(float(lobe.sum()), 1e-6))
        light = light + lobe[:, None] * np.array(color, np.float32)
    return np.asarray(light, np.float32)


def reflected(
    lights: Lights, view: int, albedo: Floats, normals: Floats, rotation: NDArray[np.float64]
) -> Floats:
    """[N, 3] linear light that points with `albedo` [N, 3] and `normals` [N, 3] send back."""
    # What keeps light off sends some back, of much the same colour: crevices are not grey.
    diffuse: Floats = albedo * lights.between[view]
    diffuse *= lights.shut[:, None]
    diffuse += lights.arriving[view]
    diffuse *= albedo
    half = _KEY / np.linalg.norm(_KEY) + [0, 0, 1]
    half = rotation.T @ half / np.linalg.norm(half)
    gloss = np.maximum(normals @ half.astype(np.float32), 0) ** _GLOSSINESS
    facing = normals @ rotation[2].astype(np.float32)
    rim = np.where(facing > 0, 1 - facing, np.maximum(1 + 3 * facing, 0)) ** 3
    sheen = (_GLOSS * gloss + _RIM * rim) * (1 - lights.shut)
    diffuse += sheen.astype(np.float32)[:, None]
    return diffuse


def exposure(albedo: Floats) -> float:
    """Dark objects are exposed a little longer, bright ones shorter."""
    usual = float(np.median(albedo @ np.array([0.21, 0.72, 0.07], np.float32)))
    return float(np.clip((_MIDDLE_GREY / max(usual, 1e-3)) ** 0.2, 0.92, 1.35))


def developed(light: Floats) -> Floats:
    """Linear light to sRGB in 0..255, not rounded, with a soft shoulder for highlights."""
    knee = np.float32(_KNEE)
    over = np.maximum(light - knee, 0)
    x = np.minimum(light, knee) + over / (1 + over / (1 - knee))
    x = np.maximum(x, 0)  # rounding
    root = np.float32(1.055) * x ** np.float32(1 / 2.4) - np.float32(0.055)
    encoded: Floats = np.where(x <= 0.0031308, np.float32(12.92) * x, root) * np.float32(255)
    return encoded
