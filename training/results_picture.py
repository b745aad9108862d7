"""The README's picture: the examples, and under each the cloud and the mesh made of it.

`python -m training.results_picture docs/images/results.webp`
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from geometry.preview import render_mesh, render_points
from geometry.surface import reconstruct_surface
from models.catalog import DEFAULT_MODEL
from models.images import decode
from training.predictors import served_model

_CELL, _GAP, _MARGIN, _ROUND = 300, 16, 28, 18  # pixels
_PAPER = (243, 239, 233)  # of its own, so that it looks the same on light and dark pages
_ELEVATION = 14  # degrees
_CLOUD_AZIMUTH, _MESH_AZIMUTH = 0, 35  # from the camera of the picture; to its right
_MAX_PIXELS = 25_000_000


def column(path: Path, num_points: int) -> Image.Image:
    """Picture, cloud from the camera of the picture, and mesh from its right, transparent."""
    rgba = decode(path.read_bytes(), _MAX_PIXELS)
    result = served_model(DEFAULT_MODEL, num_points).reconstruct(rgba)
    mesh = reconstruct_surface(result.surface or result.points)
    cells = [
        _rounded(rgba),
        render_points(result.points, _CELL, _CLOUD_AZIMUTH, _ELEVATION),
        render_mesh(mesh, _CELL, _MESH_AZIMUTH, _ELEVATION),
    ]
    whole = Image.new("RGBA", (_CELL, len(cells) * (_CELL + _GAP) - _GAP))
    for number, cell in enumerate(cells):
        whole.paste(Image.fromarray(cell), (0, number * (_CELL + _GAP)))
    return whole


def _rounded(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture on white, if it is transparent, as a cell with rounded corners."""
    shown = Image.fromarray(rgba).resize((_CELL, _CELL), Image.Resampling.LANCZOS)
    card = Image.new("RGBA", shown.size, "white")
    card.alpha_composite(shown)
    corners = Image.new("L", (4 * _CELL, 4 * _CELL))
    ImageDraw.Draw(corners).rounded_rectangle((0, 0, *corners.size), 4 * _ROUND, fill=255)
    card.putalpha(corners.resize(shown.size, Image.Resampling.BOX))
    return np.asarray(card)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--examples", type=Path, default=Path("examples"))
    parser.add_argument("--num-points", type=int, default=4096)
    args = parser.parse_args()
    kinds = {".png", ".jpg", ".webp"}
    pictures = sorted(path for path in args.examples.iterdir() if path.suffix in kinds)
    columns = [column(path, args.num_points) for path in pictures]
    width = 2 * _MARGIN + len(columns) * (_CELL + _GAP) - _GAP
    sheet = Image.new("RGBA", (width, 2 * _MARGIN + columns[0].height), _PAPER)
    for number, drawn in enumerate(columns):
        sheet.alpha_composite(drawn, (_MARGIN + number * (_CELL + _GAP), _MARGIN))
    sheet.convert("RGB").save(args.out, quality=90, method=6)


if __name__ == "__main__":
    main()
