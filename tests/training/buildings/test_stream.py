import sys
from argparse import Namespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from models.feedforward.draft import DraftConfig, DraftNet
from training.buildings import evaluate, write
from training.buildings.evaluate import best_sphere, held_out
from training.buildings.stream import ELEVATION, BuildingStream
from training.samples import FIELDS, SampleStream


def first_batch(seed=0):
    return next(iter(BuildingStream(seed, 6, size=32, target_size=16, n_points=64)))


def test_the_camera_is_an_aerial_one():
    elevation = np.degrees(first_batch()["camera"][:, 0].numpy())

    assert (elevation >= ELEVATION[0]).all()
    assert (elevation <= ELEVATION[1]).all()


def test_a_batch_is_in_the_form_of_the_other_stream_and_fixed_by_its_seed():
    first, again, other = first_batch(), first_batch(), first_batch(1)

    assert first["picture"].shape == (6, 32, 32, 4)
    assert first["points"].shape == (6, 64, 3)
    assert float(first["points"].norm(dim=-1).max()) <= 0.5 + 1e-4
    torch.testing.assert_close(first["points"], again["points"])
    assert not torch.equal(first["points"], other["points"])


def test_a_written_set_can_be_trained_from(tmp_path, monkeypatch):
    argv = ["write", "--count", "20", "--points", "48", "--size", "32", "--workers", "0"]
    monkeypatch.setattr(sys, "argv", [*argv, "--out", str(tmp_path)])
    write.main()

    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.npy" for name in FIELDS}
    assert np.load(tmp_path / "points.npy").shape == (20, 48, 3)
    batch = next(iter(SampleStream(tmp_path, 4, 48, 0)))
    assert batch["picture"].shape == (4, 32, 32, 4)


def test_held_out_buildings_depend_on_their_number_alone():
    two, three = (list(held_out(count, 48, 128)) for count in (2, 3))

    assert [picture.path for picture in three[:2]] == [picture.path for picture in two]
    assert len({picture.path for picture in three}) == 3
    np.testing.assert_array_equal(two[1].points, three[1].points)
    degrees = np.degrees([picture.camera.elevation for picture in three])
    assert ((degrees >= ELEVATION[0]) & (degrees <= ELEVATION[1])).all()


def test_the_best_sphere_is_inside_the_truths(monkeypatch):
    monkeypatch.setattr(evaluate, "_SPHERE_BUILDINGS", 4)
    monkeypatch.setattr(evaluate, "_SPHERE_POINTS", 128)
    monkeypatch.setattr("training.baselines._SAMPLED_POINTS", 128)
    radius = np.linalg.norm(best_sphere(200).positions, axis=1)

    assert np.ptp(radius) < 1e-5
    assert 0.15 <= radius[0] < 0.5


@pytest.fixture
def args(tmp_path, monkeypatch):
    """`draft` with random weights, on small pictures."""
    torch.manual_seed(0)
    weights = tmp_path / "weights.safetensors"
    save_file(DraftNet(DraftConfig(image_size=96)).state_dict(), weights)
    monkeypatch.setattr(evaluate, "_SPHERE_BUILDINGS", 2)
    monkeypatch.setattr("training.baselines._SAMPLED_POINTS", 64)
    monkeypatch.setattr(evaluate, "held_out", lambda count: held_out(count, 96, 512))
    rest = dict.fromkeys(("steps", "sampler", "guidance_scale", "candidates"))
    return Namespace(model="draft", objects=2, num_points=256, seed=0, weights=weights, **rest)


def test_a_report_has_the_rows_of_both_tracks_and_of_the_sphere(args):
    found, strips = evaluate.report(args)

    assert set(found["results"]) == {"draft, track A", "draft, track B", "sphere"}
    for result in found["results"].values():
        assert result["objects"] == 2
        for metric in ("cd", "f@0.02", "f@0.05"):
            assert np.isfinite(result["st"][metric]["overall"])
    assert len(strips) == 2
