"""The shared steps of all systems, with small systems that are known exactly."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from geometry.mesh import Mesh
from geometry.point_cloud import PointCloud
from models.cards.dpm import DPM_MINI
from models.catalog import SAMPLERS
from models.contract import PREVIEW_POINTS, PreparedImages, SamplingParams
from models.diffusion import staged
from models.diffusion.noise import DiscreteNoise, KarrasNoise, Noise
from models.diffusion.staged import Given, PointDiffusion, StagedState
from models.errors import NonFiniteError
from models.schedules import beta_curve

CPU = torch.device("cpu")
KARRAS = KarrasNoise(0.1, 4.0)
DISCRETE = DiscreteNoise(beta_curve("linear", 20, 1e-3, 0.3))
PLAIN = SamplingParams(num_points=300, steps=4, seed=1)
LEVEL = (0.5, 0.0, 0.0, 0.0, 0.0)  # a camera infinitely far away, level


@dataclass
class FakeStage:
    """Points drawn halfway to a middle that only the picture tells, apart by sigma and index.

    `seen` keeps what each evaluation was given, `settled` each call of `settle`.
    """

    noise: Noise = KARRAS
    points: int = 0  # 0: as many as are asked for
    guided: bool = True
    bad: float = 1e9  # middles above it give NaN
    channels: int = 3
    seen: list[tuple[Tensor, Tensor, Tensor | None, Tensor | None]] = field(default_factory=list)
    settled: list[tuple[int, float, bool]] = field(default_factory=list)

    def size(self, num_points: int) -> int:
        return self.points or num_points

    def denoise(
        self, x: Tensor, sigma: Tensor, given: Given, drop: Tensor | None, before: Tensor | None
    ) -> Tensor:
        self.seen.append((x, sigma, drop, before))
        middle = given.features["middle"].view(-1, 1, 1)
        if drop is not None:
            middle = torch.where(drop.view(-1, 1, 1), 0.0, middle)
        share = (1 / (1 + sigma.float())).view(-1, 1, 1)
        guess = middle + share * (x - middle)
        if before is not None:
            guess = guess + before.mean(dim=1, keepdim=True)
        return torch.where(middle > self.bad, torch.nan, guess)

    def settle(self, x: Tensor, sigma: float, before: Tensor | None) -> Tensor:
        self.settled.append((len(x), sigma, before is not None))
        return x


class CentredStage(FakeStage):
    def settle(self, x: Tensor, sigma: float, before: Tensor | None) -> Tensor:
        super().settle(x, sigma, before)
        return x - x.mean(dim=0)


class FakeSystem:
    def __init__(self, *stages: FakeStage) -> None:
        self.net = nn.Identity()
        self.stages = stages
        self.begun = 0
        self.own_mesh = False

    def encode(self, rgba: Tensor) -> Given:
        camera = torch.tensor(LEVEL).expand(len(rgba), 5)
        return Given(rgba, camera, {"middle": rgba[:, 0].mean(dim=(1, 2))})

    def begin(self, given: Given, params: SamplingParams) -> Given:
        self.begun += 1
        return given

    def cloud(self, x: Tensor, given: Given) -> PointCloud:
        return PointCloud(x[:, :3].numpy())

    def mesh(self, x: Tensor, given: Given) -> Mesh | None:
        if not self.own_mesh:
            return None
        return Mesh(x[:3].numpy(), np.array([[0, 1, 2]], np.int32))


def model(*stages: FakeStage) -> PointDiffusion:
    return PointDiffusion(DPM_MINI, FakeSystem(*stages), CPU)


def begin(reconstructor: PointDiffusion, *wanted: SamplingParams) -> list[StagedState]:
    """One job each, of ever brighter pictures: middles 0.1, 0.2 and so on."""
    rgba = torch.ones(len(wanted), 4, 8, 8)
    rgba[:, 0] = (torch.arange(len(wanted)) + 1).view(-1, 1, 1) * 0.1
    given = reconstructor.encode(PreparedImages(rgba))
    return [
        reconstructor.start(given.row(row), item, torch.Generator().manual_seed(item.seed))
        for row, item in enumerate(wanted)
    ]


def run(reconstructor: PointDiffusion, states: list[StagedState]) -> None:
    while running := [state for state in states if state.step < state.steps]:
        reconstructor.step(running)


WANTED = (
    PLAIN,
    replace(PLAIN, num_points=500, steps=7, seed=2),
    replace(PLAIN, sampler="heun", seed=3, guidance_scale=2.0),
    replace(PLAIN, sampler="ddpm", seed=4, candidates=3, guidance_scale=0.0),
    replace(PLAIN, sampler="dpmpp_2m", seed=5, steps=1),
)


def ended(state: StagedState) -> Tensor:
    return torch.stack(state.ended)


@pytest.mark.parametrize("stages", [1, 2])
def test_rows_are_as_if_alone(stages):
    """Sizes, steps, samplers, guidance and candidates may all differ."""
    layers = (FakeStage(points=0 if stages == 1 else 64), FakeStage(noise=DISCRETE))[:stages]
    together = begin(model(*layers), *WANTED)
    run(model(*layers), together)
    for row in range(len(WANTED)):
        alone = model(*layers)
        states = begin(alone, *WANTED)  # the same pictures
        run(alone, [states[row]])
        torch.testing.assert_close(ended(together[row]), ended(states[row]))


def test_rows_that_differ_in_what_came_before_share_no_evaluation():
    """The first stage's size follows the job, the second's does not."""
    first, second = FakeStage(), FakeStage(points=440)
    reconstructor = model(first, second)
    states = begin(reconstructor, PLAIN, replace(PLAIN, num_points=400))
    run(reconstructor, states)
    assert {len(x) for x, *_ in second.seen} == {1}
    assert [ended(state).shape for state in states] == [(1, 440, 3), (1, 440, 3)]


def test_rows_of_one_size_share_an_evaluation():
    stage = FakeStage()
    reconstructor = model(stage)
    states = begin(reconstructor, PLAIN, replace(PLAIN, steps=9, candidates=2))
    reconstructor.step(states)
    ((x, sigma, drop, before),) = stage.seen
    assert x.shape == (3, 300, 3)
    assert sigma.dtype == torch.float64
    assert drop is None
    assert before is None


def test_large_batches_come_in_pieces(monkeypatch):
    monkeypatch.setattr(staged, "_POINTS_AT_ONCE", 700)
    monkeypatch.setattr(staged, "_LEAST_POINTS", 200)
    stage = FakeStage()
    reconstructor = model(stage)
    states = begin(reconstructor, *[replace(PLAIN, seed=seed) for seed in range(5)])
    reconstructor.step(states)
    assert [len(x) for x, *_ in stage.seen] == [2, 2, 1]
    whole = begin(model(FakeStage()), *[replace(PLAIN, seed=seed) for seed in range(5)])
    model(FakeStage()).step(whole)
    for one, other in zip(states, whole, strict=True):
        torch.testing.assert_close(one.candidates[0].x, other.candidates[0].x)


def test_small_clouds_are_not_taken_together_without_end():
    """A published PVCNN2's grids cost as much for 256 points as for 4,096."""
    stage = FakeStage()
    reconstructor = model(stage)
    wanted = replace(PLAIN, num_points=256, candidates=8)
    reconstructor.step(begin(reconstructor, *[wanted] * 4))
    assert [len(x) for x, *_ in stage.seen] == [16, 16]


def test_a_stage_that_adds_no_points_is_left_out():
    class Upsampler(FakeStage):
        def size(self, num_points: int) -> int:
            return max(256, num_points)

    first, second = FakeStage(points=256), Upsampler()
    reconstructor = model(first, second)
    few, many = begin(reconstructor, replace(PLAIN, num_points=256), replace(PLAIN, num_points=257))
    assert (few.steps, many.steps) == (4, 8)
    reconstructor.step([few])
    assert reconstructor.preview(few) is not None
    run(reconstructor, [few, many])
    assert {x.shape[1] for x, *_ in second.seen} == {257}
    assert len(reconstructor.finish(few).points) == 256


def test_guidance_adds_a_row_without_the_picture():
    stage = FakeStage()
    reconstructor = model(stage)
    states = begin(reconstructor, PLAIN, replace(PLAIN, guidance_scale=3.0))
    x = states[1].candidates[0].x.clone()
    sigma = states[1].candidates[0].sigma
    reconstructor.step(states)
    _, _, drop, _ = stage.seen[0]
    assert drop is not None
    assert drop.tolist() == [False, False, True]
    share = 1 / (1 + sigma)
    shown = states[1].candidates[0].denoised
    assert shown is not None
    torch.testing.assert_close(shown, share * x + 3 * 0.2 * (1 - share))


def test_a_stage_may_refuse_guidance():
    first, second = FakeStage(guided=False), FakeStage()
    reconstructor = model(first, second)
    run(reconstructor, begin(reconstructor, replace(PLAIN, guidance_scale=3.0)))
    assert all(drop is None for _, _, drop, _ in first.seen)
    assert all(drop is not None for _, _, drop, _ in second.seen)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("steps", [1, 2, 5, 40])
def test_steps_of_two_stages_are_counted(sampler, steps):
    """The discrete stage has no more than 20 times."""
    first, second = FakeStage(points=16), FakeStage(noise=DISCRETE)
    reconstructor = model(first, second)
    (state,) = begin(reconstructor, replace(PLAIN, sampler=sampler, steps=steps))
    expected = state.steps
    if sampler == "heun":
        assert expected == 2 * steps - 1 + 2 * min(steps, 20) - 1
    elif sampler != "pndm":
        assert expected == steps + min(steps, 20)
    for count in range(expected):
        assert state.step == count
        assert not state.ended
        reconstructor.step([state])
    assert (state.step, state.steps) == (expected, expected)
    assert len(first.seen) + len(second.seen) == expected
    assert len(state.ended) == 1


def test_before_is_what_the_stage_before_gave():
    first, second = FakeStage(points=16), FakeStage()
    reconstructor = model(first, second)
    (state,) = begin(reconstructor, replace(PLAIN, steps=2, candidates=2))
    for _ in range(2):
        reconstructor.step([state])
    assert state.stage == 1
    given = torch.stack([item for item in state.before if item is not None])
    assert given.shape == (2, 16, 3)
    reconstructor.step([state])
    _, _, _, before = second.seen[0]
    assert before is not None
    torch.testing.assert_close(before, given)


def test_a_stage_settles_clouds_before_each_evaluation_and_at_the_end():
    stage = CentredStage()
    reconstructor = model(stage)
    (state,) = begin(reconstructor, PLAIN)
    run(reconstructor, [state])
    for x, *_ in stage.seen:
        torch.testing.assert_close(x.mean(dim=1), torch.zeros(1, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(ended(state).mean(dim=1), torch.zeros(1, 3), atol=1e-5, rtol=0)
    assert [sigma for _, sigma, _ in stage.settled] == list(KARRAS.schedule(4))


def test_the_second_stage_settles_with_what_came_before():
    first, second = FakeStage(points=16), FakeStage()
    reconstructor = model(first, second)
    run(reconstructor, begin(reconstructor, PLAIN))
    assert not any(known for _, _, known in first.settled)
    assert all(known for _, _, known in second.settled)


@pytest.mark.parametrize("noise", [DISCRETE, KARRAS])
def test_the_first_cloud_has_the_variance_that_the_noise_says(noise):
    (state,) = begin(model(FakeStage(noise=noise)), replace(PLAIN, num_points=10_000))
    way = state.candidates[0]
    expected = (1 + way.sigma**2) ** 0.5 if noise.starts_at_one else way.sigma
    assert float(way.x.std()) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("stages", [1, 2])
def test_nan_names_the_rows_and_changes_no_state(stages):
    layers = [FakeStage(points=16), FakeStage()][-stages:]
    layers[-1].bad = 0.25  # jobs 2 and 3 of 0 .. 3
    reconstructor = model(*layers)
    wanted = [replace(PLAIN, seed=seed, num_points=300 + 100 * (seed % 2)) for seed in range(4)]
    wanted[3] = replace(wanted[3], candidates=2)
    states = begin(reconstructor, *wanted)
    for _ in range(4 * (stages - 1)):
        reconstructor.step(states)
    before = [state.candidates[0].x.clone() for state in states]
    with pytest.raises(NonFiniteError) as caught:
        reconstructor.step(states)
    assert caught.value.rows == (2, 3)
    assert all(state.step == 4 * (stages - 1) for state in states)
    for state, x in zip(states, before, strict=True):
        torch.testing.assert_close(state.candidates[0].x, x, rtol=0, atol=0)
    run(reconstructor, states[:2])  # the others can go on
    assert all(state.ended for state in states[:2])


def test_nan_without_the_picture_is_found_too():
    class Broken(FakeStage):
        def denoise(
            self, x: Tensor, sigma: Tensor, given: Given, drop: Tensor | None, before: Tensor | None
        ) -> Tensor:
            out = super().denoise(x, sigma, given, drop, before)
            return out if drop is None else torch.where(drop.view(-1, 1, 1), torch.inf, out)

    reconstructor = model(Broken())
    states = begin(reconstructor, PLAIN, replace(PLAIN, guidance_scale=2.0), PLAIN)
    with pytest.raises(NonFiniteError) as caught:
        reconstructor.step(states)
    assert caught.value.rows == (1,)


def test_looking_on_the_way_leaves_the_state_as_it_is():
    seen, unseen = (begin(model(FakeStage(points=16), FakeStage()), PLAIN)[0] for _ in range(2))
    reconstructor = model(FakeStage(points=16), FakeStage())
    shown = 0
    while seen.step < seen.steps:
        cloud = reconstructor.preview(seen)
        shown += cloud is not None
        assert cloud is None or (seen.stage == 1 and len(cloud) == 300)
        reconstructor.step([seen])
    run(reconstructor, [unseen])
    assert shown == 3  # not before the last stage has been evaluated
    assert ended(seen).equal(ended(unseen))
    assert seen.generator.get_state().equal(unseen.generator.get_state())


def test_previews_are_small():
    reconstructor = model(FakeStage())
    (state,) = begin(reconstructor, replace(PLAIN, num_points=5000))
    reconstructor.step([state])
    cloud = reconstructor.preview(state)
    assert cloud is not None
    assert len(cloud) == PREVIEW_POINTS


@pytest.mark.parametrize("points", [0, 100, 1000])
def test_the_result_has_the_points_that_were_asked_for(points):
    reconstructor = model(FakeStage(points=points))
    (state,) = begin(reconstructor, PLAIN)
    run(reconstructor, [state])
    cloud = reconstructor.finish(state).points
    assert len(cloud) == 300
    assert np.linalg.norm(cloud.positions, axis=1).max() <= 0.5 + 1e-5


def test_a_mesh_of_the_systems_own_shares_the_frame():
    system = FakeSystem(FakeStage())
    system.own_mesh = True
    reconstructor = PointDiffusion(DPM_MINI, system, CPU)
    (state,) = begin(reconstructor, PLAIN)
    run(reconstructor, [state])
    result = reconstructor.finish(state)
    assert result.mesh is not None
    moved = result.mesh.vertices - result.points.positions[:3]
    assert np.abs(moved).max() < 0.2  # but for the outermost points, which are drawn in


def test_unfinished_states_give_nothing():
    reconstructor = model(FakeStage())
    (state,) = begin(reconstructor, PLAIN)
    with pytest.raises(ValueError, match="stepped to its end"):
        reconstructor.finish(state)


def test_the_candidate_that_fits_the_outline_is_kept():
    reconstructor = model(FakeStage())
    rgba = torch.zeros(1, 4, 48, 48)
    rgba[:, 3, :, 24:] = 1  # the right half
    given = reconstructor.encode(PreparedImages(rgba))
    wanted = replace(PLAIN, candidates=3, num_points=2000)
    state = reconstructor.start(given.row(0), wanted, torch.Generator().manual_seed(0))
    run(reconstructor, [state])
    square = torch.rand(2000, 3, generator=torch.Generator().manual_seed(0)) - 0.5
    left, right = square * torch.tensor([0.5, 1, 1]), square * torch.tensor([0.5, 1, 1])
    left[:, 0] -= 0.25
    right[:, 0] += 0.25
    state.ended = [left, right * torch.tensor([1, 1, 0.2]), square]
    cloud = reconstructor.finish(state).points
    depth = np.ptp(cloud.positions[:, 2]) / np.ptp(cloud.positions[:, 1])
    assert depth == pytest.approx(0.2, rel=0.05)  # the second's


def test_the_system_begins_once_for_each_job():
    system = FakeSystem(FakeStage(), FakeStage())
    reconstructor = PointDiffusion(DPM_MINI, system, CPU)
    states = begin(reconstructor, *WANTED)
    run(reconstructor, states)
    assert system.begun == len(WANTED)


def test_given_is_stacked_and_taken_by_row():
    parts = [
        Given(torch.full((1, 4, 2, 2), k), torch.full((1, 5), k), {"code": torch.full((1, 3), k)})
        for k in (0.0, 1.0, 2.0)
    ]
    whole = Given.stacked(parts)
    rows = whole.rows(torch.tensor([2, 0, 2]))
    for tensor in (rows.rgba, rows.camera, rows.features["code"]):
        assert tensor.flatten(1)[:, 0].tolist() == [2, 0, 2]
    assert whole.row(1).features["code"].tolist() == [[1, 1, 1]]
