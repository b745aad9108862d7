"""The README's picture: each example, the cloud as seen in the picture, and the mesh turned.

`python -m training.results_picture docs/images/results.png`
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from geometry.preview import render_mesh, render_points
from geometry.surface import reconstruct_surface
from models.catalog import DEFAULT_MODEL
from models.images import decode
from training.contact_sheet import flatten
from training.predictors import served_model

_CELL, _COLUMNS = 240, 2
_MAX_PIXELS = 25_000_000


def strip(path: Path, num_points: int) -> NDArray[np.uint8]:
    """[240, 960, 3]: picture, cloud from the front, mesh from two sides."""
    rgba = decode(path.read_bytes(), _MAX_PIXELS)
    result = served_model(DEFAULT_MODEL, num_points).reconstruct(rgba)
    cloud = result.points
    mesh = reconstruct_surface(result.surface or cloud)
    shown = Image.fromarray(rgba).resize((_CELL, _CELL), Image.Resampling.LANCZOS)
    cells = [
        np.asarray(shown),
        render_points(cloud, _CELL, azimuth=0, elevation=15),
        render_mesh(mesh, _CELL, azimuth=35, elevation=15),
        render_mesh(mesh, _CELL, azimuth=140, elevation=15),
    ]
    return np.hstack([flatten(cell) for cell in cells])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--examples", type=Path, default=Path("examples"))
    parser.add_argument("--num-points", type=int, default=8192)
    args = parser.parse_args()
    kinds = {".png", ".jpg", ".webp"}
    pictures = sorted(path for path in args.examples.iterdir() if path.suffix in kinds)
    strips = [strip(path, args.num_points) for path in pictures]
    rows = [np.hstack(strips[k : k + _COLUMNS]) for k in range(0, len(strips), _COLUMNS)]
    Image.fromarray(np.vstack(rows)).quantize(255).save(args.out, optimize=True)


if __name__ == "__main__":
    main()
