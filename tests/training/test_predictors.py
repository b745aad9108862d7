import dataclasses
import hashlib

import numpy as np
import pytest
from safetensors.torch import save_file

from benchmarks.untrained import untrained
from models.catalog import CANDIDATES, DRAFT, GUIDANCE_SCALE, SAMPLER, STEPS, get_card
from models.checkpoints import WEIGHTS, load_tensors
from models.encoders.own import OWN_PREFIX
from models.errors import ParameterError, WeightsError
from tests.training.shapes import pack_mesh
from tests.training.shapes import sphere as sphere_mesh
from training.dataset import validation_picture
from training.predictors import as_rgba, sampling_params, served_model, weights_hashes

SAMPLED = dataclasses.replace(
    DRAFT,
    parameters=(*DRAFT.parameters, STEPS, SAMPLER, GUIDANCE_SCALE, CANDIDATES),
)


@pytest.fixture(scope="module")
def ball():
    mesh = pack_mesh(*sphere_mesh(0.5, 24))
    return validation_picture(mesh, 0, np.random.default_rng(0), 128, 4096)


def test_the_served_model_finds_the_ball_round(ball):
    cloud = served_model("draft", 2048)(ball.rgba)
    assert len(cloud) == 2048
    extent = np.ptp(cloud.positions, axis=0)
    assert extent.min() > 0.5 * extent.max()
    colors = cloud.colors
    assert colors is not None
    front = colors[cloud.positions[:, 2] > 0.2].mean(axis=0)
    seen = ball.rgba[ball.rgba[..., 3] == 255][:, :3].mean(axis=0)
    np.testing.assert_allclose(front, seen, atol=30)


def test_unpublished_weights_are_those_of_the_file(ball, tmp_path):
    tensors = load_tensors(DRAFT)
    save_file(tensors, tmp_path / "same.safetensors")
    same = served_model("draft", 512, weights=tmp_path / "same.safetensors")(ball.rgba)
    published = served_model("draft", 512)(ball.rgba)
    np.testing.assert_array_equal(same.positions, published.positions)
    save_file({name: t * 0.9 for name, t in tensors.items()}, tmp_path / "other.safetensors")
    other = served_model("draft", 512, weights=tmp_path / "other.safetensors")(ball.rgba)
    assert not np.array_equal(other.positions, published.positions)


def test_a_file_may_leave_out_the_encoder_that_the_minis_share(tmp_path):
    whole = untrained(get_card("dit3d-mini"))
    own = {name: t for name, t in whole.items() if name.startswith(OWN_PREFIX)}
    assert 0 < len(own) < len(whole)
    save_file(own, tmp_path / "own.safetensors")
    served = served_model("dit3d-mini", 256, weights=tmp_path / "own.safetensors")
    assert served.model.card.id == "dit3d-mini"
    save_file({}, tmp_path / "empty.safetensors")
    with pytest.raises(WeightsError):
        served_model("draft", 256, weights=tmp_path / "empty.safetensors")


def test_a_file_that_is_no_safetensors_is_a_weights_error(tmp_path):
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    with pytest.raises(WeightsError, match=r"bad\.safetensors"):
        served_model("draft", 512, weights=tmp_path / "bad.safetensors")


def test_hashes_are_of_the_files_that_were_scored():
    [published] = DRAFT.weights
    assert weights_hashes("draft", None) == [published.sha256]
    assert weights_hashes("draft", WEIGHTS / published.name) == [published.sha256]
    assert hashlib.sha256((WEIGHTS / published.name).read_bytes()).hexdigest() == published.sha256


def test_parameters_go_through_the_card():
    given: dict[str, int | float | str] = {"num_points": 512, "steps": 4, "sampler": "heun"}
    params = sampling_params(SAMPLED, {**given, "guidance_scale": 2.0, "candidates": 3})
    assert (params.num_points, params.steps, params.sampler) == (512, 4, "heun")
    assert (params.guidance_scale, params.candidates, params.seed) == (2.0, 3, 0)
    assert sampling_params(DRAFT, {}).steps == DRAFT.steps


@pytest.mark.parametrize(
    ("card", "given", "field"),
    [
        (DRAFT, {"steps": 4}, "steps"),
        (SAMPLED, {"steps": 10_000}, "steps"),
        (SAMPLED, {"sampler": "magic"}, "sampler"),
    ],
)
def test_what_the_card_does_not_know_is_an_error(card, given, field):
    with pytest.raises(ParameterError) as caught:
        sampling_params(card, given)
    assert caught.value.field == field


def test_track_b_has_no_alpha_left(ball):
    assert (as_rgba(ball, "A")[..., 3] == 0).any()
    assert (as_rgba(ball, "B")[..., 3] == 255).all()
