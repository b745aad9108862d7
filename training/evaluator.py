"""Scoring a model and the baselines on the pictures of protocol B1, in one process or several."""

import multiprocessing
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import cv2
import torch
from tqdm import tqdm

from models.catalog import ParameterValue
from training.baselines import BaselineName, baseline_predictors, fallback_sphere
from training.cache import content_key
from training.contact_sheet import Strip
from training.meshes import MeshPack, split
from training.metrics import Cloud
from training.predictors import Predictor, on_track, served_model
from training.scoring import PICTURES_PER_OBJECT, chosen_objects, draw_picture, predict, score
from training.summary import Scored

_KEPT_OBJECTS = 10


@dataclass(frozen=True, slots=True)
class Plan:
    """All that fixes the numbers of one evaluation; equal plans give equal numbers."""

    pack: Path
    manifest: Path
    cache_dir: Path
    model: str | None
    given: tuple[tuple[str, ParameterValue], ...]
    weights: Path | None
    baselines: tuple[BaselineName, ...]
    num_points: int
    objects: int
    seed: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """The scores of one picture by predictor, and what a contact sheet shows of it."""

    scored: dict[str, Scored]
    strip: Strip | None


class Evaluator:
    """A plan with its pack, models and baselines loaded."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.pack = MeshPack.load(plan.pack, plan.manifest, plan.cache_dir)
        self.parts = split(self.pack)
        self.ball = fallback_sphere(self.pack, self.parts.train, plan.num_points, plan.cache_dir)

    @cached_property
    def predictors(self) -> dict[str, Predictor]:
        found: dict[str, Predictor] = {}
        plan = self.plan
        for name in plan.baselines:
            found |= baseline_predictors(
                name, self.pack, self.parts.train, plan.num_points, plan.cache_dir
            )
        if plan.model is not None:
            model = served_model(plan.model, plan.num_points, dict(plan.given), plan.weights)
            found |= {
                f"{plan.model}, track A": on_track(model, "A"),
                f"{plan.model}, track B": on_track(model, "B"),
            }
        return found

    def score(self, k: int, number: int, *, shown: bool) -> Outcome | None:
        """Picture `number` of object `k`, by all predictors; None where the mesh gives none."""
        picture = draw_picture(self.pack, k, number, self.plan.seed)
        if picture is None:
            return None
        truth = Cloud(picture.points)
        scored: dict[str, Scored] = {}
        strip = None
        for name, predictor in self.predictors.items():
            cloud, refused, seconds = predict(predictor, picture, self.ball)
            rows = score(cloud, picture, truth=truth)
            scored[name] = Scored(picture.path, number, picture.category, rows, refused, seconds)
            if shown and name == f"{self.plan.model}, track A":
                strip = Strip(picture, cloud, rows["st"]["f@0.02"])
        return Outcome(scored, strip)


# A worker process keeps the one evaluator that its tasks name.
_evaluator = lru_cache(maxsize=1)(Evaluator)


def _score_in_worker(plan: Plan, k: int, number: int, shown: bool) -> Outcome | None:
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    return _evaluator(plan).score(k, number, shown=shown)


def outcomes(
    plan: Plan, tasks: list[tuple[int, int, bool]], workers: int
) -> Iterator[Outcome | None]:
    """The outcome of each task (object, picture, shown), in order."""
    if workers == 1:
        for k, number, shown in tasks:
            yield _evaluator(plan).score(k, number, shown=shown)
        return
    _ = _evaluator(plan).predictors  # fill the caches once, not in every worker
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=spawn) as pool:
        columns = zip(*tasks, strict=True)
        yield from pool.map(_score_in_worker, [plan] * len(tasks), *columns)


@dataclass(slots=True)
class Run:
    """The scores so far by predictor, the strips of the contact sheet, and what it took."""

    items: dict[str, list[Scored]]
    strips: list[Strip]
    seconds: float
    pack: str  # key of the meshes and of their split


def run(
    plan: Plan,
    workers: int = 1,
    strips: int = 0,
    keep: Callable[[Run], None] = lambda _: None,
) -> Run:
    """Score every picture of the plan; `strips` objects are kept for a contact sheet.

    `keep` gets what there is every _KEPT_OBJECTS objects and at the end: the objects are in random
    order, so that a run which is cut short has scored a fair sample.
    """
    started = time.perf_counter()
    evaluator = _evaluator(plan)
    pack = content_key(evaluator.pack, evaluator.parts.train)
    chosen = chosen_objects(evaluator.pack, evaluator.parts, plan.objects, plan.seed)
    tasks = [
        (k, number, row < strips and number == 0)
        for row, k in enumerate(chosen)
        for number in range(PICTURES_PER_OBJECT)
    ]
    done = Run({}, [], 0.0, pack)
    progress = tqdm(outcomes(plan, tasks, workers), total=len(tasks), mininterval=5)
    for count, outcome in enumerate(progress, 1):
        if outcome is not None:
            for name, scored in outcome.scored.items():
                done.items.setdefault(name, []).append(scored)
            if outcome.strip is not None:
                done.strips.append(outcome.strip)
        done.seconds = time.perf_counter() - started
        if count % (_KEPT_OBJECTS * PICTURES_PER_OBJECT) == 0 or count == len(tasks):
            keep(done)
    return done
