from dataclasses import replace

import numpy as np
import pytest
import torch

from models.catalog import BOZZETTO_XS
from models.contract import PREVIEW_POINTS, PreparedImages, SamplingParams
from models.diffusion import bozzetto
from models.diffusion.bozzetto import Bozzetto, BozzettoState, load_bozzetto
from models.diffusion.denoiser import DenoiserConfig
from models.diffusion.network import BozzettoConfig, BozzettoNet
from models.errors import NonFiniteError, WeightsError
from models.feedforward.draft import DraftConfig

CPU = torch.device("cpu")
SMALL = BozzettoConfig(
    DraftConfig(image_size=32, channels=(8, 16, 16), width=32, layers=1, heads=2),
    DenoiserConfig(width=32, features=16, latents=8, rounds=2, heads=2),
)
CARD = replace(BOZZETTO_XS, image_size=32, weights=())


@pytest.fixture
def model() -> Bozzetto:
    torch.manual_seed(0)
    small = Bozzetto(CARD, BozzettoNet(SMALL), CPU)
    small.half = False
    return small


def pictures(count: int) -> PreparedImages:
    torch.manual_seed(1)
    rgba = torch.rand(count, 4, 32, 32)
    rgba[:, 3] = 0
    rgba[:, 3, 4:28, 8:24] = 1
    return PreparedImages(rgba)


def start(model: Bozzetto, *wanted: SamplingParams) -> list[BozzettoState]:
    given = model.encode(pictures(len(wanted)))
    return [
        model.start(given.row(row), item, torch.Generator().manual_seed(item.seed))
        for row, item in enumerate(wanted)
    ]


def finish(model: Bozzetto, states: list[BozzettoState]):
    while running := [state for state in states if state.step < state.steps]:
        model.step(running)
    return [model.finish(state) for state in states]


PLAIN = SamplingParams(num_points=300, steps=3, seed=1)


def test_jobs_of_all_kinds_share_a_batch_and_are_as_if_alone(model):
    wanted = [
        PLAIN,
        replace(PLAIN, num_points=700, steps=5, seed=2),
        replace(PLAIN, sampler="heun", seed=3),
        replace(PLAIN, sampler="ddpm", guidance_scale=2.5, seed=4),
        replace(PLAIN, sampler="dpmpp_2m", candidates=3, seed=5),
    ]
    together = finish(model, start(model, *wanted))
    for row, item in enumerate(wanted):
        states = start(model, *wanted)
        (alone,) = finish(model, states[row : row + 1])
        assert len(alone.points) == item.num_points
        np.testing.assert_allclose(
            together[row].points.positions, alone.points.positions, atol=1e-3
        )


def test_a_step_of_heun_is_two_evaluations(model):
    (state,) = start(model, replace(PLAIN, sampler="heun", steps=4))
    assert state.steps == 7


def test_guidance_changes_the_object(model):
    plain, guided = finish(model, start(model, PLAIN, replace(PLAIN, guidance_scale=3.0)))
    assert np.abs(plain.points.positions - guided.points.positions).max() > 1e-3


def test_the_best_candidate_is_one_of_those_sampled(model, monkeypatch):
    asked = []

    def last(candidates, alpha):
        asked.append((len(candidates), alpha.shape))
        return len(candidates) - 1

    monkeypatch.setattr(bozzetto, "best_outline", last)
    (state,) = start(model, replace(PLAIN, candidates=3))
    (result,) = finish(model, [state])
    assert asked == [(3, (32, 32))]
    assert len(result.points) == 300


def test_pieces_of_a_large_batch_make_no_difference(model, monkeypatch):
    wanted = [replace(PLAIN, candidates=2), replace(PLAIN, seed=9, candidates=2)]
    whole = finish(model, start(model, *wanted))
    monkeypatch.setattr(bozzetto, "_POINTS_AT_ONCE", 400)
    pieces = finish(model, start(model, *wanted))
    for one, other in zip(whole, pieces, strict=True):
        np.testing.assert_allclose(one.points.positions, other.points.positions, atol=1e-3)


def test_nan_in_one_job_stops_no_other(model):
    good, bad = start(model, PLAIN, PLAIN)
    bad.candidates[0].x[5, 1] = torch.nan
    with pytest.raises(NonFiniteError) as caught:
        model.step([good, bad])
    assert caught.value.rows == (1,)
    assert (good.step, bad.step) == (0, 0)
    finish(model, [good])


def test_a_picture_that_breaks_the_encoder_is_found_at_the_first_step(model):
    images = pictures(2)
    images.rgba[0] = torch.nan
    given = model.encode(images)
    states = [model.start(given.row(k), PLAIN, torch.Generator().manual_seed(0)) for k in (0, 1)]
    with pytest.raises(NonFiniteError) as caught:
        model.step(states)
    assert caught.value.rows == (0,)


def test_previews_begin_with_the_first_evaluation(model):
    (state,) = start(model, replace(PLAIN, num_points=5000))
    assert model.preview(state) is None
    model.step([state])
    cloud = model.preview(state)
    assert cloud is not None
    assert len(cloud) == PREVIEW_POINTS
    assert np.linalg.norm(cloud.positions, axis=1).max() == pytest.approx(0.5, abs=1e-4)
    assert state.step == 1


def test_nothing_is_finished_before_its_last_step(model):
    (state,) = start(model, PLAIN)
    with pytest.raises(ValueError, match="end"):
        model.finish(state)
    model.step([state])
    with pytest.raises(ValueError, match="end"):
        model.finish(state)


def test_weights_of_another_model_are_refused():
    with pytest.raises(WeightsError, match="bozzetto-xs: the weights do not fit"):
        load_bozzetto(BOZZETTO_XS, BozzettoNet(SMALL).state_dict(), CPU)
