"""The pictures of protocol B1, and a prediction's scores on one of them."""

import time
from collections.abc import Iterator, Sequence

import numpy as np

from geometry.point_cloud import PointCloud
from training.alignment import ROWS, Row, alignments
from training.camera import DegenerateMeshError
from training.dataset import ValidationPicture, validation_picture
from training.meshes import MeshPack, Split
from training.metrics import THRESHOLDS, Cloud, color_difference, normal_consistency, pair, scores
from training.predictors import REFUSALS, Predictor
from training.summary import RowValues

PICTURES_PER_OBJECT = 2
PICTURE_SIZE, TRUTH_POINTS = 512, 16_384


def chosen_objects(pack: MeshPack, parts: Split, objects: int, seed: int) -> list[int]:
    """The first `objects` validation objects of a shuffle that `seed` fixes."""
    tier_a = [k for k in parts.val if pack.tiers[int(k)] == "A"]
    return [int(k) for k in np.random.default_rng(seed).permutation(tier_a)[:objects]]


def draw_picture(pack: MeshPack, k: int, number: int, seed: int) -> ValidationPicture | None:
    """Picture `number` of object `k`; None where the mesh gives none."""
    rng = np.random.default_rng([seed, k, number])
    try:
        return validation_picture(pack.mesh(k), k, rng, PICTURE_SIZE, TRUTH_POINTS)
    except DegenerateMeshError:
        return None


def pictures(
    pack: MeshPack, parts: Split, objects: int, seed: int, each: int = PICTURES_PER_OBJECT
) -> Iterator[ValidationPicture]:
    """The first `each` pictures of the chosen objects; fewer of meshes that do not give them."""
    for k in chosen_objects(pack, parts, objects, seed):
        for number in range(each):
            picture = draw_picture(pack, k, number, seed)
            if picture is not None:
                yield picture


def predict(
    predictor: Predictor, picture: ValidationPicture, fallback: PointCloud
) -> tuple[PointCloud, bool, float]:
    """The prediction (or the fallback), whether it was refused, and its seconds."""
    started = time.perf_counter()
    try:
        return predictor(picture), False, time.perf_counter() - started
    except REFUSALS:
        return fallback, True, time.perf_counter() - started


def score(
    prediction: PointCloud,
    picture: ValidationPicture,
    rows: Sequence[Row] = ROWS,
    truth: Cloud | None = None,
) -> dict[str, RowValues]:
    """The asked alignment rows of the protocol, each with all metrics.

    `truth` is the cloud of `picture.points` where it is at hand already.
    """
    predicted = Cloud(prediction.positions)
    truth = Cloud(picture.points) if truth is None else truth
    found: dict[str, RowValues] = {}
    for name, by in alignments(predicted, truth, rows).items():
        pairs = pair(predicted, truth, by)
        result = scores(pairs)
        row = {"cd": result.cd, "cd2": result.cd2}
        row |= {f"f@{t}": result.f[t] for t in THRESHOLDS}
        if prediction.colors is not None:
            row["colour"] = color_difference(pairs, prediction.colors, picture.colors)
        if prediction.normals is not None:
            row["normals"] = normal_consistency(pairs, prediction.normals, picture.normals)
        found[name] = row
    return found
