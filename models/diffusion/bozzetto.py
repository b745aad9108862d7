"""`bozzetto-s` and `bozzetto-xs`: clouds sampled by diffusion, conditioned on projections.

Own design. The picture is encoded once; each evaluation then denoises all clouds of all jobs, each
at its own noise level. A cloud lives in the space of the crop (`models.diffusion.view_space`) and
is turned upright at the end with the camera that the encoder saw in the picture.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geometry.frame import apply, measure
from geometry.point_cloud import PointCloud
from models.catalog import ModelCard
from models.contract import PREVIEW_POINTS, PreparedImages, Result, SamplingParams
from models.diffusion.cleaning import best_outline, own_colors, reined_in, without_strays
from models.diffusion.denoiser import Denoised, PictureTokens
from models.diffusion.network import CONFIGS, BozzettoNet, finite_rows
from models.diffusion.view_space import from_view, turn_from_view
from models.errors import NonFiniteError, WeightsError
from models.feedforward.draft import Layers, surface_of_layers
from models.guidance import guide, guided_batch
from models.precision import has_fast_bfloat16
from models.samplers import Trajectory, advance, start
from models.schedules import karras_sigmas

SIGMA_MIN, SIGMA_MAX = 0.02, 4.0  # of view space
# A few points of a sampled cloud land nowhere. So many more are sampled than are asked for, and the
# loneliest go.
_SPARE = 16  # one spare for so many points
_POINTS_AT_ONCE = 131_072  # in one evaluation, for the sake of memory


@dataclass(frozen=True, slots=True)
class BozzettoConditioning:
    rgba: Tensor  # [B, 4, S, S]
    layers: Layers
    picture: PictureTokens

    def row(self, index: int) -> "BozzettoConditioning":
        rgba = self.rgba[index : index + 1]
        return BozzettoConditioning(rgba, self.layers.row(index), self.picture.row(index))


@dataclass(slots=True)
class BozzettoState:
    """Attributes:
    candidates: one way from noise to data for each; they move together.
    latest: of each candidate, what the last evaluation gave, each tensor [1, N, 3].
    """

    conditioning: BozzettoConditioning
    params: SamplingParams
    candidates: list[Trajectory]
    latest: list[Denoised] = field(default_factory=list)

    @property
    def step(self) -> int:
        return self.candidates[0].evaluation

    @property
    def steps(self) -> int:
        return self.candidates[0].evaluations


class Bozzetto:
    """The served form of `BozzettoNet`: a `Reconstructor` of many steps."""

    def __init__(self, card: ModelCard, net: BozzettoNet, device: torch.device) -> None:
        self.card = card
        self.device = device
        self.net = net.to(device).eval().requires_grad_(False)
        self.half = has_fast_bfloat16(device)

    @torch.inference_mode()
    def encode(self, images: PreparedImages) -> BozzettoConditioning:
        rgba = images.rgba.to(self.device)
        layers, picture = self.net.encode(rgba)  # once per job: in full precision
        return BozzettoConditioning(rgba, layers, picture)

    def start(
        self,
        conditioning: BozzettoConditioning,
        params: SamplingParams,
        generator: torch.Generator,
    ) -> BozzettoState:
        sigmas = karras_sigmas(params.steps, SIGMA_MIN, SIGMA_MAX)
        count = params.num_points + -(-params.num_points // _SPARE)
        ways = [
            start(params.sampler, sigmas, (count, 3), generator, self.device)
            for _ in range(params.candidates)
        ]
        return BozzettoState(conditioning, params, ways)

    @torch.inference_mode()
    def step(self, states: Sequence[BozzettoState]) -> None:
        """Clouds of one size share an evaluation: padding would change what the latents read."""
        by_size: dict[int, list[int]] = defaultdict(list)
        for row, state in enumerate(states):
            by_size[len(state.candidates[0].x)].append(row)
        outcome: dict[int, list[Denoised]] = {}
        broken: set[int] = set()
        for size, rows in by_size.items():
            pairs = [(row, way) for row in rows for way in states[row].candidates]
            for some in _pieces(pairs, max(1, _POINTS_AT_ONCE // size)):
                denoised, finite = self._evaluate(states, some)
                for place, (row, _) in enumerate(some):
                    outcome.setdefault(row, []).append(_row(denoised, place))
                    if not finite[place]:
                        broken.add(row)
        if broken:  # before any state has changed, so that the others can be evaluated again
            raise NonFiniteError(tuple(sorted(broken)))
        for row, state in enumerate(states):
            state.latest = outcome[row]
            for way, denoised in zip(state.candidates, state.latest, strict=True):
                advance(way, denoised.points[0])

    def _evaluate(
        self, states: Sequence[BozzettoState], pairs: list[tuple[int, Trajectory]]
    ) -> tuple[Denoised, list[bool]]:
        """One denoised cloud for each pair of a state's number and one of its candidates."""
        rows = [states[row].conditioning.picture for row, _ in pairs]
        x = torch.stack([way.x for _, way in pairs])
        sigma = torch.tensor([way.sigma for _, way in pairs], device=self.device)
        w = torch.tensor(
            [states[row].params.guidance_scale for row, _ in pairs], device=self.device
        )
        batch = guided_batch(w)
        picture = PictureTokens(
            torch.cat([item.tokens for item in rows])[batch.rows],
            torch.cat([item.features for item in rows])[batch.rows],
            torch.cat([item.guesses for item in rows])[batch.rows],
        )
        drop = batch.unconditional if batch.unconditional.any() else None
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            out = self.net(x[batch.rows], sigma[batch.rows], picture, drop)
        points = guide(out.points, batch, w)
        count = len(pairs)
        denoised = Denoised(points, (), out.colors[:count], out.normals[:count])
        finite = finite_rows(denoised.points, denoised.colors, denoised.normals)
        return denoised, finite.tolist()

    def preview(self, state: BozzettoState) -> PointCloud | None:
        if not state.latest:
            return None
        cloud = self._upright(state, state.latest[0])
        some = np.linspace(0, len(cloud) - 1, min(len(cloud), PREVIEW_POINTS)).astype(np.intp)
        cloud = cloud.take(some)
        return apply(measure(cloud.positions), cloud)

    def finish(self, state: BozzettoState) -> Result:
        if not state.latest or state.step < state.steps:
            raise ValueError("finish needs a state that has been stepped to its end")
        alpha = state.conditioning.rgba[0, 3].cpu().numpy()
        views = [way.x.cpu().numpy() for way in state.candidates]
        chosen = best_outline(views, alpha) if len(views) > 1 else 0
        kept = without_strays(views[chosen], state.params.num_points)
        cloud = self._upright(state, _taken(state.latest[chosen], kept))
        given = state.conditioning
        # A mesh wants a surface without holes or fuzz, which the encoder's guess is. Trained
        # without a Chamfer loss it does not ripple, and its depth can be taken as it is.
        surface = surface_of_layers(given.layers, given.rgba, state.params.seed, gain=1.0)
        frame = measure(cloud.positions)
        return Result(apply(frame, cloud), surface=apply(frame, surface))

    def _upright(self, state: BozzettoState, denoised: Denoised) -> PointCloud:
        """A cloud of view space in the upright frame; in front with the picture's own colours."""
        given = state.conditioning
        colors = own_colors(denoised.points, denoised.colors, denoised.normals, given.rgba)
        camera = given.layers.camera
        return PointCloud(
            reined_in(from_view(denoised.points, camera)[0].cpu().numpy()),
            (colors[0].clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy(),
            turn_from_view(denoised.normals, camera[:, 4])[0].cpu().numpy(),
        )


def _row(denoised: Denoised, row: int) -> Denoised:
    rows = slice(row, row + 1)
    return Denoised(denoised.points[rows], (), denoised.colors[rows], denoised.normals[rows])


def _taken(denoised: Denoised, index: NDArray[np.intp]) -> Denoised:
    at = torch.from_numpy(index).to(denoised.points.device)
    return Denoised(denoised.points[:, at], (), denoised.colors[:, at], denoised.normals[:, at])


def _pieces(
    pairs: list[tuple[int, Trajectory]], size: int
) -> Iterator[list[tuple[int, Trajectory]]]:
    for begin in range(0, len(pairs), size):
        yield pairs[begin : begin + size]


def load_bozzetto(card: ModelCard, tensors: dict[str, Tensor], device: torch.device) -> Bozzetto:
    """`card`'s model with the weights `tensors`. Raises WeightsError where they do not fit."""
    net = BozzettoNet(CONFIGS[card.id])
    try:
        net.load_state_dict(tensors)
    except RuntimeError as error:
        raise WeightsError(f"{card.id}: the weights do not fit the network: {error}") from error
    return Bozzetto(card, net, device)
