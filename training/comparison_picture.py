"""The contact sheet of a comparison: a row for each picture, a column for each model."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from geometry.point_cloud import PointCloud
from geometry.preview import render_points
from training.baselines import fallback_sphere
from training.contact_sheet import flatten
from training.dataset import ValidationPicture
from training.meshes import MeshPack, split
from training.predictors import on_track, served_model
from training.scoring import pictures, predict

_CELL, _HEADER, _INK = 160, 24, 90
_AZIMUTH = 35  # to the right of the camera of the picture, so that depth shows
_MAX_POINTS = 8192  # of a truth: more look the same in a cell


def write_comparison(models: Mapping[str, str], args: argparse.Namespace) -> None:
    """Draw the first picture of each of `args.objects` validation objects with what `models`, by
    their headings, make of it, to `args.image`.

    Raises:
        WeightsError: a model's weights are missing or not the pinned ones.
    """
    pack = MeshPack.load(args.pack, args.manifest, args.cache)
    parts = split(pack)
    shown = list(pictures(pack, parts, args.objects, args.seed, each=1))
    ball = fallback_sphere(pack, parts.train, args.num_points, args.cache)
    columns = []
    for model in models.values():
        predictor = on_track(served_model(model, args.num_points), "A")
        columns.append([predict(predictor, picture, ball)[0] for picture in shown])
    draw(shown, dict(zip(models, columns, strict=True)), args.image)


def draw(
    shown: Sequence[ValidationPicture], columns: Mapping[str, Sequence[PointCloud]], path: Path
) -> None:
    """A PNG with the pictures, a column of clouds under each heading, and the truths."""
    rows = [_header(["picture", *columns, "truth"])]
    for number, picture in enumerate(shown):
        small = Image.fromarray(picture.rgba).resize((_CELL, _CELL), Image.Resampling.BOX)
        truth = PointCloud(
            picture.points[:_MAX_POINTS],
            picture.colors[:_MAX_POINTS],
            picture.normals[:_MAX_POINTS],
        )
        elevation = float(np.degrees(picture.camera.elevation))
        clouds = [*(column[number] for column in columns.values()), truth]
        cells = [np.asarray(small)]
        cells += [render_points(cloud, _CELL, _AZIMUTH, elevation) for cloud in clouds]
        rows.append(np.hstack([flatten(cell) for cell in cells]))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.vstack(rows)).quantize(255).save(path, optimize=True)


def _header(labels: Sequence[str]) -> NDArray[np.uint8]:
    bar = Image.new("RGB", (len(labels) * _CELL, _HEADER), (255, 255, 255))
    pen = ImageDraw.Draw(bar)
    font = ImageFont.load_default(13)
    for number, label in enumerate(labels):
        label = label.replace("²", "^2")  # the font has none
        pen.text((number * _CELL + 6, 4), label, fill=(_INK, _INK, _INK), font=font)
    return np.asarray(bar)
