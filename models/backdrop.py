"""Foreground by a smooth model of the background's colour, learned from the picture's border.

Works where the border is homogeneous: plain, gradient, a little noise or JPEG damage. Distances
are in CIE Lab, so that one threshold means about the same for all colours.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

GRID = 64  # the background's colour is smooth: a grid of this side holds it
LIMIT = 4.0  # standard deviations that still count as background
FLOOR = 1.0  # Lab units: the least standard deviation, for clean pictures
MAX_SPREAD = 9.0  # Lab units of spread at the border beyond which this model is not tried
MIN_INLIERS = 0.62  # part of the border that must agree with the model
# Parts of the background's colour inside the object that are at least this part of the picture
# count as holes; smaller ones are more often highlights or labels.
HOLE_AREA = 0.0015
HOLE_LIMIT = 2.0  # mean standard deviations within a hole


@dataclass(frozen=True, slots=True, eq=False)
class _Backdrop:
    """Expected colour [H, W, 3] Lab, and the matrix [3, 3] that turns residuals to deviations."""

    color: Floats
    whiten: Floats


def flood(picture: Bytes) -> Bytes | None:
    """Alpha [H, W] of what differs from the background, or None where the border is too varied.

    `picture` is [H, W, 3] sRGB. The result may be all zero: a blank picture.
    """
    height, width = picture.shape[:2]
    if min(height, width) < 8:
        return None
    sharp = np.asarray(
        cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32
    )
    ring = _ring(height, width)
    noise = _noise(sharp)
    lab = sharp if noise < 0.4 else _blurred(sharp, 0.7 if noise < 2 else 1.4)
    backdrop = _fit(lab, ring)
    if backdrop is None:
        return None
    background = _reachable(_deviation(lab, backdrop) < LIMIT)
    for _ in range(2):
        backdrop = _follow(lab, background, backdrop)
        background = _reachable(_deviation(lab, backdrop) < LIMIT)
    deviation = _deviation(lab, backdrop)
    background |= _holes(background, deviation)
    return _soft(~background, sharp - backdrop.color, noise)


def _ring(height: int, width: int) -> Mask:
    """The border: 3 % of the shorter side wide, at least 2 pixels."""
    wide = max(2, round(0.03 * min(height, width)))
    ring = np.ones((height, width), bool)
    ring[wide:-wide, wide:-wide] = False
    return ring


def _blurred(values: Floats, sigma: float) -> Floats:
    return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma), np.float32)


def _noise(lab: Floats) -> float:
    """Robust standard deviation of the lightness noise, from second differences."""
    light = lab[::2, :, 0]
    second = light[:, 2:] - 2 * light[:, 1:-1] + light[:, :-2]
    return float(np.median(np.abs(second)) / 0.6745 / np.sqrt(6))


def _terms(x: Floats, y: Floats) -> Floats:
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)


def _fit(lab: Floats, ring: Mask) -> _Backdrop | None:
    """A quadratic per channel through the border, robust against an object that touches it."""
    height, width = ring.shape
    rows, cols = np.nonzero(ring)
    pick = np.linspace(0, len(rows) - 1, min(len(rows), 4000)).astype(np.intp)
    rows, cols = rows[pick], cols[pick]
    samples = lab[rows, cols]  # [M, 3]
    terms = _terms(_unit(cols, width), _unit(rows, height))
    weights = _plane_inliers(terms[:, :3], samples)
    coefficients, residual = _weighted_fit(terms, samples, weights)
    for _ in range(8):
        spread = np.maximum(_spread(residual, weights), FLOOR)
        distance = np.linalg.norm(residual / spread, axis=1)
        # Tukey's biweight: what is beyond the cut has no say.
        weights = np.maximum(1 - (distance / 5.5) ** 2, 0) ** 2
        if weights.sum() < 0.3 * len(weights):
            return None
        coefficients, residual = _weighted_fit(terms, samples, weights)
    inside = weights > 0
    spread = _spread(residual, weights)
    if inside.mean() < MIN_INLIERS or float(np.linalg.norm(spread)) > MAX_SPREAD:
        return None
    ticks = (np.arange(GRID, dtype=np.float32) + 0.5) * (2 / GRID) - 1
    x, y = np.meshgrid(ticks, ticks)
    color = np.asarray(_terms(x, y) @ coefficients, np.float32)  # [GRID, GRID, 3]
    return _Backdrop(_enlarged(color, width, height), _whitening(residual[inside]))


def _unit(index: NDArray[np.intp], count: int) -> Floats:
    return np.asarray((index + 0.5) * (2 / count) - 1, np.float32)


def _plane_inliers(terms: Floats, samples: Floats) -> NDArray[np.float64]:
    """1 for the border pixels near the plane that most of them agree on, else 0.

    Least median of squares over 48 planes through three pixels each: holds with up to half of the
    border covered.
    """
    rng = np.random.default_rng(0)
    best, best_distance = np.inf, np.zeros(len(samples))
    flat = (np.median(samples, axis=0)[None], terms[:, :1])
    candidates = [np.linalg.norm(samples - flat[0], axis=1)]
    for _ in range(48):
        three = rng.choice(len(samples), 3, replace=False)
        matrix = terms[three].astype(np.float64)
        if abs(np.linalg.det(matrix)) > 0.05:
            plane = np.linalg.solve(matrix, samples[three].astype(np.float64))
            candidates.append(np.linalg.norm(samples - terms @ plane, axis=1))
    for distance in candidates:
        middle = float(np.median(distance))
        if middle < best:
            best, best_distance = middle, distance
    return np.asarray(best_distance <= max(3 * best, 3 * FLOOR), np.float64)


def _weighted_fit(
    terms: Floats, samples: Floats, weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coefficients [6, 3], and the residuals [M, 3] of all samples."""
    scaled = terms * weights[:, None]
    # A little ridge keeps curvature out where the inliers do not determine it.
    ridge = 1e-4 * len(terms) * np.diag([0.0, 1, 1, 4, 4, 4])
    coefficients = np.linalg.solve(terms.T @ scaled + ridge, scaled.T @ samples)
    return coefficients, samples - terms @ coefficients


def _spread(residual: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """[3] robust standard deviations of the residuals of positive weight."""
    spread: NDArray[np.float64] = np.median(np.abs(residual[weights > 0]), axis=0) / 0.6745
    return spread


def _whitening(residual: NDArray[np.floating]) -> Floats:
    covariance = np.cov(residual.T.astype(np.float64)) + np.eye(3) * FLOOR**2
    return np.asarray(np.linalg.inv(np.linalg.cholesky(covariance)), np.float32)


def _enlarged(grid: Floats, width: int, height: int) -> Floats:
    return np.asarray(cv2.resize(grid, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def _deviation(lab: Floats, backdrop: _Backdrop) -> Floats:
    """[H, W] distance to the background's colour in standard deviations."""
    white = cv2.transform(lab - backdrop.color, backdrop.whiten)
    return np.sqrt(np.einsum("ijk,ijk->ij", white, white))


def _reachable(near: Mask) -> Mask:
    """The part of `near` that is connected to the picture's border."""
    padded = np.pad(near, 1, constant_values=True).astype(np.uint8)
    _, labels = cv2.connectedComponents(padded, connectivity=4)
    return np.asarray(labels[1:-1, 1:-1] == labels[0, 0], bool)


def _follow(lab: Floats, background: Mask, backdrop: _Backdrop) -> _Backdrop:
    """Bend the model to the background that was found: a smooth mean of it on a coarse grid."""
    height, width = background.shape
    sure = cv2.erode(background.astype(np.float32), np.ones((5, 5), np.uint8))
    weight = np.asarray(cv2.resize(sure, (GRID, GRID), interpolation=cv2.INTER_AREA), np.float32)
    if weight.sum() < 0.02 * GRID * GRID:
        return backdrop
    residual = lab - backdrop.color
    masked = cv2.resize(residual * sure[..., None], (GRID, GRID), interpolation=cv2.INTER_AREA)
    near, far = (_blurred(np.dstack([masked, weight]), sigma) for sigma in (2.5, 10.0))
    # Near the background that is seen follow it closely; far from it only its wide mean.
    trust = np.clip(near[..., 3:] / 0.15, 0, 1)
    close = near[..., :3] / np.maximum(near[..., 3:], 1e-3)
    wide = far[..., :3] / np.maximum(far[..., 3:], 1e-3) * np.clip(far[..., 3:] / 0.05, 0, 1)
    color = backdrop.color + _enlarged(trust * close + (1 - trust) * wide, width, height)
    rest = (lab - color)[sure > 0]
    return _Backdrop(color, _whitening(rest[:: max(1, len(rest) // 20_000)]))


def _holes(background: Mask, deviation: Floats) -> Mask:
    """Enclosed parts that look exactly like the background: what one sees through a ring."""
    near = (~background & (deviation < LIMIT)).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(near, connectivity=4)
    areas = stats[:, cv2.CC_STAT_AREA]
    mean = np.bincount(labels.ravel(), deviation.ravel(), count) / np.maximum(areas, 1)
    hole = (areas >= max(12, HOLE_AREA * near.size)) & (mean < HOLE_LIMIT)
    hole[0] = False
    return np.asarray(hole[labels], bool)


def _soft(solid: Mask, residual: Floats, noise: float) -> Bytes:
    """Alpha with mixed pixels along the outline.

    Within 2 pixels of the outline a pixel's distance from the background's colour, as a part of
    the distance of the object's nearest sure pixels, is how much of it the object covers.
    """
    kernel = np.ones((3, 3), np.uint8)
    mask = solid.astype(np.uint8)
    if noise > 0.4:
        mask = np.asarray(cv2.medianBlur(mask, 3), np.uint8)
    wide = cv2.dilate(mask, kernel)
    distance = np.linalg.norm(residual, axis=2)
    inner = cv2.erode(mask, kernel)
    reference = cv2.dilate(distance * inner, np.ones((5, 5), np.uint8))
    share = (distance - 2 * noise) / np.maximum(reference - 2 * noise, 1e-3)
    band = (wide > 0) & (inner == 0) & (reference > 8 + 6 * noise)
    alpha = np.where(band, np.clip(share, 0, 1), mask)
    return np.asarray(alpha * 255 + 0.5, np.uint8)
