import dataclasses
import json

import numpy as np
import pytest

from models.catalog import DRAFT, SAMPLER, STEPS
from models.contract import SamplingParams
from models.errors import NonFiniteError
from tests.fakes_model import FakeModel
from tests.training.shapes import pack_mesh
from tests.training.shapes import sphere as sphere_mesh
from training import compare, step_study
from training.baselines import sphere
from training.curve import Shown
from training.dataset import validation_picture
from training.meshes import MeshPack
from training.metrics import Cloud
from training.predictors import ServedModel
from training.step_study import Setting, losses, measure, sample, settings

SAMPLED = dataclasses.replace(
    DRAFT, parameters=(*DRAFT.parameters, dataclasses.replace(STEPS, maximum=1000), SAMPLER)
)
FEW = (("ddim", 2), ("ddpm", 3))


@pytest.fixture(scope="module")
def shown():
    mesh = pack_mesh(*sphere_mesh(0.5, 24))
    drawn = [validation_picture(mesh, 0, np.random.default_rng(k), 96, 1024) for k in range(2)]
    return [Shown(picture, Cloud(picture.points)) for picture in drawn]


def setting(sampler, steps, values):
    return Setting(sampler, steps, {}, (0.0, 1.0), values, 1.0, 0)


def test_it_takes_few_and_many_steps():
    found = [(item.sampler, item.steps) for item in settings(SAMPLED, 256, 0)]
    assert found == [("ddim", 16), ("ddim", 32), ("ddim", 64), ("ddim", 1000), ("ddpm", 1000)]


def test_pictures_share_every_step_and_come_out_as_alone(shown):
    model = FakeModel(card=SAMPLED)
    served = ServedModel(model, SamplingParams(num_points=64, steps=3, seed=5))
    pictures = [item.picture.rgba for item in shown]
    together = sample(served, pictures)
    assert model.batches == [(5, 5)] * 3
    for picture, cloud in zip(pictures, together, strict=True):
        assert cloud is not None
        assert np.array_equal(cloud.positions, served(picture).positions)


def test_a_refused_picture_leaves_the_others_alone(shown):
    def break_the_first(states):
        if len(states) == 2:
            raise NonFiniteError((0,))

    model = FakeModel(card=SAMPLED, before_step=break_the_first)
    served = ServedModel(model, SamplingParams(num_points=64, steps=2, seed=5))
    empty = np.zeros_like(shown[0].picture.rgba)
    first, second, third = sample(served, [shown[0].picture.rgba, shown[1].picture.rgba, empty])
    assert first is None
    assert third is None
    assert second is not None
    [point] = measure([served], shown, sphere(0.5, 500))
    assert point.refused == 1


def test_a_loss_is_a_share_of_what_many_steps_reach():
    found = [
        setting("ddim", 16, [0.4, 0.2]),
        setting("ddim", 1000, [0.5, 0.25]),
        setting("ddpm", 1000, [0.3, 0.15]),
    ]
    against_ddim, against_ddpm = losses(found)
    assert (against_ddim["against"], against_ddpm["against"]) == ("ddim 1000", "ddpm 1000")
    assert against_ddim["loss"] == pytest.approx(0.2)
    assert against_ddim["interval"] == [0.2, 0.2]  # the same share of every picture
    assert against_ddpm["loss"] == pytest.approx(-1 / 3, abs=1e-4)


def test_nothing_is_lost_against_nothing():
    assert losses([setting("ddim", 16, [0.1]), setting("ddim", 1000, [0.0])]) == []


def test_the_file_says_on_what_it_was_measured(pack, tmp_path, monkeypatch):
    monkeypatch.setattr(MeshPack, "load", lambda *_: pack)
    monkeypatch.setattr("training.scoring.PICTURE_SIZE", 96)
    monkeypatch.setattr("training.scoring.TRUTH_POINTS", 1024)
    monkeypatch.setattr("training.baselines._SPHERE_OBJECTS", 10)
    monkeypatch.setattr(step_study, "get_card", lambda _: SAMPLED)
    served = ServedModel(FakeModel(card=SAMPLED), SamplingParams(1, 1, 0))
    monkeypatch.setattr(step_study, "served_model", lambda *_, **__: served)
    monkeypatch.setattr(step_study.run, "__defaults__", (FEW,))
    options = ["--steps", "draft", "--objects", "2", "--num-points", "256", "--cache"]
    compare.study(compare.parse([*options, str(tmp_path), "--results", str(tmp_path)]))
    report = json.loads((tmp_path / "steps-draft.json").read_text())
    assert (report["objects"], report["pictures"], report["num_points"]) == (2, 2, 256)
    assert [(p["sampler"], p["steps"]) for p in report["points"]] == list(FEW)
    assert [(row["steps"], row["against"]) for row in report["losses"]] == [(2, "ddpm 3")]
