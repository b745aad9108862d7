import numpy as np
import pytest

from models.errors import NoForegroundError
from models.foreground import crop_foreground
from tests.training.shapes import box, joined, pack_mesh, sphere
from training.dataset import validation_picture
from training.meshes import split
from training.retrieval import VIEWS, ViewIndex, features, object_cloud, view_features


@pytest.fixture(scope="module")
def lamp():
    """A box on a pole and a board on a plate: it looks different from all sides."""
    parts = [
        box((1, 0.1, 0.6)),
        box((0.08, 1, 0.08), (0.35, 0.5, 0)),
        box((0.5, 0.2, 0.2), (0.2, 1, 0)),
        box((0.3, 0.6, 0.1), (-0.3, 0.3, 0.25)),
    ]
    return pack_mesh(*joined(*parts))


def test_a_picture_is_nearest_to_the_view_of_its_own_azimuth(lamp):
    views = view_features(lamp)
    for seed in range(6):
        picture = validation_picture(lamp, 0, np.random.default_rng(seed), 256, 100)
        found = features(crop_foreground(picture.rgba, picture.rgba[..., 3], 48))
        gaps = np.square(views - found).sum(axis=1)
        turn = picture.camera.azimuth / (2 * np.pi) * VIEWS
        away = abs(int(gaps.argmin()) - turn) % VIEWS
        assert min(away, VIEWS - away) <= 1


def test_the_features_see_colour_and_outline_apart(lamp):
    red = view_features(pack_mesh(lamp.vertices, lamp.faces, colors=(220, 30, 30)))
    blue = view_features(pack_mesh(lamp.vertices, lamp.faces, colors=(30, 30, 220)))
    vertices, faces = sphere(0.5, 12)
    ball = view_features(pack_mesh(vertices, faces, colors=(220, 30, 30)))
    np.testing.assert_array_equal(red[0, :256], blue[0, :256])
    assert np.abs(red[0, -48:] - blue[0, -48:]).max() > 0.05
    assert np.square(red[0, :256] - ball[0, :256]).sum() > 0.05


def test_the_most_alike_object_comes_first_and_in_the_frame_of_its_view(pack, tmp_path):
    train = split(pack).train
    few = np.concatenate([[k for k in train if int(k) % 3 == kind][:4] for kind in range(3)])
    index = ViewIndex.build(pack, few, tmp_path)
    mesh = pack.mesh(int(few[-1]))  # the balls come last
    picture = validation_picture(mesh, 0, np.random.default_rng(1), 128, 100)
    ranked = index.ranked(features(crop_foreground(picture.rgba, picture.rgba[..., 3], 48)))
    assert {row for row, _ in ranked[:4]} == {8, 9, 10, 11}
    assert sorted(row for row, _ in ranked) == list(range(12))
    cloud = index.retrieve(picture.rgba, picture.rgba[..., 3], 500)
    assert len(cloud) == 500
    np.testing.assert_allclose(np.linalg.norm(cloud.positions, axis=1), 0.5, atol=0.07)


def test_the_table_is_read_from_the_cache_and_depends_on_the_objects(pack, tmp_path):
    train = split(pack).train
    first = ViewIndex.build(pack, train[:2], tmp_path)
    [file] = tmp_path.glob("views-*.npy")
    written = file.stat().st_mtime_ns
    again = ViewIndex.build(pack, train[:2], tmp_path)
    np.testing.assert_array_equal(first.table, again.table)
    assert file.stat().st_mtime_ns == written
    ViewIndex.build(pack, train[1:3], tmp_path)
    assert len(list(tmp_path.glob("views-*.npy"))) == 2


def test_an_empty_picture_has_nothing_to_look_for(pack):
    index = ViewIndex.build(pack, split(pack).train[:1])
    nothing = np.zeros((32, 32, 4), np.uint8)
    with pytest.raises(NoForegroundError):
        index.retrieve(nothing, nothing[..., 3], 100)


def test_an_objects_cloud_is_always_the_same_and_turned_by_the_azimuth(lamp):
    cloud = object_cloud(lamp, 0.0, 2000)
    np.testing.assert_array_equal(cloud.positions, object_cloud(lamp, 0.0, 2000).positions)
    behind = object_cloud(lamp, np.pi, 2000).positions
    assert cloud.positions[cloud.positions[:, 1] > 0.1, 0].mean() > 0.05
    assert behind[behind[:, 1] > 0.1, 0].mean() < -0.05
