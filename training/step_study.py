"""What fewer steps cost in quality: a few numbers of steps against 1,000.

All pictures are sampled together, for 1,000 steps of one picture after another take hours.
"""

import argparse
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from geometry.ply import read_points, write_points
from geometry.point_cloud import PointCloud
from models.catalog import ModelCard, get_card
from models.contract import SamplingParams, State
from models.errors import NoForegroundError, NonFiniteError
from training import curve
from training.curve import METRICS, Shown
from training.predictors import Picture, ServedModel, as_rgba, sampling_params, served_model
from training.reports import peak_memory_bytes, write
from training.scoring import score
from training.summary import bootstrap_interval

MANY = 1000
STEPS = (("ddim", 16), ("ddim", 32), ("ddim", 64), ("ddim", MANY), ("ddpm", MANY))
HEADLINE = "f@0.02"
_DRAWS = 2000


@dataclass(frozen=True, slots=True)
class Setting:
    """One sampler at one number of steps, row `st` on track A.

    Attributes:
        means: over pictures.
        interval: of the mean of HEADLINE, 95 %.
        values: HEADLINE of each picture.
        seconds: of one picture's share of the batch.
        refused: pictures, which are scored as the sphere.
    """

    sampler: str
    steps: int
    means: dict[str, float]
    interval: tuple[float, float]
    values: list[float]
    seconds: float
    refused: int


def settings(
    card: ModelCard, num_points: int, seed: int, steps: Iterable[tuple[str, int]] = STEPS
) -> list[SamplingParams]:
    """Raises ParameterError."""
    shared = {"num_points": num_points, "seed": seed}
    return [sampling_params(card, {**shared, "sampler": name, "steps": n}) for name, n in steps]


def sample(served: ServedModel, pictures: Sequence[Picture]) -> list[PointCloud | None]:
    """What a user would get of each, None where it is refused; a step takes all of them."""
    states: dict[int, State] = {}
    for row, picture in enumerate(pictures):
        try:
            states[row] = served.begin(picture)
        except NoForegroundError:
            continue
    while running := [row for row, state in states.items() if state.step < state.steps]:
        try:
            served.model.step([states[row] for row in running])
        except NonFiniteError as error:
            for index in error.rows:
                del states[running[index]]
    clouds: list[PointCloud | None] = [None] * len(pictures)
    for row, state in states.items():
        clouds[row] = read_points(write_points(served.model.finish(state).points))
    return clouds


def measure(
    served: Iterable[ServedModel], shown: Sequence[Shown], fallback: PointCloud
) -> Iterator[Setting]:
    """A setting for each of `served`, as soon as it is known."""
    pictures = [as_rgba(item.picture, "A") for item in shown]
    for one in served:
        started = time.perf_counter()
        clouds = sample(one, pictures)
        seconds = (time.perf_counter() - started) / len(pictures)
        rows = [
            score(fallback if cloud is None else cloud, item.picture, ("st",), item.truth)["st"]
            for cloud, item in zip(clouds, shown, strict=True)
        ]
        values = [round(row[HEADLINE], 5) for row in rows]
        low, high = bootstrap_interval(values)
        yield Setting(
            one.params.sampler,
            one.params.steps,
            {name: round(float(np.mean([row[name] for row in rows])), 5) for name in METRICS},
            (round(low, 5), round(high, 5)),
            values,
            round(seconds, 4),
            sum(cloud is None for cloud in clouds),
        )


def losses(found: Sequence[Setting]) -> list[dict[str, Any]]:
    """How much of HEADLINE each setting of fewer steps loses against each of the most: a share of
    the latter's mean, with the 95 % interval over pictures. Left out where that mean is 0."""
    most = max(item.steps for item in found)
    return [
        {
            "sampler": few.sampler,
            "steps": few.steps,
            "against": f"{many.sampler} {many.steps}",
            **_loss(np.array(few.values), np.array(many.values)),
        }
        for few in found
        for many in found
        if few.steps < most == many.steps and any(many.values)
    ]


def _loss(few: Any, many: Any) -> dict[str, Any]:
    picks = np.random.default_rng(0).integers(0, len(few), (_DRAWS, len(few)))
    above, below = few[picks].mean(axis=1), many[picks].mean(axis=1)
    low, high = np.quantile(1 - above[below > 0] / below[below > 0], [0.025, 0.975])
    return {
        "loss": round(float(1 - few.mean() / many.mean()), 4),
        "interval": [round(float(low), 4), round(float(high), 4)],
    }


def run(args: argparse.Namespace, steps: Iterable[tuple[str, int]] = STEPS) -> list[Setting]:
    """Measure `args.model` on the first picture of each object, and write steps-MODEL.json after
    each setting. Raises UnknownModelError, ParameterError, WeightsError."""
    params = settings(get_card(args.model), args.num_points, args.seed, steps)
    model = served_model(args.model, args.num_points, weights=args.weights).model
    shown, ball, stated = curve.prepared(args, each=1)
    stated |= {"guidance_scale": params[0].guidance_scale}
    found: list[Setting] = []
    for setting in measure((ServedModel(model, item) for item in params), shown, ball):
        found.append(setting)
        report = {**stated, "peak_memory_bytes": peak_memory_bytes()}
        report |= {"points": [asdict(item) for item in found], "losses": losses(found)}
        write(report, args.results / f"steps-{args.model}.json")
        means = " ".join(f"{name} {value:.3f}" for name, value in setting.means.items())
        print(f"{setting.sampler} {setting.steps}: {means}, {setting.seconds:.2f} s", flush=True)
    return found
