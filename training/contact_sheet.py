"""A picture of many results: input, prediction from three sides, truth from two."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from geometry.point_cloud import PointCloud
from geometry.preview import render_points
from training.dataset import ValidationPicture

_CELL = 224
_BACKGROUND = 244


def write_contact_sheet(
    results: list[tuple[ValidationPicture, PointCloud]], path: Path, columns: int = 2
) -> None:
    """Write a PNG with one strip of six cells for each result, `columns` strips side by side."""
    strips = [_strip(picture, cloud) for picture, cloud in results]
    rows = [strips[k : k + columns] for k in range(0, len(strips), columns)]
    blank = np.full_like(strips[0], 255)
    sheet = np.vstack([np.hstack(row + [blank] * (columns - len(row))) for row in rows])
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).quantize(255).save(path, optimize=True)


def _strip(picture: ValidationPicture, cloud: PointCloud) -> NDArray[np.uint8]:
    truth = PointCloud(picture.points, picture.colors, picture.normals)
    shown = np.asarray(Image.fromarray(picture.rgba).resize((_CELL, _CELL), Image.Resampling.BOX))
    elevation = float(np.degrees(picture.camera.elevation))
    views = [(cloud, azimuth) for azimuth in (0, 60, 180)]
    views += [(truth, azimuth) for azimuth in (0, 60)]
    cells = [shown] + [
        render_points(shape, size=_CELL, azimuth=azimuth, elevation=elevation)
        for shape, azimuth in views
    ]
    return np.hstack([flatten(cell) for cell in cells])


def flatten(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture with straight alpha [H, W, 4] over light grey: [H, W, 3]."""
    alpha = rgba[..., 3:].astype(np.float32) / 255
    blended = rgba[..., :3] * alpha + _BACKGROUND * (1 - alpha)
    return np.rint(blended).astype(np.uint8)
