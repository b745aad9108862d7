"""Foreground by a smooth model of the background's colour, learned from the picture's border.

Works where the border is homogeneous: plain, gradient, a little noise or JPEG damage. Distances
are in CIE Lab, so that one threshold means about the same for all colours.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Mask = NDArray[np.bool_]

GROW_SIDE = 128  # px, longer side at which the background's colour is followed
ROUNDS = 20
QUIET = 0.4  # Lab units of noise below which nothing is smoothed
LIMIT = 4.0  # standard deviations that still count as background
FLOOR = 1.0  # Lab units: the least standard deviation, for clean pictures
MAX_SPREAD = 3.5  # Lab units of spread at the border beyond which this model is not tried
MIN_INLIERS = 0.62  # part of the border that must agree with the model
RINGING = 0.12  # of the strongest deviation nearby
RINGING_REACH = 17  # px: two blocks of a JPEG
# Parts of the background's colour inside the object that are at least this part of the picture
# count as holes; smaller ones are more often highlights or labels.
HOLE_AREA = 0.0015
HOLE_LIMIT = 2.0  # mean standard deviations within a hole


def flood(picture: Bytes) -> Bytes | None:
    """Alpha [H, W] of what differs from the background, or None where the border is too varied.

    `picture` is [H, W, 3] sRGB. The result may be all zero: a blank picture.
    """
    height, width = picture.shape[:2]
    if min(height, width) < 8:
        return None
    lab = np.asarray(cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32)
    found = _grow(lab)
    if found is None:
        return None
    color, known = (_enlarged(part, width, height) for part in found)
    residual = lab - color
    noise = _noise(lab)
    calm = residual if noise < QUIET else _blurred(residual, min(2.5, 0.6 + noise / 6))
    sure = calm[::2, ::2][known[::2, ::2] > 0.99]
    whiten = _whitening(sure)
    deviation = _deviation(calm, whiten)
    # Beside a strong edge a compressed or sharpened picture rings.
    strongest = cv2.dilate(deviation, np.ones((RINGING_REACH, RINGING_REACH), np.uint8))
    background = _reachable(deviation < np.maximum(LIMIT, RINGING * strongest))
    background |= _holes(background, deviation)
    return _soft(~background, residual, noise)


def _grow(lab: Floats) -> tuple[Floats, Floats] | None:
    """The background's colour [h, w, 3] everywhere, and where [h, w] it is seen; at GROW_SIDE.

    Starts from a smooth surface through the border and grows inwards: what agrees with the
    surface and is connected to the border is background, and bends the surface for the next
    round. So it can follow soft shadows and a wall that rounds into a floor.
    """
    factor = min(1.0, GROW_SIDE / max(lab.shape[:2]))
    size = (max(8, round(lab.shape[1] * factor)), max(8, round(lab.shape[0] * factor)))
    small = np.asarray(cv2.resize(lab, size, interpolation=cv2.INTER_AREA), np.float32)
    fitted = _fit(small)
    if fitted is None:
        return None
    color, whiten = fitted
    background, reached = np.zeros(small.shape[:2], bool), -1
    for _ in range(ROUNDS):
        grown = _reachable(_deviation(small - color, whiten) < LIMIT)
        if grown.sum() <= reached:
            break
        background, reached = grown, int(grown.sum())
        color, whiten = _follow(small, background, color, whiten)
    return color, background.astype(np.float32)


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


def _terms(x: Doubles, y: Doubles) -> Doubles:
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)


def _fit(lab: Floats) -> tuple[Floats, Floats] | None:
    """A quadratic per channel through the border, robust against an object that touches it.

    Returns its colour [H, W, 3] and the matrix [3, 3] that turns residuals into standard
    deviations, or None where too little of the border agrees with it.
    """
    height, width = lab.shape[:2]
    rows, cols = np.nonzero(_ring(height, width))
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
    x, y = np.meshgrid(_unit(np.arange(width), width), _unit(np.arange(height), height))
    color = np.asarray(_terms(x, y) @ coefficients, np.float32)
    return color, _whitening(residual[inside])


def _unit(index: NDArray[np.intp], count: int) -> Doubles:
    """Pixel numbers to -1..1."""
    return np.asarray((index + 0.5) * (2 / count) - 1)


def _plane_inliers(terms: Doubles, samples: Floats) -> Doubles:
    """1 for the border pixels near the plane that most of them agree on, else 0.

    Least median of squares over 48 planes through three pixels each: holds with up to half of the
    border covered.
    """
    rng = np.random.default_rng(0)
    best, best_distance = np.inf, np.zeros(len(samples))
    candidates = [np.linalg.norm(samples - np.median(samples, axis=0), axis=1)]
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


def _weighted_fit(terms: Doubles, samples: Floats, weights: Doubles) -> tuple[Doubles, Doubles]:
    """Coefficients [6, 3], and the residuals [M, 3] of all samples."""
    scaled = terms * weights[:, None]
    # A little ridge keeps curvature out where the inliers do not determine it.
    ridge = 1e-4 * len(terms) * np.diag([0.0, 1, 1, 4, 4, 4])
    coefficients = np.asarray(
        np.linalg.solve(terms.T @ scaled + ridge, scaled.T @ samples), np.float64
    )
    return coefficients, np.asarray(samples - terms @ coefficients, np.float64)


def _spread(residual: Doubles, weights: Doubles) -> Doubles:
    """[3] robust standard deviations of the residuals of positive weight."""
    return np.asarray(np.median(np.abs(residual[weights > 0]), axis=0) / 0.6745)


def _whitening(residual: NDArray[np.floating]) -> Floats:
    covariance = np.cov(residual.T.astype(np.float64)) + np.eye(3) * FLOOR**2
    return np.asarray(np.linalg.inv(np.linalg.cholesky(covariance)), np.float32)


def _enlarged(grid: Floats, width: int, height: int) -> Floats:
    return np.asarray(cv2.resize(grid, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def _deviation(residual: Floats, whiten: Floats) -> Floats:
    """[H, W] distance from the background's colour in standard deviations."""
    white = cv2.transform(residual, whiten)
    return np.asarray(np.sqrt(np.einsum("ijk,ijk->ij", white, white)), np.float32)


def _reachable(near: Mask) -> Mask:
    """The part of `near` that is connected to the picture's border."""
    padded = np.pad(near, 1, constant_values=True).astype(np.uint8)
    _, labels = cv2.connectedComponents(padded, connectivity=4)
    return np.asarray(labels[1:-1, 1:-1] == labels[0, 0], bool)


def _follow(lab: Floats, background: Mask, color: Floats, whiten: Floats) -> tuple[Floats, Floats]:
    """Bend the surface towards the background found so far, by smooth means of what is left."""
    sure = np.asarray(cv2.erode(background.astype(np.float32), np.ones((3, 3), np.uint8)))
    if sure.sum() < 0.02 * sure.size:
        return color, whiten
    residual = lab - color
    weighted = np.dstack([residual * sure[..., None], sure])
    near, far = _blurred(weighted, 4.0), _blurred(weighted, 16.0)
    # Near the background that is seen follow it closely; far from it only its wide mean.
    trust = np.clip(near[..., 3:] / 0.1, 0, 1)
    close = near[..., :3] / np.maximum(near[..., 3:], 1e-3)
    wide = far[..., :3] / np.maximum(far[..., 3:], 1e-3) * np.clip(far[..., 3:] / 0.05, 0, 1)
    bent = np.asarray(color + trust * close + (1 - trust) * wide, np.float32)
    return bent, _whitening((lab - bent)[sure > 0])


def _holes(background: Mask, deviation: Floats) -> Mask:
    """Enclosed parts that look like the background: what one sees through a ring.

    What the background looks like there is extrapolated, so an object of strong contrast leaves
    more room for error.
    """
    solid = ~background & (deviation >= LIMIT)
    if not solid.any():
        return np.zeros_like(background)
    contrast = float(np.median(deviation[solid]))
    near = (~background & (deviation < max(LIMIT, 0.25 * contrast))).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(near, connectivity=4)
    areas = stats[:, cv2.CC_STAT_AREA]
    mean = np.bincount(labels.ravel(), deviation.ravel(), count) / np.maximum(areas, 1)
    limit = max(HOLE_LIMIT, 0.12 * contrast)
    hole = (areas >= max(12, HOLE_AREA * near.size)) & (mean < limit)
    hole[0] = False
    return np.asarray(hole[labels], bool)


def _soft(solid: Mask, residual: Floats, noise: float) -> Bytes:
    """Alpha with mixed pixels along the outline.

    Within 2 pixels of the outline a pixel's distance from the background's colour, as a part of
    the distance of the object's nearest sure pixels, is how much of it the object covers.
    """
    kernel = np.ones((3, 3), np.uint8)
    mask = solid.astype(np.uint8)
    if noise > QUIET:
        mask = np.asarray(cv2.medianBlur(mask, 3), np.uint8)
    wide = cv2.dilate(mask, kernel)
    distance = np.linalg.norm(residual, axis=2)
    inner = cv2.erode(mask, kernel)
    reference = cv2.dilate(distance * inner, np.ones((5, 5), np.uint8))
    share = (distance - 2 * noise) / np.maximum(reference - 2 * noise, 1e-3)
    band = (wide > 0) & (inner == 0) & (reference > 8 + 6 * noise)
    alpha = np.where(band, np.clip(share, 0, 1), mask)
    return np.asarray(alpha * 255 + 0.5, np.uint8)
