"""Procedural backgrounds and the damage that pictures take on their way to a model."""

import cv2
import numpy as np
from numpy.typing import NDArray

KINDS = ("plain", "gradient", "noise", "blobs")


def random_background(
    rng: np.random.Generator, size: int, kind: str | None = None
) -> NDArray[np.float32]:
    """A background [size, size, 3] in 0..255 (sRGB); `kind` is one of KINDS, drawn if None."""
    kind = kind or KINDS[rng.integers(len(KINDS))]
    if kind == "plain":
        return np.broadcast_to(_tone(rng), (size, size, 3)).astype(np.float32)
    if kind == "gradient":
        return _upsample(
            np.stack([_tone(rng) for _ in range(4)]).reshape(2, 2, 3), size, linear=True
        )
    if kind == "noise":
        spread = rng.normal(0, rng.uniform(3, 25), (size, size, 1))
        return np.clip(_tone(rng) + spread, 0, 255).astype(np.float32)
    return _blobs(rng, size)


def _tone(rng: np.random.Generator) -> NDArray[np.float32]:
    """One colour [3]: near white in a third of the draws, else any, with greys favoured."""
    if rng.random() < 0.33:
        return rng.uniform(225, 255, 3).astype(np.float32)
    grey = rng.uniform(0, 255)
    return np.clip(grey + rng.normal(0, rng.choice([6, 45]), 3), 0, 255).astype(np.float32)


def _upsample(
    cells: NDArray[np.float32], size: int, *, linear: bool = False
) -> NDArray[np.float32]:
    """Stretch [h, w, 3] over the picture, its border cells cut in half."""
    how = cv2.INTER_LINEAR if linear else cv2.INTER_CUBIC
    wide = np.asarray(cv2.resize(cells.astype(np.float32), (2 * size, 2 * size), interpolation=how))
    start = size // 2
    inner: NDArray[np.float32] = wide[start : start + size, start : start + size].clip(0, 255)
    return inner


def _blobs(rng: np.random.Generator, size: int) -> NDArray[np.float32]:
    """Soft patches in three octaves over a ground line, a few hard shapes, slight grain."""
    base = _tone(rng)
    picture = np.zeros((size, size, 3), np.float32) + base
    for cells, strength in ((3, 45), (7, 26), (17, 13)):
        patch = rng.normal(0, strength, (cells, cells, 3)).astype(np.float32)
        patch = 0.3 * patch + 1.2 * patch.mean(axis=2, keepdims=True)  # muted, like most rooms
        picture += np.asarray(cv2.resize(patch, (size, size), interpolation=cv2.INTER_CUBIC))
    if rng.random() < 0.5:
        ground = int(size * rng.uniform(0.4, 0.9))
        picture[ground:] = 0.4 * picture[ground:] + 0.6 * _tone(rng)
    for _ in range(rng.integers(0, 4)):
        color = [float(c) for c in _tone(rng)]
        x, y, w, h = (int(value * size) for value in rng.uniform(0, 1, 4))
        if rng.random() < 0.5:
            cv2.rectangle(picture, (x, y), (x + w // 2, y + h // 2), color, -1)
        else:
            cv2.ellipse(picture, (x, y), (w // 3 + 1, h // 3 + 1), 0, 0, 360, color, -1)
    sigma = rng.uniform(0.5, size / 40)
    picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma))
    picture += rng.normal(0, rng.uniform(0, 6), (size, size, 1))
    clipped: NDArray[np.float32] = picture.clip(0, 255)
    return clipped


def composite(
    rgba: NDArray[np.uint8], background: NDArray[np.float32], *, soft: bool
) -> NDArray[np.float32]:
    """Lay a straight-alpha picture [S, S, 4] over a background [S, S, 3]: [S, S, 3] in 0..255.

    `soft` mixes the background into the edge pixels; otherwise they keep the object's colour.
    """
    alpha = rgba[..., 3:].astype(np.float32) / 255
    weight = alpha if soft else (alpha > 0).astype(np.float32)
    return np.asarray(rgba[..., :3] * weight + background * (1 - weight), np.float32)


def damage_colors(rgb: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Exposure, contrast, white balance, and sometimes blur and JPEG: [S, S, 3] in 0..255 to
    bytes."""
    contrast, exposure = rng.uniform(0.85, 1.15), rng.uniform(0.85, 1.15)
    gain = np.full(3, exposure, np.float32)
    if rng.random() < 0.4:  # a wrong white balance: warm or cold, a little green or magenta
        warm, green = rng.normal(0, 0.08), rng.normal(0, 0.025)
        gain *= np.exp([warm, green, -warm]).astype(np.float32)
    rgb = ((rgb - 128) * np.float32(contrast) + 128) * gain
    if rng.random() < 0.2:
        rgb = np.asarray(cv2.GaussianBlur(rgb, (0, 0), rng.uniform(0.4, 1.1)))
    picture = np.clip(rgb, 0, 255).astype(np.uint8)
    if rng.random() < 0.2:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(40, 96))]
        _, data = cv2.imencode(".jpg", picture[..., ::-1], quality)
        picture = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)[..., ::-1]
    return picture


def damage_alpha(alpha: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """An alpha [S, S] as an imperfect mask would give it, in a third of the draws."""
    kind = rng.random()
    kernel = np.ones((3, 3), np.uint8)
    if kind < 0.1:
        eroded = np.asarray(cv2.erode(alpha, kernel), np.uint8)
        thin = 2 * np.count_nonzero(eroded > 127) < np.count_nonzero(alpha > 127)
        return alpha if thin else eroded
    if kind < 0.2:
        return np.asarray(cv2.dilate(alpha, kernel), np.uint8)
    if kind < 0.27:
        return np.asarray(cv2.GaussianBlur(alpha, (0, 0), rng.uniform(0.5, 1.2)), np.uint8)
    if kind < 0.34:
        return np.where(alpha > 127, 255, 0).astype(np.uint8)
    return alpha
