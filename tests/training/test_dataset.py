from dataclasses import fields, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from tests.training.shapes import box, f32, i32, joined, pack_mesh, sphere
from training.camera import DegenerateMeshError
from training.dataset import (
    TrainingSample,
    TrainingStream,
    make_sample,
    mirrored,
    validation_pictures,
)
from training.meshes import sample_weights, split

LAMP = joined(
    box((0.8, 0.2, 0.4), (0, 0.1, 0)), sphere(0.2, 8), box((0.1, 0.9, 0.1), (0.2, 0.5, 0))
)


def sample(seed=0, **kwargs):
    return make_sample(pack_mesh(*LAMP), np.random.default_rng(seed), **kwargs)


def reproject(camera, points):
    """Points [N, 3] of the truth frame to (u, v) [N, 2] of the crop."""
    elevation, distance, cx, cy, h, _ = camera
    s, c = np.sin(elevation), np.cos(elevation)
    depth = distance - (points[:, 1] * s + points[:, 2] * c)
    x, y = points[:, 0] / depth, (points[:, 1] * c - points[:, 2] * s) / depth
    return np.stack([(x - cx) / h, (y - cy) / h], axis=1)


@pytest.mark.parametrize("seed", range(6))
def test_each_target_projects_back_to_its_own_pixel(seed):
    drawn = sample(seed)
    centres = (np.arange(64) + 0.5) / 32 - 1
    u, v = np.meshgrid(centres, -centres)
    expected = np.stack([u[drawn.mask], v[drawn.mask]], axis=1)
    for layer in (drawn.front, drawn.back):
        found = reproject(drawn.camera, layer[drawn.mask])
        np.testing.assert_allclose(found, expected, atol=2e-4)


@pytest.mark.parametrize("seed", range(6))
def test_targets_are_in_the_truth_frame(seed):
    drawn = sample(seed)
    for points in (drawn.front[drawn.mask], drawn.back[drawn.mask], drawn.points):
        assert np.linalg.norm(points, axis=1).max() <= 0.5 + 1e-4
    uv = reproject(drawn.camera, drawn.points)
    assert np.abs(uv).max() <= 1
    assert 1.5 < np.ptp(uv, axis=0).max() < 2


@pytest.mark.parametrize("seed", range(4))
def test_the_back_is_behind_the_front(seed):
    drawn = sample(seed)
    elevation = drawn.camera[0]
    towards = f32([0, np.sin(elevation), np.cos(elevation)])
    assert ((drawn.front - drawn.back) @ towards)[drawn.mask].min() > -1e-4


@pytest.mark.parametrize("seed", range(4))
def test_alpha_and_mask_show_the_same_object(seed):
    drawn = sample(seed)
    alpha = drawn.picture[..., 3].reshape(64, 2, 64, 2).mean(axis=(1, 3)) > 127
    union = (alpha | drawn.mask).sum()
    assert (alpha & drawn.mask).sum() / union > 0.75


def test_shapes_and_types():
    drawn = sample(size=96, target_size=32, n_points=50)
    assert drawn.picture.shape == (96, 96, 4)
    assert drawn.mask.shape == (32, 32)
    assert drawn.points.shape == (50, 3)
    assert drawn.front.dtype == drawn.back.dtype == drawn.camera.dtype == np.float32
    assert drawn.front_color.dtype == drawn.picture.dtype == np.uint8


def test_the_same_seed_gives_the_same_sample():
    first, second, other = sample(4), sample(4), sample(5)
    for field in fields(TrainingSample):
        a, b = getattr(first, field.name), getattr(second, field.name)
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(first.picture, other.picture)


def test_a_mirrored_sample_is_still_consistent():
    drawn = sample(7)
    flipped = mirrored(drawn)
    np.testing.assert_array_equal(flipped.picture, drawn.picture[:, ::-1])
    centres = (np.arange(64) + 0.5) / 32 - 1
    u, v = np.meshgrid(centres, -centres)
    found = reproject(flipped.camera, flipped.front[flipped.mask])
    expected = np.stack([u[flipped.mask], v[flipped.mask]], axis=1)
    np.testing.assert_allclose(found, expected, atol=2e-4)
    again = mirrored(flipped)
    np.testing.assert_array_equal(again.front, drawn.front)
    np.testing.assert_array_equal(again.camera, drawn.camera)


def test_a_line_is_degenerate():
    line = f32([[0, 0, 0], [1, 0, 0], [2, 0, 0]])
    with pytest.raises(DegenerateMeshError):
        make_sample(pack_mesh(line, i32([[0, 1, 2]])), np.random.default_rng(0))


def stream(pack, seed=0, **kwargs):
    train = split(pack).train
    options = {"batch_size": 3, "size": 64, "target_size": 32, "n_points": 16, **kwargs}
    return TrainingStream(pack, train, sample_weights(pack, train), seed, **options)


def test_batches_are_stacked_samples(pack):
    batch = next(iter(stream(pack)))
    assert set(batch) == {field.name for field in fields(TrainingSample)}
    assert batch["picture"].shape == (3, 64, 64, 4)
    assert batch["picture"].dtype == torch.uint8
    assert batch["mask"].dtype == torch.bool
    assert batch["front"].shape == (3, 32, 32, 3)
    assert batch["camera"].shape == (3, 6)


def test_streams_are_fixed_by_their_seed(pack):
    first, second, other = (next(iter(stream(pack, seed))) for seed in (1, 1, 2))
    assert torch.equal(first["picture"], second["picture"])
    assert not torch.equal(first["picture"], other["picture"])


def test_workers_draw_different_samples(pack, monkeypatch):
    pictures = []
    for worker in (0, 1):
        info = SimpleNamespace(id=worker)
        monkeypatch.setattr("training.dataset.get_worker_info", lambda info=info: info)
        pictures.append(next(iter(stream(pack)))["picture"])
    assert not torch.equal(*pictures)


def bodies_only(pack, anatomy):
    numbers = np.flatnonzero(np.array(pack.sources) == "makehuman")
    weights = np.full(len(numbers), 1.0)
    return TrainingStream(pack, numbers, weights, 0, 1, 32, 16, 0, anatomy)


def test_half_of_the_bodies_are_generated(pack, anatomy):
    drawn = bodies_only(pack, anatomy)
    numbers = np.random.default_rng(0)
    paths = [drawn._mesh(int(drawn.indices[0]), numbers).path for _ in range(60)]
    assert 15 < paths.count("makehuman/human/generated.glb") < 45
    only_pack = bodies_only(pack, None)
    assert only_pack._mesh(int(drawn.indices[0]), numbers).path == pack.paths[drawn.indices[0]]


def test_other_objects_are_never_replaced_by_bodies(pack, anatomy):
    drawn = stream(pack, anatomy=anatomy)
    food = pack.categories.index("food")
    rng = np.random.default_rng(0)
    assert {drawn._mesh(food, rng).path for _ in range(20)} == {pack.paths[food]}


@pytest.mark.parametrize("seed", range(4))
def test_what_lies_beyond_the_border_is_unknown_but_learnt(seed, monkeypatch):
    monkeypatch.setattr("training.dataset.CUT_SHARE", 1.0)
    drawn = sample(seed)
    blank = (drawn.picture == 0).all(axis=2)
    lines = blank.all(axis=0).sum() + blank.all(axis=1).sum()
    assert lines > 0
    small = blank.reshape(64, 2, 64, 2).all(axis=(1, 3))
    assert (drawn.mask & small).any()


@pytest.mark.parametrize("seed", range(4))
def test_the_truth_of_an_occluded_picture_is_whole(seed, monkeypatch):
    monkeypatch.setattr("training.dataset.damage_alpha", lambda alpha, rng: alpha)
    monkeypatch.setattr("training.dataset.mirrored", lambda drawn: drawn)
    monkeypatch.setattr("training.dataset.CUT_SHARE", 0.0)
    monkeypatch.setattr("training.dataset.OCCLUDED_SHARE", 0.0)
    whole = sample(seed)
    monkeypatch.setattr("training.dataset.OCCLUDED_SHARE", 1.0)
    hidden = sample(seed)
    np.testing.assert_array_equal(hidden.mask, whole.mask)
    lost = 1 - (hidden.picture[..., 3] > 127).sum() / (whole.picture[..., 3] > 127).sum()
    assert 0.01 < lost < 0.21


def test_a_loader_passes_the_batches_on(pack):
    loader = DataLoader(stream(pack), batch_size=None)
    assert torch.equal(next(iter(loader))["picture"], next(iter(stream(pack)))["picture"])


def test_a_degenerate_object_is_skipped(pack):
    arrays = dict(pack.arrays)
    faces = arrays["faces"].copy()
    bounds = pack.offsets["faces"]
    faces[bounds[0] : bounds[1]] = 0
    broken = replace(pack, arrays={**arrays, "faces": faces})
    weights = np.array([0.9, 0.1])
    drawn = TrainingStream(broken, np.array([0, 1]), weights, 0, 4, 64, 32, 8)
    assert next(iter(drawn))["mask"].any(dim=(1, 2)).all()


def test_validation_pictures_follow_the_protocol(pack):
    sides = split(pack)
    few = replace(sides, val=sides.val[:3])
    pictures = list(validation_pictures(pack, few, 2, seed=0, size=96, n_points=500))
    assert [p.object_index for p in pictures] == [k for k in sides.val[:3] for _ in range(2)]
    for picture in pictures:
        alpha = picture.rgba[..., 3] > 127
        box_sides = [np.ptp(np.flatnonzero(alpha.any(axis=axis))) + 1 for axis in (0, 1)]
        assert 0.55 <= max(box_sides) / 96 <= 0.93
        assert not alpha[[0, -1]].any()
        assert not alpha[:, [0, -1]].any()
        assert picture.opaque.shape == (96, 96, 3)
        assert picture.points.shape == picture.normals.shape == picture.colors.shape == (500, 3)
        np.testing.assert_allclose(np.linalg.norm(picture.normals, axis=1), 1, atol=1e-5)
        assert np.linalg.norm(picture.points, axis=1).max() <= 0.5 + 1e-5


def test_a_validation_picture_does_not_depend_on_the_others(pack):
    sides = split(pack)
    options = {"pictures_per_object": 1, "size": 64, "n_points": 100}
    both = list(validation_pictures(pack, replace(sides, val=sides.val[:2]), **options))
    [second] = validation_pictures(pack, replace(sides, val=sides.val[1:2]), **options)
    np.testing.assert_array_equal(second.rgba, both[1].rgba)
    np.testing.assert_array_equal(second.points, both[1].points)
