"""A layer of surface to a lit picture with a contact shadow on a transparent ground."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

from geometry.layer import Floats, Layer
from geometry.srgb import from_linear
from geometry.view import View

# In view space: the lights stay with the camera while the object turns.
_KEY = np.array([-0.45, 0.65, 0.62], np.float32)
_FILL = np.array([0.75, 0.1, 0.5], np.float32)
_SKY = np.array([0.50, 0.53, 0.58], np.float32)
_GROUND = np.array([0.26, 0.25, 0.24], np.float32)
_KEY_LIGHT = np.array([0.66, 0.64, 0.60], np.float32)
_FILL_LIGHT = np.array([0.10, 0.11, 0.13], np.float32)

# Height above the ground, blur of the shadow (both in diameters), darkness.
_SHADOW_BANDS = ((0.03, 0.012, 0.40), (0.12, 0.03, 0.28), (1.0, 0.08, 0.25))
_FADE = 0.12  # of the picture's side
_OPENNESS_SIZE = 320  # pixels
_SHADOW_CELLS = 160
_SHADOW_WIDTH = 2.0  # of the ground's square, in diameters


def shade(layer: Layer) -> Floats:
    """[size, size, 3] linear light that leaves the surface; black where there is none."""
    covered = layer.coverage > 0
    length = np.sqrt(np.einsum("ijk,ijk->ij", layer.normal, layer.normal))
    normal = layer.normal / np.maximum(length, np.float32(1e-6))[..., None]
    key = _wrapped(normal @ (_KEY / np.linalg.norm(_KEY)))
    fill = _wrapped(normal @ (_FILL / np.linalg.norm(_FILL)))
    up = (normal[..., 1:2] + 1) / 2
    open_sky = _openness(layer.depth, covered)[..., None]
    soft = (_GROUND + (_SKY - _GROUND) * up) * open_sky
    direct = (_KEY_LIGHT * key[..., None] + _FILL_LIGHT * fill[..., None]) * (0.4 + 0.6 * open_sky)
    half = _KEY / np.linalg.norm(_KEY) + np.array([0, 0, 1], np.float32)
    gloss = np.maximum(normal @ (half / np.linalg.norm(half)), 0) ** 24
    lit: Floats = layer.light * (soft + direct) + 0.035 * gloss[..., None] * open_sky
    masked: Floats = np.where(covered[..., None], lit, 0).astype(np.float32)
    return masked


def _wrapped(cosine: Floats) -> Floats:
    """Lambert's law with a soft terminator."""
    soft: Floats = np.maximum((cosine + np.float32(0.2)) / np.float32(1.2), np.float32(0))
    return soft


def _openness(depth: Floats, covered: NDArray[np.bool_]) -> Floats:
    """[size, size] in 0..1: less where the surroundings are nearer to the camera.

    Unsharp masking of the depth buffer (Luft et al. 2006) over two widths.
    """
    # Wide blurs need no full resolution.
    size, step = len(depth), max(1, len(depth) // _OPENNESS_SIZE)
    depth, covered = depth[::step, ::step], covered[::step, ::step]
    weight = covered.astype(np.float32)
    flat = np.where(covered, depth, np.float32(0))
    shut = np.zeros_like(flat)
    for width, strength in ((0.012, 5.0), (0.04, 2.5)):
        sigma = width * len(depth)
        around = gaussian_filter(weight, sigma, truncate=2.5)
        mean = gaussian_filter(flat, sigma, truncate=2.5) / np.maximum(around, np.float32(1e-6))
        shut += np.float32(strength) * np.clip(mean - flat, 0, np.float32(0.06))
    openness: Floats = np.clip(1 - shut, np.float32(0.35), 1)
    return openness.repeat(step, axis=0)[:size].repeat(step, axis=1)[:, :size]


def ground_shadow(view: View, positions: NDArray[np.float64]) -> Floats:
    """[size, size] darkness in 0..1 of the ground on which the object stands.

    `positions` [N, 3] cover the object's surface, in diameters with the centre at the origin,
    upright. All zero when the camera is not above the ground.
    """
    eye, directions = view.rays()
    eye_y = float(eye @ view.rotation[:, 1])
    floor = float(positions[:, 1].min())
    slope = directions @ view.rotation[:, 1]
    meets = slope < -1e-3
    if eye_y <= floor or not meets.any():
        return np.zeros((view.size, view.size), np.float32)
    along = (floor - eye_y) / np.where(meets, slope, -1.0)
    ground = (eye + along[..., None] * directions) @ view.rotation
    cell = _SHADOW_WIDTH / _SHADOW_CELLS
    at = [(ground[..., axis] / cell + _SHADOW_CELLS / 2 - 0.5) for axis in (2, 0)]
    dark: Floats = map_coordinates(
        _shadow_map(positions, floor, cell), at, order=1, mode="constant", prefilter=False
    )
    # The shadow ends before the picture does.
    inset = (np.arange(view.size) + 0.5) / view.size
    fade = np.clip(np.minimum(inset, 1 - inset) / _FADE, 0, 1)
    dark = dark * np.minimum(fade[:, None], fade[None])
    return np.where(meets, dark, 0).astype(np.float32)


def _shadow_map(positions: NDArray[np.float64], floor: float, cell: float) -> Floats:
    """[cells, cells] darkness seen from above: near parts cast it sharp, high ones faint."""
    lit = np.ones((_SHADOW_CELLS, _SHADOW_CELLS), np.float32)
    column = np.clip((positions[:, [2, 0]] + _SHADOW_WIDTH / 2) / cell, 0, _SHADOW_CELLS - 1)
    index = column.astype(np.intp) @ np.array([_SHADOW_CELLS, 1])
    for height, blur, darkness in _SHADOW_BANDS:
        low = positions[:, 1] < floor + height
        covered = np.zeros(lit.size, np.float32)
        covered[index[low]] = 1
        sigma = blur / cell
        soft = gaussian_filter(covered.reshape(lit.shape), sigma)
        lit *= 1 - np.float32(darkness) * np.minimum(soft * 1.6, 1)
    return 1 - lit


def finish(light: Floats, coverage: Floats, shadow: Floats) -> NDArray[np.uint8]:
    """Lays [large, large] light over a [size, size] shadow, averaging blocks of pixels.

    `large` is a multiple of `size`. Returns [size, size, 4] uint8 sRGB with straight alpha.
    """
    size = len(shadow)
    blocks = (size, len(light) // size, size, len(light) // size)
    premultiplied = (light * coverage[..., None]).reshape(*blocks, 3).mean(axis=(1, 3))
    covered = coverage.reshape(blocks).mean(axis=(1, 3))
    alpha = covered + (1 - covered) * shadow
    colors = from_linear(premultiplied / np.maximum(alpha, 1e-6)[..., None])
    return np.dstack([colors, np.rint(alpha * 255).astype(np.uint8)])
