import dataclasses
import json

import numpy as np
import pytest

from models.catalog import CANDIDATES, DRAFT, GUIDANCE_SCALE, SAMPLER, STEPS
from models.contract import SamplingParams
from models.errors import NoForegroundError, ParameterError
from tests.fakes_model import FakeModel
from tests.training.shapes import pack_mesh
from tests.training.shapes import sphere as sphere_mesh
from training import curve
from training.baselines import sphere
from training.curve import Shown, markdown, measure, parse, settings
from training.dataset import validation_picture
from training.meshes import MeshPack
from training.metrics import Cloud
from training.predictors import ServedModel, on_track

SAMPLED = dataclasses.replace(
    DRAFT, parameters=(*DRAFT.parameters, STEPS, SAMPLER, GUIDANCE_SCALE, CANDIDATES)
)
NO_PARAMS = SamplingParams(num_points=1, steps=1, seed=0)  # the curve has its own


@pytest.fixture(scope="module")
def shown():
    mesh = pack_mesh(*sphere_mesh(0.5, 24))
    drawn = [validation_picture(mesh, 0, np.random.default_rng(k), 96, 2048) for k in range(2)]
    return [Shown(picture, Cloud(picture.points)) for picture in drawn]


def test_every_sampler_goes_with_every_number_of_steps():
    args = parse(["draft", "--steps", "2,5", "--samplers", "heun,ddim", "--guidance-scale", "2"])
    found = [(item.sampler, item.steps, item.guidance_scale) for item in settings(SAMPLED, args)]
    assert found == [("heun", 2, 2.0), ("heun", 5, 2.0), ("ddim", 2, 2.0), ("ddim", 5, 2.0)]


@pytest.mark.parametrize(("card", "field"), [(DRAFT, "sampler"), (SAMPLED, "steps")])
def test_a_model_that_does_not_take_the_steps_has_no_curve(card, field):
    with pytest.raises(ParameterError) as caught:
        settings(card, parse(["draft", "--steps", "65", "--samplers", "euler"]))
    assert caught.value.field == field


def test_more_steps_are_better_where_they_are(shown):
    def guess(steps):
        noise = np.random.default_rng(0).normal(size=(1000, 3)) / 8 / steps
        ball = sphere(0.5, 1000)
        return lambda _: dataclasses.replace(
            ball, positions=(ball.positions + noise).astype(np.float32)
        )

    params = settings(SAMPLED, parse(["draft", "--steps", "1,4", "--samplers", "euler"]))
    one, four = measure([(item, guess(item.steps)) for item in params], shown, sphere(0.2, 500))
    assert (one.steps, four.steps) == (1, 4)
    assert four.means["cd"] < 0.5 * one.means["cd"]
    assert four.means["f@0.05"] > one.means["f@0.05"]


def test_refused_pictures_are_counted_and_scored_as_the_fallback(shown):
    def refuse(_):
        raise NoForegroundError("nothing")

    [params] = settings(SAMPLED, parse(["draft", "--steps", "1", "--samplers", "euler"]))
    [point] = measure([(params, refuse)], shown, sphere(0.5, 2000))
    assert point.refused == 2
    assert point.means["cd"] < 0.02


def test_the_steps_reach_the_model(shown):
    model = FakeModel(card=SAMPLED)
    params = settings(SAMPLED, parse(["draft", "--steps", "1,3", "--samplers", "euler"]))
    predictors = [(item, on_track(ServedModel(model, item), "A")) for item in params]
    points = list(measure(predictors, shown, sphere(0.5, 100)))
    assert [point.steps for point in points] == [1, 3]
    assert len(model.batches) == 3 * (1 + 3)  # two pictures, and one to warm up


def test_the_file_has_the_points_and_what_they_were_measured_on(pack, tmp_path, monkeypatch):
    monkeypatch.setattr(MeshPack, "load", lambda *_: pack)
    monkeypatch.setattr("training.scoring.PICTURE_SIZE", 96)
    monkeypatch.setattr("training.scoring.TRUTH_POINTS", 1024)
    monkeypatch.setattr("training.baselines._SPHERE_OBJECTS", 10)
    monkeypatch.setattr(curve, "get_card", lambda _: SAMPLED)
    fake = FakeModel(card=SAMPLED)
    monkeypatch.setattr(curve, "served_model", lambda *_, **__: ServedModel(fake, NO_PARAMS))
    args = parse(["draft", "--steps", "1,2", "--samplers", "euler", "--objects", "1"])
    args.results, args.cache = tmp_path, tmp_path
    points = curve.run(args)
    report = json.loads((tmp_path / "curve-draft.json").read_text())
    assert report["points"] == [dataclasses.asdict(point) for point in points]
    assert (report["objects"], report["pictures"]) == (1, 2)
    assert report["hardware"]["processor"]
    assert markdown(points).count("| euler |") == 2
