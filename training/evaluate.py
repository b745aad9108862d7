"""Protocol B1 on a split: `python -m training.evaluate draft --objects 150`.

Writes `benchmarks/results/evaluation-MODEL-SPLIT.json`, a table to standard output and, with
`--sheet`, a contact sheet. A picture that the model refuses counts as the sphere.
"""

import argparse
import json
import platform
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.point_cloud import PointCloud
from models.catalog import get_card
from models.errors import NoForegroundError
from training.camera import DegenerateMeshError
from training.contact_sheet import write_contact_sheet
from training.dataset import ValidationPicture, validation_picture
from training.meshes import MeshPack, Split, split
from training.metrics import (
    THRESHOLDS,
    Cloud,
    alignments,
    bootstrap_interval,
    color_difference,
    normal_consistency,
    overall_mean,
    scores,
)
from training.predictors import (
    Predictor,
    best_sphere_radius,
    medoid,
    served_model,
    sphere,
    training_clouds,
)

PICTURES_PER_OBJECT = 2
_MEDOID_OBJECTS = 1000

Row = dict[str, float]


@dataclass(frozen=True, slots=True)
class Scored:
    """All numbers of one picture: `rows[alignment][metric]`."""

    path: str
    category: str
    rows: dict[str, Row]
    refused: bool
    seconds: float


def score(prediction: PointCloud, picture: ValidationPicture) -> dict[str, Row]:
    """The three alignment rows of the protocol, each with all metrics."""
    predicted, truth = Cloud(prediction.positions), Cloud(picture.points)
    rows: dict[str, Row] = {}
    for name, by in alignments(predicted, truth).items():
        result = scores(predicted, truth, by)
        row = {"cd": result.cd, "cd2": result.cd2}
        row |= {f"f@{t}": result.f[t] for t in THRESHOLDS}
        if prediction.colors is not None:
            row["colour"] = color_difference(
                predicted, prediction.colors, truth, picture.colors, by
            )
        if prediction.normals is not None:
            row["normals"] = normal_consistency(
                predicted, prediction.normals, truth, picture.normals, by
            )
        rows[name] = row
    return rows


def pictures(pack: MeshPack, parts: Split, objects: int, seed: int) -> Iterator[ValidationPicture]:
    """Two pictures of each of the first `objects` tier-A validation objects in a fixed shuffle."""
    rng = np.random.default_rng(seed)
    chosen = rng.permutation([k for k in parts.val if pack.mesh(int(k)).tier == "A"])[:objects]
    for k in chosen:
        for number in range(PICTURES_PER_OBJECT):
            try:
                yield validation_picture(
                    pack.mesh(int(k)),
                    int(k),
                    np.random.default_rng([seed, int(k), number]),
                    512,
                    16_384,
                )
            except DegenerateMeshError:
                continue


def predict(
    predictor: Predictor, picture: NDArray[np.uint8], fallback: PointCloud
) -> tuple[PointCloud, bool, float]:
    """The prediction (or the fallback), whether it was refused, and its seconds."""
    started = time.perf_counter()
    try:
        return predictor(picture), False, time.perf_counter() - started
    except NoForegroundError:
        return fallback, True, time.perf_counter() - started


def summarise(items: list[Scored]) -> dict[str, Any]:
    """Means over objects (their pictures averaged first) with 95 % intervals, by category and
    overall (the mean over categories of at least five objects)."""
    by_object: dict[tuple[str, str], list[Scored]] = defaultdict(list)
    for item in items:
        by_object[item.category, item.path].append(item)
    categories = [category for category, _ in by_object]
    summary: dict[str, Any] = {
        "objects": len(by_object),
        "pictures": len(items),
        "refused": sum(item.refused for item in items),
        "seconds_median": float(np.median([item.seconds for item in items])),
    }
    for alignment, first in items[0].rows.items():
        summary[alignment] = {
            metric: _spread(
                [
                    float(np.mean([item.rows[alignment][metric] for item in group]))
                    for group in by_object.values()
                ],
                categories,
            )
            for metric in first
            if all(metric in item.rows[alignment] for item in items)
        }
    return summary


def _spread(values: list[float], categories: list[str]) -> dict[str, object]:
    """One number per object to the numbers of a table's cell."""
    groups: dict[str, list[float]] = defaultdict(list)
    for value, category in zip(values, categories, strict=True):
        groups[category].append(value)
    return {
        "overall": overall_mean(values, categories),
        "interval": bootstrap_interval(values, categories),
        "mean_of_objects": float(np.mean(values)),
        "categories": {name: float(np.mean(group)) for name, group in sorted(groups.items())},
    }


def as_rgba(picture: ValidationPicture, track: str) -> NDArray[np.uint8]:
    if track == "A":
        return picture.rgba
    opaque = np.full((*picture.opaque.shape[:2], 1), 255, np.uint8)
    return np.concatenate([picture.opaque, opaque], axis=-1)


def print_table(results: dict[str, dict[str, Any]]) -> None:
    """The headline row (`st`) of every predictor, as Markdown."""
    print("| | F@0.01 | F@0.02 | F@0.05 | CD | objects |")
    print("|---|---|---|---|---|---|")
    for name, summary in results.items():
        row = summary["st"]
        cells = [f"{row[key]['overall']:.4f}" for key in ("f@0.01", "f@0.02", "f@0.05", "cd")]
        print(f"| {name} | {' | '.join(cells)} | {summary['objects']} |")


def provenance(model_id: str, seed: int) -> dict[str, object]:
    """What every table must state."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return {
        "model": model_id,
        "weights": [file.sha256 for file in get_card(model_id).weights],
        "commit": commit.stdout.strip() or "unknown",
        "seed": seed,
        "hardware": f"{platform.machine()}, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
    }


def run(args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    pack = MeshPack.load(args.pack, args.manifest)
    parts = split(pack)
    clouds = training_clouds(pack, parts.train, _MEDOID_OBJECTS, args.seed)
    ball = sphere(best_sphere_radius(clouds), args.num_points)
    mean_shape = PointCloud(clouds[medoid(clouds)])
    model = served_model(args.model, args.num_points)
    predictors: dict[str, tuple[str, Predictor]] = {
        "sphere": ("A", lambda _: ball),
        "mean shape": ("A", lambda _: mean_shape),
        f"{args.model}, track A": ("A", model),
        f"{args.model}, track B": ("B", model),
    }
    items: dict[str, list[Scored]] = {name: [] for name in predictors}
    shown: list[tuple[ValidationPicture, PointCloud]] = []
    for picture in pictures(pack, parts, args.objects, args.seed):
        for name, (track, predictor) in predictors.items():
            cloud, refused, seconds = predict(predictor, as_rgba(picture, track), ball)
            rows = score(cloud, picture)
            items[name].append(Scored(picture.path, picture.category, rows, refused, seconds))
            if predictor is model and track == "A":
                shown.append((picture, cloud))
    if args.sheet:
        write_contact_sheet(shown[::PICTURES_PER_OBJECT][: args.sheet_rows], args.sheet)
    return {name: summarise(scored) for name, scored in items.items()}


def parse(argv: Iterable[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--split", choices=("val",), default="val")
    parser.add_argument("--objects", type=int, default=10_000, help="at most this many objects")
    parser.add_argument("--num-points", type=int, default=4096)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pack", type=Path, default=Path("../shared/data3d/train.npz.xz"))
    parser.add_argument("--manifest", type=Path, default=Path("../shared/data3d/manifest.csv"))
    parser.add_argument("--sheet", type=Path, help="PNG of pictures, predictions and truths")
    parser.add_argument("--sheet-rows", type=int, default=24)
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"))
    return parser.parse_args(None if argv is None else list(argv))


def main() -> None:
    args = parse()
    results = run(args)
    print_table(results)
    args.results.mkdir(parents=True, exist_ok=True)
    out = args.results / f"evaluation-{args.model}-{args.split}.json"
    report = {**provenance(args.model, args.seed), "results": results}
    out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
