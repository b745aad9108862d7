"""The served form of the literature's point diffusion systems: one stage of denoising or more.

A system says how its pictures are encoded, how each of its stages denoises and what a finished
cloud is; rows, samplers, guidance, candidates and the output frame are the same for all and here.
Every evaluation takes all clouds of one stage and size, each at its own noise level.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from geometry.frame import apply, measure
from geometry.mesh import Mesh
from geometry.normals import estimate_normals
from geometry.point_cloud import PointCloud
from geometry.resample import resample
from models.catalog import ModelCard
from models.contract import PREVIEW_POINTS, PreparedImages, Result, SamplingParams
from models.diffusion.cleaning import best_outline, reined_in
from models.diffusion.noise import Noise
from models.diffusion.view_space import to_view
from models.errors import NonFiniteError
from models.guidance import guide, guided_batch
from models.samplers import Trajectory, advance, start

_POINTS_AT_ONCE = 65_536  # in one evaluation, for the sake of memory
_LEAST_POINTS = 4_096  # that a cloud counts as: voxel grids do not shrink with it


@dataclass(frozen=True, slots=True)
class Given:
    """What is kept of the pictures, one row per job.

    Attributes:
        rgba: [B, 4, S, S], the crops.
        camera: [B, 5] as in `models.feedforward.draft.Layers`.
        features: the system's own, by name, each [B, ...].
    """

    rgba: Tensor
    camera: Tensor
    features: dict[str, Tensor]

    def row(self, index: int) -> "Given":
        return self.rows(torch.tensor([index], device=self.rgba.device))

    def rows(self, index: Tensor) -> "Given":
        """The rows of `index` [R] int64, in that order."""
        features = {name: value[index] for name, value in self.features.items()}
        return Given(self.rgba[index], self.camera[index], features)

    @staticmethod
    def stacked(parts: Sequence["Given"]) -> "Given":
        """One alone is given back as it is: maps are large."""
        if len(parts) == 1:
            return parts[0]
        features = {
            name: torch.cat([part.features[name] for part in parts]) for name in parts[0].features
        }
        rgba, camera = ([getattr(part, name) for part in parts] for name in ("rgba", "camera"))
        return Given(torch.cat(rgba), torch.cat(camera), features)


class Stage(Protocol):
    """One diffusion of a system. `before` is what the stage before it gave, [R, K, C'].

    A stage that would give a job no more points than the one before it is left out. One whose
    attribute `guided` is False samples without guidance, whatever a job asks for.
    """

    @property
    def channels(self) -> int:
        """Of a point: 3, or 6 with colour."""
        ...

    @property
    def noise(self) -> Noise: ...

    def size(self, num_points: int) -> int:
        """How many points it samples for a job that asks for `num_points`."""
        ...

    def denoise(
        self, x: Tensor, sigma: Tensor, given: Given, drop: Tensor | None, before: Tensor | None
    ) -> Tensor:
        """x [R, N, C] float32 at sigma [R] to the estimate of x_0 [R, N, C]; `given` has R rows,
        and where `drop` [R] bool the picture is not shown."""
        ...

    def settle(self, x: Tensor, sigma: float, before: Tensor | None) -> Tensor:
        """One cloud x [N, C] as the stage wants it before an evaluation at `sigma` (0: at the end),
        `before` [K, C']. Most want it as it is."""
        ...


class System(Protocol):
    """A published system with its network, on a device."""

    @property
    def net(self) -> nn.Module: ...

    @property
    def stages(self) -> Sequence[Stage]: ...

    def encode(self, rgba: Tensor) -> Given:
        """Crops [B, 4, S, S], straight alpha, 0..1."""
        ...

    def begin(self, given: Given, params: SamplingParams) -> Given:
        """`given` [1] for one job, with what its parameters change; most change nothing.

        Raises ParameterError.
        """
        ...

    def cloud(self, x: Tensor, given: Given) -> PointCloud:
        """x_0 [N, C] of the last stage that was not left out as an upright cloud, neither centred
        nor scaled, with colours; `given` has one row."""
        ...

    def mesh(self, x: Tensor, given: Given) -> Mesh | None:
        """A mesh of the system's own in the frame of `cloud`, where it has one."""
        ...


@runtime_checkable
class Painting(Protocol):
    """A `System` that may also have a network for the colours of a finished cloud."""

    def painted(self, x: Tensor, given: Given) -> NDArray[np.uint8] | None:
        """sRGB [N, 3] of the chosen candidate's x_0 [N, C], in place of those of `cloud`; None
        without such a network. Raises NonFiniteError."""
        ...


@dataclass(slots=True)
class StagedState:
    """Attributes:
    candidates: each one's way through the present stage; they move together.
    before: of each candidate, what the stage before gave.
    """

    given: Given
    params: SamplingParams
    generator: torch.Generator
    steps: int
    stage: int
    candidates: list[Trajectory]
    before: list[Tensor | None]
    step: int = 0
    ended: list[Tensor] = field(default_factory=list)  # x_0 [N, C] of each candidate, at the end


class PointDiffusion:
    """A `Reconstructor` of many steps."""

    def __init__(self, card: ModelCard, system: System, device: torch.device) -> None:
        self.card = card
        self.system = system
        self.device = device
        system.net.to(device).eval().requires_grad_(False)

    @torch.inference_mode()
    def encode(self, images: PreparedImages) -> Given:
        return self.system.encode(images.rgba.to(self.device))

    @torch.inference_mode()
    def start(
        self, conditioning: Given, params: SamplingParams, generator: torch.Generator
    ) -> StagedState:
        given = self.system.begin(conditioning, params)
        state = StagedState(given, params, generator, 0, 0, [], [None] * params.candidates)
        state.steps = sum(self.evaluations(state))
        self._enter(state, 0)
        return state

    def evaluations(self, state: StagedState) -> list[int]:
        """Of the network, how many each stage of a job takes, those left out apart."""
        found, number = [], self._stage_after(-1, 0, state)
        while number is not None:
            found.append(self._way(state, number, probe=True).evaluations)
            size = self.system.stages[number].size(state.params.num_points)
            number = self._stage_after(number, size, state)
        return found

    def _stage_after(self, number: int, size: int, state: StagedState) -> int | None:
        """The next stage that gives a job more points than the `size` it has."""
        stages = enumerate(self.system.stages)
        wanted = state.params.num_points
        return next((n for n, stage in stages if n > number and stage.size(wanted) > size), None)

    def _way(self, state: StagedState, number: int, *, probe: bool = False) -> Trajectory:
        stage, params = self.system.stages[number], state.params
        noise, name = stage.noise, params.sampler
        sigmas = noise.schedule(params.steps)
        shape = (1 if probe else stage.size(params.num_points), stage.channels)
        generator = torch.Generator() if probe else state.generator
        return start(
            name,
            sigmas,
            shape,
            generator,
            self.device,
            churn=noise.churn if name == "heun" else 0.0,
            halves=noise.halves(params.steps) if name == "pndm" else (),
            floor=noise.floor if name == "pndm" else 0.0,
        )

    def _enter(self, state: StagedState, number: int) -> None:
        stage = self.system.stages[number]
        state.stage = number
        state.candidates = [self._way(state, number) for _ in range(state.params.candidates)]
        for way, before in zip(state.candidates, state.before, strict=True):
            if stage.noise.starts_at_one:
                way.x = way.x * ((1 + way.sigma**2) ** 0.5 / way.sigma)
            way.x = stage.settle(way.x, way.sigma, before)

    @torch.inference_mode()
    def step(self, states: Sequence[StagedState]) -> None:
        """Clouds of one stage and size, and with as many points before, share an evaluation."""
        alike: dict[tuple[int, int, int], list[int]] = defaultdict(list)
        for row, state in enumerate(states):
            before = state.before[0]
            known = 0 if before is None else len(before)
            alike[state.stage, len(state.candidates[0].x), known].append(row)
        outcome: dict[int, list[Tensor]] = defaultdict(list)
        broken: set[int] = set()
        for (number, size, _), rows in alike.items():
            pairs = [(row, k) for row in rows for k in range(len(states[row].candidates))]
            for some in _pieces(pairs, max(1, _POINTS_AT_ONCE // max(size, _LEAST_POINTS))):
                denoised = self._evaluate(number, states, some)
                for (row, _), x in zip(some, denoised, strict=True):
                    outcome[row].append(x)
                    if not bool(x.isfinite().all()):
                        broken.add(row)
        if broken:
            raise NonFiniteError(tuple(sorted(broken)))
        for row, denoised in outcome.items():
            self._advance(states[row], denoised)

    def _evaluate(
        self, number: int, states: Sequence[StagedState], pairs: list[tuple[int, int]]
    ) -> list[Tensor]:
        """x_0 [N, C] of each pair of a state's row and the number of a candidate of it."""
        ways = [states[row].candidates[k] for row, k in pairs]
        x = torch.stack([way.x for way in ways])
        sigma = torch.tensor([way.sigma for way in ways], dtype=torch.float64, device=self.device)
        stage = self.system.stages[number]
        guided = getattr(stage, "guided", True)
        scales = [states[row].params.guidance_scale if guided else 1.0 for row, _ in pairs]
        w = torch.tensor(scales, device=self.device)
        batch = guided_batch(w)
        given = Given.stacked([states[row].given for row, _ in pairs])
        drop = None
        if len(batch.rows) > batch.clouds:
            given, drop = given.rows(batch.rows), batch.unconditional
        former = [states[row].before[k] for row, k in pairs]
        known = [item for item in former if item is not None]
        before = torch.stack(known)[batch.rows] if known else None
        out = stage.denoise(x[batch.rows], sigma[batch.rows], given, drop, before)
        return list(guide(out, batch, w))

    def _advance(self, state: StagedState, denoised: list[Tensor]) -> None:
        stage = self.system.stages[state.stage]
        for way, before, x in zip(state.candidates, state.before, denoised, strict=True):
            advance(way, x)
            way.x = stage.settle(way.x, 0.0 if way.done else way.sigma, before)
        state.step += 1
        if not state.candidates[0].done:
            return
        clouds = [way.x for way in state.candidates]
        following = self._stage_after(state.stage, len(clouds[0]), state)
        if following is None:
            state.ended = clouds
        else:
            state.before = list(clouds)
            self._enter(state, following)

    @torch.inference_mode()
    def preview(self, state: StagedState) -> PointCloud | None:
        latest = state.candidates[0].denoised
        if latest is None or self._stage_after(state.stage, len(latest), state) is not None:
            return None
        some = torch.linspace(0, len(latest) - 1, min(len(latest), PREVIEW_POINTS)).long()
        cloud = self.system.cloud(latest[some.to(latest.device)], state.given)
        return apply(measure(cloud.positions), cloud)

    @torch.inference_mode()
    def finish(self, state: StagedState) -> Result:
        if not state.ended:
            raise ValueError("finish needs a state that has been stepped to its end")
        clouds = [self.system.cloud(x, state.given) for x in state.ended]
        chosen = self._fitting(clouds, state.given) if len(clouds) > 1 else 0
        cloud, x = clouds[chosen], state.ended[chosen]
        painted = self.system.painted(x, state.given) if isinstance(self.system, Painting) else None
        has_normals = cloud.normals is not None
        cloud = PointCloud(reined_in(cloud.positions), cloud.colors if painted is None else painted)
        frame = measure(cloud.positions)
        if len(cloud) != state.params.num_points:
            # Without normals, which are estimated: on a fuzzy cloud their sides hang on rounding,
            # and with them which neighbours a new point would lie between.
            rng = np.random.default_rng(state.params.seed)
            cloud = resample(cloud, state.params.num_points, rng)
        if has_normals:
            cloud = estimate_normals(cloud)
        mesh = self.system.mesh(x, state.given)
        return Result(apply(frame, cloud), None if mesh is None else apply(frame, mesh))

    def _fitting(self, clouds: list[PointCloud], given: Given) -> int:
        """The candidate whose outline fits the mask best (PC^2's filtering by the mask)."""
        camera = given.camera.cpu()
        views: list[NDArray[np.float32]] = [
            to_view(torch.from_numpy(cloud.positions)[None], camera)[0].numpy() for cloud in clouds
        ]
        return best_outline(views, given.rgba[0, 3].cpu().numpy())


def _pieces(pairs: list[tuple[int, int]], size: int) -> Iterator[list[tuple[int, int]]]:
    for begin in range(0, len(pairs), size):
        yield pairs[begin : begin + size]
