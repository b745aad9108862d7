"""Drawn pictures with a known outline, for the foreground tests."""

import io
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
SAMPLES = 4  # per pixel and axis


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    rgba: Bytes  # [H, W, 4]
    truth: Floats  # [H, W] coverage, 0..1

    def iou(self, alpha: Bytes) -> float:
        ours, true = alpha >= 128, self.truth >= 0.5
        return float((ours & true).sum() / max(1, (ours | true).sum()))


@cache
def coverage(shape: str, size: int = 512) -> Floats:
    """[size, size] coverage of a shape, antialiased."""
    S = size * SAMPLES
    image = Image.new("L", (S, S))
    draw = ImageDraw.Draw(image)

    def box(*values: float) -> tuple[float, ...]:
        return tuple(value * S for value in values)

    match shape:
        case "disc":
            draw.ellipse(box(0.2, 0.25, 0.7, 0.75), fill=255)
        case "ring":
            draw.ellipse(box(0.2, 0.2, 0.8, 0.8), fill=255)
            draw.ellipse(box(0.36, 0.36, 0.64, 0.64), fill=0)
        case "chair":
            draw.rectangle(box(0.3, 0.15, 0.7, 0.5), fill=255)
            draw.rectangle(box(0.28, 0.5, 0.72, 0.56), fill=255)
            for left in (0.29, 0.42, 0.56, 0.69):
                draw.rectangle(box(left, 0.56, left + 0.015, 0.85), fill=255)
        case "cut off":
            draw.ellipse(box(0.25, 0.4, 0.75, 1.2), fill=255)
        case "two":
            draw.ellipse(box(0.1, 0.3, 0.4, 0.6), fill=255)
            draw.rectangle(box(0.6, 0.4, 0.85, 0.8), fill=255)
        case "star":
            turns = np.arange(10) * np.pi / 5
            reach = np.where(np.arange(10) % 2, 0.14, 0.4)
            points = np.stack([0.5 + reach * np.sin(turns), 0.5 - reach * np.cos(turns)], 1) * S
            draw.polygon([tuple(point) for point in points], fill=255)
        case _:
            raise ValueError(shape)
    samples = np.asarray(image, np.float32).reshape(size, SAMPLES, size, SAMPLES)
    return np.asarray(samples.mean(axis=(1, 3)) / 255, np.float32)


def background(kind: str, size: int = 512, seed: int = 0) -> Floats:
    """[size, size, 3] sRGB 0..255."""
    y, x = np.mgrid[0 : 1 : size * 1j, 0 : 1 : size * 1j][..., None]
    rng = np.random.default_rng(seed)
    match kind:
        case "plain":
            out = np.full((size, size, 3), (200.0, 205, 210))
        case "white":
            out = np.full((size, size, 3), 255.0)
        case "linear":
            out = (1 - y) * (210, 220, 235) + y * (120, 125, 140)
        case "radial":
            reach = np.hypot(x - 0.5, y - 0.45)
            out = (165.0, 160, 155) + 70 * np.exp(-((reach / 0.45) ** 2)) * np.ones(3)
        case "backdrop":  # a studio: wall, and a floor that begins softly
            floor = 1 / (1 + np.exp(-(y - 0.65) * 18))
            out = (215.0, 215, 220) - floor * (60, 65, 75)
        case "blobs":  # many colours: no smooth model fits
            coarse = rng.normal((90, 140, 110), 35, (7, 7, 3)).clip(0, 255).astype(np.uint8)
            return np.asarray(Image.fromarray(coarse).resize((size, size), 3), np.float32)
        case _:
            raise ValueError(kind)
    return np.asarray(np.broadcast_to(out, (size, size, 3)), np.float32)


def compose(
    shape: str,
    backdrop: str = "plain",
    color: tuple[int, int, int] = (180, 60, 40),
    *,
    noise: float = 0,
    jpeg: int = 0,
    shading: float = 0.35,
    size: int = 512,
) -> Picture:
    """A shape, shaded from the upper left, in front of a backdrop."""
    rng = np.random.default_rng(1)
    truth = coverage(shape, size)
    y, x = np.mgrid[0 : 1 : size * 1j, 0 : 1 : size * 1j][..., None]
    lit = np.asarray(color) * (1 + shading * (0.5 - (x + y) / 2))
    mixed = truth[..., None] * lit + (1 - truth[..., None]) * background(backdrop, size)
    mixed = mixed + rng.normal(0, noise, mixed.shape) if noise else mixed
    rgb = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)
    if jpeg:
        data = io.BytesIO()
        Image.fromarray(rgb).save(data, "JPEG", quality=jpeg)
        rgb = np.asarray(Image.open(io.BytesIO(data.getvalue())), np.uint8)
    return Picture(np.dstack([rgb, np.full((size, size), 255, np.uint8)]), truth)
