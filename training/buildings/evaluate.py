"""A model on buildings that nothing was trained on: `python -m training.buildings.evaluate`.

Each building has one aerial picture, by the protocol's bounds but for the elevation. Writes
`benchmarks/results/evaluation-MODEL-buildings.json` with the rows `raw` and `st`, beside those of
the best sphere, and with `--sheet` a contact sheet.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from geometry.point_cloud import PointCloud
from models.catalog import ParameterValue, get_card
from models.errors import ModelError
from training.baselines import best_sphere_radius, sphere
from training.buildings.generate import BUILDING_SOURCE, random_building
from training.buildings.stream import ELEVATION
from training.camera import DegenerateMeshError, frame_vertices
from training.contact_sheet import Strip, write_contact_sheet
from training.dataset import ValidationPicture, validation_picture
from training.metrics import Cloud
from training.predictors import (
    Predictor,
    on_track,
    sampling_params,
    served_model,
    weights_hashes,
)
from training.render import Scene
from training.reports import commit, hardware, overall_table, to_table, write
from training.scoring import PICTURE_SIZE, TRUTH_POINTS, predict, score
from training.summary import Scored, summarise
from training.surface import sample_surface

HELD_OUT_SEED = 1_000_003  # no seed of `training.buildings.write`
_SPHERE_BUILDINGS, _SPHERE_POINTS = 100, 512


def held_out(
    count: int, size: int = PICTURE_SIZE, n_points: int = TRUTH_POINTS
) -> Iterator[ValidationPicture]:
    """The pictures of `count` buildings, each fixed by its number."""
    number = found = 0
    while found < count:
        rng = np.random.default_rng([HELD_OUT_SEED, number])
        number += 1
        mesh = random_building(rng)
        name = f"{BUILDING_SOURCE}/{mesh.category}-{number:03d}.glb"
        mesh = replace(mesh, path=name, category="building")
        try:
            yield validation_picture(mesh, number, rng, size, n_points, ELEVATION)
        except DegenerateMeshError:
            continue
        found += 1


def best_sphere(num_points: int) -> PointCloud:
    """The sphere nearest to random buildings, none of them held out."""
    rng = np.random.default_rng(0)
    clouds = []
    for _ in range(_SPHERE_BUILDINGS):
        mesh = random_building(rng)
        scene = Scene(frame_vertices(mesh.vertices, 0.0), mesh.faces)
        clouds.append(sample_surface(scene, _SPHERE_POINTS, rng).points)
    return sphere(best_sphere_radius(clouds), num_points)


def scored(
    predictors: dict[str, Predictor], pictures: Iterator[ValidationPicture], ball: PointCloud
) -> tuple[dict[str, list[Scored]], list[Strip]]:
    """The scores of every picture by predictor, and what a sheet shows of the first one."""
    items: dict[str, list[Scored]] = {name: [] for name in predictors}
    strips = []
    first = next(iter(predictors))
    for picture in pictures:
        truth = Cloud(picture.points)
        for name, predictor in predictors.items():
            cloud, refused, seconds = predict(predictor, picture, ball)
            rows = score(cloud, picture, ("raw", "st"), truth)
            items[name].append(Scored(picture.path, 0, picture.category, rows, refused, seconds))
            if name == first:
                strips.append(Strip(picture, cloud, rows["st"]["f@0.02"]))
    return items, strips


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?", default="buildiff-mini")
    parser.add_argument("--objects", type=int, default=24)
    parser.add_argument("--num-points", type=int, default=4096)
    parser.add_argument("--seed", type=int, default=0, help="of the model")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--sampler")
    parser.add_argument("--guidance-scale", type=float)
    parser.add_argument("--candidates", type=int)
    parser.add_argument("--weights", type=Path, help="safetensors file instead of the card's own")
    parser.add_argument("--sheet", type=Path, help="PNG of pictures, predictions and truths")
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"))
    return parser.parse_args()


def report(args: argparse.Namespace) -> tuple[dict[str, Any], list[Strip]]:
    """Raises ModelError."""
    code = commit()  # now: others may commit during a long run
    names = ("steps", "sampler", "guidance_scale", "candidates")
    given: dict[str, ParameterValue] = {
        name: getattr(args, name) for name in names if getattr(args, name) is not None
    }
    given["seed"] = args.seed
    params = sampling_params(get_card(args.model), {"num_points": args.num_points, **given})
    model = served_model(args.model, args.num_points, given, args.weights)
    ball = best_sphere(args.num_points)
    predictors: dict[str, Predictor] = {
        f"{args.model}, track A": on_track(model, "A"),
        f"{args.model}, track B": on_track(model, "B"),
        "sphere": lambda _: ball,
    }
    items, strips = scored(predictors, held_out(args.objects), ball)
    found = {
        "model": args.model,
        "weights": weights_hashes(args.model, args.weights),
        "steps": params.steps,
        "candidates": params.candidates,
        "sampler": params.sampler,
        "guidance_scale": params.guidance_scale,
        "commit": code,
        "seed": args.seed,
        "held_out_seed": HELD_OUT_SEED,
        "num_points": args.num_points,
        "hardware": hardware(),
        "results": {name: summarise(scores) for name, scores in items.items()},
        "pictures": {name: to_table(scores) for name, scores in items.items()},
    }
    return found, strips


def main() -> None:
    args = parse()
    try:
        found, strips = report(args)
    except ModelError as error:
        raise SystemExit(f"error: {error}") from error
    write(found, args.results / f"evaluation-{args.model}-buildings.json")
    print(overall_table(found["results"]))
    if args.sheet:
        write_contact_sheet(strips, args.sheet)


if __name__ == "__main__":
    main()
