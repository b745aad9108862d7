"""A model for tests, with faults on order. What a job does is chosen by its seed."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from geometry.frame import normalise
from geometry.point_cloud import PointCloud
from models.catalog import DRAFT, ModelCard
from models.contract import PREVIEW_POINTS, PreparedImages, Result, SamplingParams
from models.errors import NonFiniteError

NAN_SEED, CRASH_SEED, STALL_SEED, FINISH_SEED, ENCODE_SEED, ENDLESS_SEED = range(901, 907)


@dataclass(frozen=True, slots=True)
class FakeConditioning:
    mean: Tensor  # [B]

    def row(self, index: int) -> "FakeConditioning":
        return FakeConditioning(self.mean[index : index + 1])


@dataclass(slots=True)
class FakeState:
    value: Tensor  # [3]
    params: SamplingParams
    generator: torch.Generator
    step: int = 0
    steps: int = 1


@dataclass(slots=True)
class FakeModel:
    """A `Reconstructor` whose clouds depend on picture, seed and number of steps, and on nothing
    else.

    Attributes:
        fits: largest batch that does not run out of memory; `encode_fits` the same for encode.
        before_step: called with the states of each evaluation before it.
        previews: there is something to show after each evaluation.
        batches: the seeds of each evaluation so far.
    """

    card: ModelCard = DRAFT
    steps: int | None = None
    fits: int = 1_000
    encode_fits: int = 1_000
    before_step: Callable[[Sequence[FakeState]], object] = lambda states: None
    previews: bool = False
    batches: list[tuple[int, ...]] = field(default_factory=list)
    encoded: list[int] = field(default_factory=list)

    def encode(self, images: PreparedImages) -> FakeConditioning:
        if len(images) > self.encode_fits:
            raise torch.OutOfMemoryError("scripted")
        self.encoded.append(len(images))
        return FakeConditioning(images.rgba.mean(dim=(1, 2, 3)))

    def start(
        self, conditioning: Any, params: SamplingParams, generator: torch.Generator
    ) -> FakeState:
        if params.seed == ENCODE_SEED:
            raise RuntimeError("scripted crash at the start")
        value = conditioning.mean + torch.randn(3, generator=generator)
        steps = 10**9 if params.seed == ENDLESS_SEED else self.steps or params.steps
        return FakeState(value, params, generator, steps=steps)

    def step(self, states: Sequence[Any]) -> None:
        seeds = tuple(state.params.seed for state in states)
        self.batches.append(seeds)
        self.before_step(states)
        if len(states) > self.fits:
            raise torch.OutOfMemoryError("scripted")
        if CRASH_SEED in seeds:
            raise RuntimeError("scripted crash")
        if NAN_SEED in seeds:
            raise NonFiniteError(tuple(row for row, seed in enumerate(seeds) if seed == NAN_SEED))
        for state in states:
            if state.params.seed != STALL_SEED:
                state.value = 0.9 * state.value + 0.1 * torch.randn(3, generator=state.generator)
                state.step += 1

    def preview(self, state: Any) -> PointCloud | None:
        if not self.previews:
            return None
        return ellipsoid(PREVIEW_POINTS, 1.5 + torch.tanh(state.value).numpy())

    def finish(self, state: Any) -> Result:
        if state.params.seed == FINISH_SEED:
            raise RuntimeError("scripted crash at the end")
        return Result(ellipsoid(state.params.num_points, 1.5 + torch.tanh(state.value).numpy()))


def ellipsoid(num_points: int, axes: np.ndarray) -> PointCloud:
    """An evenly covered ellipsoid: a Fibonacci sphere, stretched."""
    index = np.arange(num_points) + 0.5
    height = 1 - 2 * index / num_points
    turn = index * np.pi * (1 + 5**0.5)
    radius = np.sqrt(1 - height**2)
    sphere = np.stack([radius * np.cos(turn), height, radius * np.sin(turn)], axis=1)
    normals = sphere / axes
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return normalise(
        PointCloud(
            (sphere * axes).astype(np.float32),
            np.rint(127.5 * (sphere + 1)).astype(np.uint8),
            normals.astype(np.float32),
        )
    )


def hold_at_gate(gate: Path, patience_s: float = 60.0) -> Callable[[Sequence[FakeState]], None]:
    """For `before_step`, across processes: says `<gate>/waiting`, goes on once `<gate>/open` is
    there. Opened for good until someone removes the file."""

    def hold(states: Sequence[FakeState]) -> None:
        (gate / "waiting").touch()
        end = time.monotonic() + patience_s
        while not (gate / "open").exists():
            if time.monotonic() > end:
                raise TimeoutError("no one opened the gate")
            time.sleep(0.01)

    return hold
