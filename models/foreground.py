"""Which pixels are the object, and the square crop of it that the networks see.

Alpha where the picture has it; else a model of the border's colour with a connected flood; else
GrabCut. NumPy and OpenCV only.
"""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from models.backdrop import flood
from models.errors import EmptyMaskError, NoForegroundError

Mode = Literal["auto", "always", "never"]
Method = Literal["mask", "alpha", "frame", "flood", "grabcut"]
Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

WORK_SIDE = 512  # px, longer side at which the background is modelled
GRABCUT_SIDE = 160  # px; the cost grows with the area, the outline is refined afterwards
REFINE_SIDE = 1024  # px, longer side at which an outline is refined

HINT = (
    "use a picture of one object that stands out from a plain background, a picture with "
    "transparency, or send a mask"
)


@dataclass(frozen=True, slots=True, eq=False)
class Foreground:
    """Attributes:
    alpha: [H, W] uint8, the size of the picture; 255 is object.
    method: where it came from.
    """

    alpha: Bytes
    method: Method


def extract_foreground(rgba: Bytes, mode: Mode = "auto", mask: Bytes | None = None) -> Foreground:
    """Find the object.

    Args:
        rgba: [H, W, 4] sRGB with straight alpha.
        mode: "auto" takes the picture's alpha if it has a useful one and removes the background
            otherwise; "always" removes the background of what alpha leaves; "never" takes alpha,
            or the whole frame where there is none.
        mask: [h, w] any size, 255 is object; overrides the rest.

    Raises:
        NoForegroundError: nothing is left, or (unless mode is "never") everything.
        EmptyMaskError: nothing, or next to nothing, of the mask is object.
    """
    height, width = rgba.shape[:2]
    if mask is not None:
        scaled = cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR)
        resized = np.asarray(scaled, np.uint8)
        if _is_empty(resized):
            raise EmptyMaskError("the mask marks no object, or one of too few pixels")
        return Foreground(resized, "mask")
    alpha = np.ascontiguousarray(rgba[..., 3])
    transparent = _is_useful(alpha)
    if transparent and mode != "always":
        return Foreground(_not_empty(alpha), "alpha")
    if mode == "never":
        return Foreground(np.full((height, width), 255, np.uint8), "frame")
    picture = _over_white(rgba) if transparent else np.ascontiguousarray(rgba[..., :3])
    found, method = _remove_background(picture)
    return Foreground(_not_empty(np.minimum(found, alpha) if transparent else found), method)


def _is_useful(alpha: Bytes) -> bool:
    """At least half a per cent of the picture is transparent."""
    return int(np.count_nonzero(alpha < 128)) >= max(1, alpha.size // 200)


def _not_empty(alpha: Bytes) -> Bytes:
    """Raises NoForegroundError where it is empty."""
    if _is_empty(alpha):
        raise NoForegroundError(f"no object was found in the picture; {HINT}")
    return alpha


def _is_empty(alpha: Bytes) -> bool:
    """Fewer than about 6 x 6 of 512 x 512 pixels are object."""
    return int(np.count_nonzero(alpha >= 128)) < max(4, alpha.size // 8000)


def _over_white(rgba: Bytes) -> Bytes:
    alpha = rgba[..., 3:].astype(np.uint16)
    mixed = (rgba[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255
    return np.asarray(mixed, np.uint8)


def _remove_background(picture: Bytes) -> tuple[Bytes, Method]:
    small = _reduced(picture, WORK_SIDE)
    result = flood(small)
    method: Method = "flood"
    if result is None:
        method, result = "grabcut", _grabcut(_reduced(picture, GRABCUT_SIDE))
    refined = _reduced(picture, WORK_SIDE if method == "grabcut" else REFINE_SIDE)
    if refined.shape[:2] != result.shape:
        result = _refine(result, refined)
    result = _without_specks(result)
    if np.count_nonzero(result >= 128) > 0.985 * result.size:
        raise NoForegroundError(f"object and background could not be told apart; {HINT}")
    height, width = picture.shape[:2]
    return _resized(result, width, height), method


def _reduced(picture: Bytes, side: int) -> Bytes:
    height, width = picture.shape[:2]
    factor = side / max(height, width)
    if factor >= 1:
        return picture
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _resized(alpha: Bytes, width: int, height: int) -> Bytes:
    if alpha.shape == (height, width):
        return alpha
    return np.asarray(cv2.resize(alpha, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _grabcut(small: Bytes) -> Bytes:
    """GrabCut, started from how much each pixel's colour differs from the border's colours."""
    height, width = small.shape[:2]
    if min(height, width) < 8:
        return np.zeros((height, width), np.uint8)
    lab = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2LAB), np.float32)
    ring = max(1, min(height, width) // 32)
    border = np.ones((height, width), bool)
    border[ring:-ring, ring:-ring] = False
    samples = lab[border]
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 8, 1.0)
    cv2.setRNGSeed(0)  # both k-means and GrabCut draw from it
    clusters = min(6, len(samples))
    no_labels = np.empty(0, np.int32)
    _, _, centres = cv2.kmeans(samples, clusters, no_labels, criteria, 1, cv2.KMEANS_PP_CENTERS)
    distance = np.min([np.linalg.norm(lab - centre, axis=2) for centre in centres], axis=0)
    # An object is more likely in the middle: a weak prior for what the colours leave open.
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    score = distance * (1.2 - 0.6 * np.maximum(np.abs(x), np.abs(y)))
    level = np.median(score[~border]) if (~border).any() else 0.0
    labels = np.where(score > level, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[border & (distance < np.percentile(distance[border], 80))] = cv2.GC_BGD
    if not (labels == cv2.GC_PR_FGD).any():
        return np.zeros((height, width), np.uint8)
    models = np.zeros((2, 1, 65))
    cv2.grabCut(small, labels, None, models[0], models[1], 4, cv2.GC_INIT_WITH_MASK)
    return np.where((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD), 255, 0).astype(np.uint8)


def _refine(alpha: Bytes, picture: Bytes) -> Bytes:
    """Enlarge a mask so that its outline follows the edges of the picture (guided filter).

    Source: He, Sun and Tang, "Guided Image Filtering", equations 5, 6 and 8, with a grey guide.
    """
    height, width = picture.shape[:2]
    radius = 2 * round(max(height / alpha.shape[0], width / alpha.shape[1])) + 1
    window = (2 * radius + 1, 2 * radius + 1)

    def mean(values: NDArray[np.floating]) -> Floats:
        return np.asarray(cv2.blur(values, window), np.float32)

    guide = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.float32) / 255
    target = _resized(alpha, width, height).astype(np.float32) / 255
    mean_guide, mean_target = mean(guide), mean(target)
    covariance = mean(guide * target) - mean_guide * mean_target
    slope = covariance / (mean(guide * guide) - mean_guide**2 + 1e-3)
    refined = mean(slope) * guide + mean(mean_target - slope * mean_guide)
    # The filter leaves a veil on textured parts; stretch it away.
    return np.asarray(np.clip((refined - 0.2) / 0.6, 0, 1) * 255 + 0.5, np.uint8)


def _without_specks(alpha: Bytes) -> Bytes:
    """Drop parts below 1 % of the largest one's area."""
    solid = (alpha >= 64).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(solid, connectivity=8)
    if count <= 2:
        return alpha
    areas = stats[1:, cv2.CC_STAT_AREA]
    keep = np.concatenate([[False], areas >= max(4, areas.max() // 100)]).astype(np.uint8)
    # One pixel wider, so that the soft edge of what stays stays too.
    kept = cv2.dilate(keep[labels], np.ones((3, 3), np.uint8))
    return alpha * np.asarray(kept, np.uint8)


def crop_foreground(rgba: Bytes, alpha: Bytes, size: int, fill: float = 0.9) -> Floats:
    """The square crop that a network sees.

    Args:
        rgba: [H, W, 4] sRGB; its own alpha is not looked at.
        alpha: [H, W], 255 is object.
        size: S, side of the crop in pixels.
        fill: part of the crop that the longer side of the object takes.

    Returns:
        [4, S, S] in 0..1, straight alpha, the object's box in the middle. Averaged over areas
        with premultiplied colours, so that no background bleeds in; smooth where the picture has
        fewer pixels than the crop. What lies outside of the picture is transparent.

    Raises:
        NoForegroundError: `alpha` is zero everywhere.
    """
    peak = int(alpha.max())
    solid = alpha >= max(1, min(128, peak // 2))
    rows, cols = np.flatnonzero(solid.any(axis=1)), np.flatnonzero(solid.any(axis=0))
    if peak == 0 or len(rows) == 0:
        raise NoForegroundError(f"no object was found in the picture; {HINT}")
    top, bottom, left, right = rows[0], rows[-1] + 1, cols[0], cols[-1] + 1
    side = max(bottom - top, right - left) / fill
    y, x = (top + bottom - side) / 2, (left + right - side) / 2
    block = max(1, int(side / (2 * size)))
    y_0, x_0 = (max(0, int(np.floor(v))) for v in (y, x))
    y_1, x_1 = (min(n, int(np.ceil(v + side))) for n, v in zip(alpha.shape, (y, x), strict=True))
    reduced = _premultiplied_blocks(rgba[y_0:y_1, x_0:x_1], alpha[y_0:y_1, x_0:x_1], block)
    along_y = _resampling((y_1 - y_0) / block, (y - y_0) / block, side / block, size)
    along_x = _resampling((x_1 - x_0) / block, (x - x_0) / block, side / block, size)
    out = np.einsum("ij,jkc->ikc", along_y, reduced, optimize=True)
    out = np.einsum("lk,ikc->cil", along_x, out, optimize=True)
    coverage = out[3:]
    color = np.where(coverage > 1e-4, out[:3] / np.maximum(coverage, 1e-4), 0)
    return np.ascontiguousarray(np.clip(np.concatenate([color, coverage]), 0, 1), np.float32)


def _premultiplied_blocks(rgba: Bytes, alpha: Bytes, block: int) -> Floats:
    """[H, W] pixels to [ceil(H / block), ceil(W / block), 4] premultiplied means in 0..1.

    The mean of a block that reaches over the edge is of the pixels that are there. Row by row of
    blocks, so that a large picture is never held as floats.
    """
    height, width = alpha.shape
    rows, cols = -(-height // block), -(-width // block)
    out = np.zeros((rows, cols, 4), np.float32)
    padded = np.zeros((block, cols * block, 4), np.float32)
    for row in range(rows):
        band = slice(row * block, min(height, (row + 1) * block))
        taken = band.stop - band.start
        coverage = alpha[band, :, None].astype(np.float32) / 255
        padded[taken:] = 0
        padded[:taken, :width, 3:] = coverage
        padded[:taken, :width, :3] = rgba[band, :, :3] * (coverage / 255)
        out[row] = padded.reshape(block, cols, block, 4).sum(axis=(0, 2)) / (taken * block)
    out[:, -1] *= block / (width - (cols - 1) * block)
    return out


def _resampling(extent: float, start: float, span: float, size: int) -> Floats:
    """Weights [size, ceil(extent)]: sample [start, start + span) with `size` pixels.

    Shrinking: how much of each pixel an output pixel covers; the last one may be cut by `extent`.
    Enlarging: linear between centres. What is outside of 0..extent is missing, so its weight is
    lost and the sum is below 1.
    """
    step = span / size
    pixels = np.arange(int(np.ceil(extent)))
    if step >= 1:
        low = start + step * np.arange(size)[:, None]
        ends = np.minimum(pixels + 1, extent)
        covered = np.minimum(low + step, ends) - np.maximum(low, pixels)
        return np.asarray(np.maximum(covered, 0) / step, np.float32)
    centres = start + step * (np.arange(size)[:, None] + 0.5)
    return np.asarray(np.maximum(1 - np.abs(centres - (pixels + 0.5)), 0), np.float32)
