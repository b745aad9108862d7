"""A picture of generated buildings: `python -m training.buildings.sheet OUT.png`."""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from training.buildings.generate import random_building
from training.buildings.stream import ELEVATION
from training.camera import frame_window, random_camera
from training.contact_sheet import flatten
from training.render import Scene, random_light, render_picture

_CELL, _COLUMNS = 200, 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    cells = []
    for _ in range(args.count):
        mesh = random_building(rng)
        camera, framed = random_camera(rng, mesh.vertices, ELEVATION, span=(0.85, 0.9))
        scene, light = Scene(framed, mesh.faces), random_light(rng, camera)
        window = frame_window(camera)
        cells.append(flatten(render_picture(scene, mesh.face_colors, camera, window, light, _CELL)))
    cells += [np.full_like(cells[0], 255)] * (-len(cells) % _COLUMNS)
    rows = [np.hstack(cells[k : k + _COLUMNS]) for k in range(0, len(cells), _COLUMNS)]
    Image.fromarray(np.vstack(rows)).save(args.out)


if __name__ == "__main__":
    main()
