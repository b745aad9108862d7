import numpy as np
import pytest

from training.baselines import (
    BASELINES,
    ROW_NAMES,
    baseline_predictors,
    best_sphere_radius,
    fallback_sphere,
    mean_shape,
    medoid,
    nearest_object,
    sphere,
)
from training.camera import frame_vertices
from training.dataset import validation_picture
from training.meshes import split
from training.metrics import Cloud, chamfer
from training.shape_search import ShapeIndex


def test_the_best_sphere_for_spheres_is_their_own():
    clouds = [sphere(0.35, 1024).positions] * 3
    assert best_sphere_radius(clouds) == pytest.approx(0.35, abs=0.011)


def test_the_medoid_is_the_one_in_the_middle():
    base = sphere(0.3, 128).positions
    clouds = [base * scale for scale in (0.5, 1.0, 1.1, 2.0)]
    assert medoid([cloud.astype(np.float32) for cloud in clouds]) in (1, 2)


def test_fixed_shapes_are_found_once(pack, tmp_path, monkeypatch):
    train = split(pack).train[:12]
    first = fallback_sphere(pack, train, 300, tmp_path), mean_shape(pack, train, 300, tmp_path)
    monkeypatch.setattr("training.baselines.best_sphere_radius", None)  # a call would fail
    monkeypatch.setattr("training.baselines.medoid", None)
    again = fallback_sphere(pack, train, 300, tmp_path), mean_shape(pack, train, 300, tmp_path)
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.positions, two.positions)
        assert len(one) == 300


def test_the_oracle_finds_the_object_itself_and_its_turn():
    rng = np.random.default_rng(0)
    drawn = [rng.normal(size=(300, 3)) * rng.uniform(0.2, 1, 3) for _ in range(40)]
    shapes = [frame_vertices(shape.astype(np.float32), 0.0) for shape in drawn]
    index = ShapeIndex.build(np.stack(shapes))
    for row, yaw in ((3, 0), (17, 2), (30, 5)):
        assert nearest_object(index, index.framed(row, yaw), shortlist=10) == (row, yaw)


def test_the_oracle_is_as_good_as_trying_everything():
    rng = np.random.default_rng(1)
    index = ShapeIndex.build(rng.normal(size=(12, 200, 3)).astype(np.float32))
    points = frame_vertices(rng.normal(size=(400, 3)).astype(np.float32), 0.0)
    found = nearest_object(index, points)
    every = {
        (row, yaw): chamfer(Cloud(index.framed(row, yaw)), Cloud(points))
        for row in range(12)
        for yaw in range(8)
    }
    assert every[found] == pytest.approx(min(every.values()), rel=0.02)


def test_every_baseline_gives_its_rows(pack, tmp_path):
    parts = split(pack)
    picture = validation_picture(
        pack.mesh(int(parts.val[0])), 0, np.random.default_rng(0), 128, 1024
    )
    for name in BASELINES:
        rows = baseline_predictors(name, pack, parts.train[:10], 256, tmp_path)
        assert tuple(rows) == ROW_NAMES[name]
        for predictor in rows.values():
            assert len(predictor(picture)) == 256
