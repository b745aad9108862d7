import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from models.errors import ParameterError, UnknownModelError
from training.evaluate import (
    keep_baselines,
    known_baselines,
    model_report,
    parse,
    provenance,
    to_plan,
)
from training.evaluator import Evaluator, Plan, run
from training.meshes import MeshPack


@pytest.fixture
def plan(pack, tmp_path, monkeypatch):
    """Two small baselines and `draft` on one object of the little pack."""
    monkeypatch.setattr(MeshPack, "load", lambda *_: pack)
    monkeypatch.setattr("training.scoring.PICTURE_SIZE", 96)
    monkeypatch.setattr("training.scoring.TRUTH_POINTS", 1024)
    monkeypatch.setattr("training.baselines._SAMPLED_OBJECTS", 10)
    monkeypatch.setattr("training.baselines._SPHERE_OBJECTS", 10)
    return Plan(
        pack=Path("pack"),
        manifest=Path("manifest"),
        cache_dir=tmp_path / "runs",
        model="draft",
        given=(("seed", 0),),
        weights=None,
        baselines=("sphere",),
        num_points=256,
        objects=1,
        seed=0,
    )


def test_a_run_scores_every_picture_with_every_predictor(plan):
    done = run(plan, strips=1)
    assert set(done.items) == {"sphere", "draft, track A", "draft, track B"}
    for items in done.items.values():
        assert [item.picture for item in items] == [0, 1]
        assert set(items[0].rows) == {"raw", "st", "icp"}
    [strip] = done.strips
    assert strip.f_score == done.items["draft, track A"][0].rows["st"]["f@0.02"]


def test_baselines_are_kept_and_compared_with_picture_by_picture(plan, tmp_path):
    file = tmp_path / "evaluation-baselines-val.json"
    alone = dataclasses.replace(plan, model=None, objects=2)
    first = run(alone)
    stated = provenance(alone, first, workers=1, code="abc")
    keep_baselines(alone, first, stated, file)
    kept = known_baselines(stated, file)
    assert [item.path for item in kept["sphere"]] == [item.path for item in first.items["sphere"]]

    model_only = dataclasses.replace(plan, baselines=())
    done = run(model_only)
    report = model_report("draft", model_only, done, stated, kept)
    assert set(report["results"]) == {"draft, track A", "draft, track B"}
    assert report["baselines"]["sphere"]["objects"] == 1  # of the two, the one that draft saw
    cell = report["compared"]["draft, track A"]["sphere"]["f@0.02"]
    [category] = cell["categories"].values()
    ours = [item.rows["st"]["f@0.02"] for item in done.items["draft, track A"]]
    assert category["ours"] == pytest.approx(np.mean(ours), abs=1e-5)
    assert json.loads(json.dumps(report)) == report


def test_what_there_is_is_kept_on_the_way(plan, monkeypatch):
    monkeypatch.setattr("training.evaluator._KEPT_OBJECTS", 1)
    counts = []
    alone = dataclasses.replace(plan, model=None, objects=3)
    run(alone, keep=lambda done: counts.append(len(done.items["sphere"])))
    assert counts == [2, 4, 6]


def test_baselines_of_other_pictures_are_not_used(plan, tmp_path):
    file = tmp_path / "evaluation-baselines-val.json"
    alone = dataclasses.replace(plan, model=None)
    done = run(alone)
    stated = provenance(alone, done, workers=1, code="abc")
    keep_baselines(alone, done, stated, file)
    assert known_baselines({**stated, "seed": 1}, file) == {}
    assert known_baselines({**stated, "pack": "other"}, file) == {}
    assert known_baselines(stated, tmp_path / "missing.json") == {}


def test_another_baseline_joins_those_in_the_file(plan, tmp_path):
    file = tmp_path / "evaluation-baselines-val.json"
    for name in ("sphere", "mean"):
        alone = dataclasses.replace(plan, model=None, baselines=(name,))
        done = run(alone)
        keep_baselines(alone, done, provenance(alone, done, workers=1, code="abc"), file)
    assert set(json.loads(file.read_text())) == {"sphere", "mean shape"}


def test_what_a_table_must_state(plan):
    alone = dataclasses.replace(plan, model=None)
    done = run(alone)
    stated = provenance(alone, done, workers=1, code="abc")
    assert stated["hardware"]["processor"]
    assert stated["hardware"]["threads"] >= 1
    assert stated["commit"] == "abc"
    assert stated["peak_memory_bytes"] > 10_000_000
    assert {"seed", "pack", "seconds", "workers"} <= stated.keys()


def test_a_mesh_without_extent_gives_no_picture(plan, monkeypatch):
    evaluator = Evaluator(dataclasses.replace(plan, model=None))
    mesh = dataclasses.replace(evaluator.pack.mesh(0), vertices=np.zeros((8, 3), np.float32))
    monkeypatch.setattr(MeshPack, "mesh", lambda self, k: mesh)
    assert evaluator.score(0, 0, shown=False) is None


def test_arguments():
    args = parse(["draft", "--objects", "7", "--num-points", "1024", "--baselines", "oracle,mean"])
    assert (args.model, args.objects, args.num_points, args.split) == ("draft", 7, 1024, "val")
    assert args.baselines == ("mean", "oracle")
    assert parse(["--baselines", "all"]).baselines == ("sphere", "mean", "retrieval", "oracle")
    assert to_plan(args).given == (("seed", 0),)


@pytest.mark.parametrize("argv", [[], ["draft", "--baselines", "spere"]])
def test_arguments_that_say_nothing_or_nonsense(argv, capsys):
    with pytest.raises(SystemExit):
        parse(argv)
    assert "baselines" in capsys.readouterr().err


def test_the_card_checks_parameters_before_anything_is_loaded():
    with pytest.raises(ParameterError, match="steps"):
        to_plan(parse(["draft", "--steps", "4"]))
    with pytest.raises(UnknownModelError):
        to_plan(parse(["drift"]))
