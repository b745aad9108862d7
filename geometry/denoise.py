"""Noisy points moved onto the surface that their neighbours agree on."""

import numpy as np
from numpy.typing import NDArray

from geometry.neighbors import nearest

Floats = NDArray[np.float64]

_NEIGHBORS = (24, 48)  # for slight and for strong noise
_WIDTH = 0.5  # of the weights' Gaussian, in distances of the last neighbour
# Noise in spacings of the points: the reconstruction's own smoothing deals with less than the
# first, and from the second on points go all the way.
_RANGE = (0.2, 0.4)
_CLIP = 2.5  # times the noise: what is farther out is an edge or a stray
_SLOPE_RIDGE, _BEND_RIDGE = 1e-3, 1e-2  # of the mean diagonal


def denoised(points: Floats, normals: Floats, spacing: Floats) -> tuple[Floats, Floats, float]:
    """Points [N, 3] moved along their normals, the normals [N, 3] there, and the noise.

    Each neighbourhood is fitted with a quadric over the plane of the point's normal (moving least
    squares, Alexa et al. 2003, with a quadric so that curved parts do not shrink), without points
    that face another way, so thin parts stay two-sided. How far points go depends on the noise of
    the whole cloud: the median distance from the fits, corrected for the share that each point
    has in its own. Clean clouds come back as they are, edges included.

    Args:
        points: distinct, any unit.
        normals: unit, all on the same side; zero where unknown: such points stay.
        spacing: [N] mean distance of neighbours.

    Returns:
        Points, normals, and the noise that there was, in units of the median spacing.
    """
    usual = float(np.median(spacing))
    height, _, leverage = _fitted(points, normals, _NEIGHBORS[0])
    noise = 1.4826 * float(np.median(np.abs(height) / np.sqrt(np.clip(1 - leverage, 0.05, 1))))
    ratio = noise / usual
    gain = float(np.clip((ratio - _RANGE[0]) / (_RANGE[1] - _RANGE[0]), 0, 1))
    if gain == 0:
        return points, normals, ratio
    height, fitted, _ = _fitted(points, normals, _NEIGHBORS[1])
    moved = points + gain * np.clip(height, -_CLIP * noise, _CLIP * noise)[:, None] * normals
    turned = (1 - gain) * normals + gain * fitted
    turned /= np.maximum(np.linalg.norm(turned, axis=1, keepdims=True), 1e-12)
    return moved, turned, ratio


def _fitted(points: Floats, normals: Floats, neighbors: int) -> tuple[Floats, Floats, Floats]:
    """Signed height [N] of the fit over each point, its normal [N, 3], the point's leverage [N]."""
    distance, index = nearest(points, min(neighbors + 1, len(points)))
    reach = np.maximum(distance[:, -1:], 1e-300)
    side = np.cross(normals, np.eye(3)[np.abs(normals).argmin(axis=1)])
    side /= np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-300)
    frames = np.stack([side, np.cross(normals, side), normals], axis=2)  # columns
    local = ((points[index] - points[:, None]) / reach[..., None]) @ frames
    u, v, h = np.moveaxis(local, 2, 0)
    facing = np.maximum((normals[index] @ normals[:, :, None])[..., 0], 0)
    weight = np.exp(-0.5 * (distance / reach / _WIDTH) ** 2) * facing**2
    terms = np.stack([np.ones_like(u), u, v, u * u, u * v, v * v], axis=2)  # [N, K, 6]
    weighted = (terms * weight[..., None]).transpose(0, 2, 1)
    matrix = weighted @ terms
    ridge = np.array([1e-9, *[_SLOPE_RIDGE] * 2, *[_BEND_RIDGE] * 3])
    mean = np.trace(matrix, axis1=1, axis2=2)[:, None] / 6 + 1e-12
    matrix[:, range(6), range(6)] += ridge * mean
    inverse = np.linalg.inv(matrix)
    fit = (inverse @ (weighted @ h[..., None]))[..., 0]
    fitted = normals - fit[:, 1:2] * frames[:, :, 0] - fit[:, 2:3] * frames[:, :, 1]
    fitted /= np.maximum(np.linalg.norm(fitted, axis=1, keepdims=True), 1e-300)
    return fit[:, 0] * reach[:, 0], fitted, inverse[:, 0, 0] * weight[:, 0]
