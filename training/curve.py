"""Quality against steps and seconds: `python -m training.curve MODEL --steps 1,2,4,8,16,32`.

Every sampler with every number of steps on the same pictures (track A, `st` row). Writes
`benchmarks/results/curve-MODEL.json` after each point of the curve, and a table to standard output.
"""

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from geometry.point_cloud import PointCloud
from models.catalog import ModelCard, ParameterValue, get_card
from models.contract import SamplingParams
from models.errors import ModelError
from training.baselines import fallback_sphere
from training.cache import content_key
from training.dataset import ValidationPicture
from training.meshes import MeshPack, split
from training.metrics import Cloud
from training.predictors import (
    Predictor,
    ServedModel,
    on_track,
    sampling_params,
    served_model,
    weights_hashes,
)
from training.reports import commit, hardware, peak_memory_bytes, write
from training.scoring import PICTURES_PER_OBJECT, pictures, predict, score

METRICS = ("f@0.01", "f@0.02", "f@0.05", "cd")


@dataclass(frozen=True, slots=True)
class Point:
    """One sampler at one number of steps: means over pictures (`st`), median seconds of one."""

    sampler: str
    steps: int
    means: dict[str, float]
    seconds: float
    refused: int


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture and the cloud of its truth, which all points of a curve share."""

    picture: ValidationPicture
    truth: Cloud


def measure(
    predictors: Iterable[tuple[SamplingParams, Predictor]],
    shown: list[Shown],
    fallback: PointCloud,
) -> Iterator[Point]:
    """A point of the curve for each predictor, as soon as it is known.

    The first picture is predicted once more beforehand, so that no point pays for warming up.
    """
    for params, predictor in predictors:
        predict(predictor, shown[0].picture, fallback)
        values: list[list[float]] = []
        seconds, refusals = [], 0
        for item in shown:
            cloud, refused, took = predict(predictor, item.picture, fallback)
            row = score(cloud, item.picture, ("st",), item.truth)["st"]
            values.append([row[metric] for metric in METRICS])
            seconds.append(took)
            refusals += refused
        columns = np.mean(values, axis=0)
        means = {name: round(float(v), 5) for name, v in zip(METRICS, columns, strict=True)}
        median = round(float(np.median(seconds)), 4)
        yield Point(params.sampler, params.steps, means, median, refusals)


def settings(card: ModelCard, args: argparse.Namespace) -> list[SamplingParams]:
    """All samplers with all numbers of steps.

    Raises ParameterError: the card has no `steps` or no `sampler`, or refuses a value.
    """
    shared: dict[str, ParameterValue] = {"num_points": args.num_points, "seed": args.seed}
    if args.guidance_scale is not None:
        shared["guidance_scale"] = args.guidance_scale
    return [
        sampling_params(card, {**shared, "sampler": sampler, "steps": steps})
        for sampler in args.samplers
        for steps in args.steps
    ]


def markdown(points: list[Point]) -> str:
    lines = ["| sampler | steps | F@0.02 | F@0.05 | CD | seconds |", "|---" * 6 + "|"]
    lines += [
        f"| {point.sampler} | {point.steps} | {point.means['f@0.02']:.3f} "
        f"| {point.means['f@0.05']:.3f} | {point.means['cd']:.4f} | {point.seconds:.2f} |"
        for point in points
    ]
    return "\n".join(lines)


def parse(argv: Iterable[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("--steps", type=_integers, default=[1, 2, 4, 8, 16, 32])
    parser.add_argument("--samplers", type=_words, default=["euler", "heun", "dpmpp_2m"])
    parser.add_argument("--guidance-scale", type=float)
    parser.add_argument("--weights", type=Path, help="safetensors file instead of the card's own")
    parser.add_argument("--objects", type=int, default=30)
    parser.add_argument("--num-points", type=int, default=4096)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pack", type=Path, default=Path("../shared/data3d/train.npz.xz"))
    parser.add_argument("--manifest", type=Path, default=Path("../shared/data3d/manifest.csv"))
    parser.add_argument("--cache", type=Path, default=Path("runs"))
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"))
    return parser.parse_args(None if argv is None else list(argv))


def _integers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def _words(text: str) -> list[str]:
    return text.split(",")


def prepared(
    args: argparse.Namespace, each: int = PICTURES_PER_OBJECT
) -> tuple[list[Shown], PointCloud, dict[str, Any]]:
    """Pictures, `each` of an object, what a refusal is scored as, and what a report states."""
    pack = MeshPack.load(args.pack, args.manifest, args.cache)
    parts = split(pack)
    shown = [
        Shown(picture, Cloud(picture.points))
        for picture in pictures(pack, parts, args.objects, args.seed, each)
    ]
    ball = fallback_sphere(pack, parts.train, args.num_points, args.cache)
    stated: dict[str, Any] = {
        "model": args.model,
        "weights": weights_hashes(args.model, args.weights),
        "commit": commit(),
        "seed": args.seed,
        "pack": content_key(pack, parts.train),
        "num_points": args.num_points,
        "guidance_scale": args.guidance_scale,
        "objects": len({item.picture.path for item in shown}),
        "pictures": len(shown),
        "hardware": hardware(),
    }
    return shown, ball, stated


def run(args: argparse.Namespace) -> list[Point]:
    """Measure the curve and write its file after each point. Raises ParameterError."""
    params = settings(get_card(args.model), args)
    model = served_model(args.model, args.num_points, weights=args.weights).model
    shown, ball, stated = prepared(args)
    points: list[Point] = []
    for point in measure(
        ((item, on_track(ServedModel(model, item), "A")) for item in params), shown, ball
    ):
        points.append(point)
        report = {**stated, "peak_memory_bytes": peak_memory_bytes()}
        report["points"] = [asdict(found) for found in points]
        write(report, args.results / f"curve-{args.model}.json")
        print(markdown([point]).splitlines()[-1], flush=True)
    return points


def main() -> None:
    args = parse()
    try:
        points = run(args)
    except ModelError as error:
        raise SystemExit(f"error: {error}") from error
    print("\n" + markdown(points))


if __name__ == "__main__":
    main()
