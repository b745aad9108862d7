"""A picture of many results: input, prediction from three sides, truth from the same three."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from geometry.point_cloud import PointCloud
from geometry.preview import render_points
from training.dataset import ValidationPicture

_CELL, _CAPTION, _HEADER, _GAP = 192, 20, 26, 16
_AZIMUTHS = (0, 60, 180)  # from the camera of the picture, to its right, from behind
_BACKGROUND, _INK = 244, 90
_MAX_POINTS = 8192  # of a truth: more look the same in a cell
_HEADINGS = ("picture", "prediction", "60° right", "behind", "truth", "60° right", "behind")


@dataclass(frozen=True, slots=True)
class Strip:
    """One result: the picture with its truth, the predicted cloud, and its F@0.02 (`st`)."""

    picture: ValidationPicture
    cloud: PointCloud
    f_score: float


def write_contact_sheet(strips: list[Strip], path: Path, columns: int = 2) -> None:
    """Write a PNG with one strip of seven cells for each result, `columns` strips side by side."""
    drawn = [_draw(strip) for strip in strips]
    columns = min(columns, len(drawn))
    rows = [drawn[k : k + columns] for k in range(0, len(drawn), columns)]
    blank = np.full_like(drawn[0], 255)
    body = [_side_by_side(row + [blank] * (columns - len(row))) for row in rows]
    sheet = np.vstack([_side_by_side([_header()] * columns), *body])
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).quantize(255).save(path, optimize=True)


def _side_by_side(cells: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    gap = np.full((cells[0].shape[0], _GAP, 3), 255, np.uint8)
    parts = [part for cell in cells for part in (gap, cell)]
    return np.hstack(parts[1:])


def _draw(strip: Strip) -> NDArray[np.uint8]:
    picture = strip.picture
    truth = PointCloud(
        picture.points[:_MAX_POINTS], picture.colors[:_MAX_POINTS], picture.normals[:_MAX_POINTS]
    )
    shown = np.asarray(Image.fromarray(picture.rgba).resize((_CELL, _CELL), Image.Resampling.BOX))
    elevation = float(np.degrees(picture.camera.elevation))
    cells = [shown] + [
        render_points(shape, size=_CELL, azimuth=azimuth, elevation=elevation)
        for shape in (strip.cloud, truth)
        for azimuth in _AZIMUTHS
    ]
    name = picture.path.rsplit("/", 1)[-1].rsplit("__", 1)[-1].removesuffix(".glb")
    caption = _text([f"{picture.category}: {name}   F@0.02 {strip.f_score:.2f}"], _CAPTION, 12)
    return np.vstack([np.hstack([flatten(cell) for cell in cells]), caption])


def _header() -> NDArray[np.uint8]:
    return _text(list(_HEADINGS), _HEADER, 14)


def _text(labels: list[str], height: int, size: int) -> NDArray[np.uint8]:
    """A bar as wide as a strip, each label at the left of its cell."""
    bar = Image.new("RGB", (len(_HEADINGS) * _CELL, height), (255, 255, 255))
    draw = ImageDraw.Draw(bar)
    for k, label in enumerate(labels):
        font = ImageFont.load_default(size)
        draw.text((k * _CELL + 6, 3), label, fill=(_INK, _INK, _INK), font=font)
    return np.asarray(bar)


def flatten(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture with straight alpha [H, W, 4] over light grey: [H, W, 3]."""
    alpha = rgba[..., 3:].astype(np.float32) / 255
    blended = rgba[..., :3] * alpha + _BACKGROUND * (1 - alpha)
    return np.rint(blended).astype(np.uint8)
