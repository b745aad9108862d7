import numpy as np
import pytest

from geometry.point_cloud import PointCloud
from models.errors import NoForegroundError, NonFiniteError
from tests.training.shapes import pack_mesh
from tests.training.shapes import sphere as sphere_mesh
from training.baselines import sphere
from training.dataset import validation_picture
from training.meshes import split
from training.scoring import pictures, predict, score


@pytest.fixture(scope="module")
def ball():
    """A picture of a red ball and its truth."""
    mesh = pack_mesh(*sphere_mesh(0.5, 24))
    return validation_picture(mesh, 0, np.random.default_rng(0), 128, 4096)


def test_the_truth_scores_full_marks(ball):
    rows = score(PointCloud(ball.points, ball.colors, ball.normals), ball)
    assert set(rows) == {"raw", "st", "icp"}
    for row in rows.values():
        assert row["f@0.01"] == pytest.approx(1)
        assert row["cd"] == pytest.approx(0, abs=1e-6)
        assert row["colour"] == pytest.approx(0, abs=1e-6)
        assert row["normals"] == pytest.approx(1, abs=1e-5)


def test_a_prediction_without_colour_has_no_colour_cell(ball):
    assert "colour" not in score(PointCloud(ball.points), ball, ("st",))["st"]


@pytest.mark.parametrize("error", [NoForegroundError("nothing"), NonFiniteError((0,))])
def test_a_failure_of_the_model_counts_as_the_fallback(ball, error):
    fallback = sphere(0.4, 100)

    def refuse(_):
        raise error

    cloud, refused, _ = predict(refuse, ball, fallback)
    assert cloud is fallback
    assert refused


def test_any_other_error_is_one_of_the_evaluation(ball):
    def fail(_):
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        predict(fail, ball, sphere(0.4, 100))


def test_two_pictures_of_each_held_out_object_and_always_the_same(pack):
    parts = split(pack)
    first = list(pictures(pack, parts, 2, seed=0))
    again = list(pictures(pack, parts, 2, seed=0))
    assert [p.path for p in first] == [p.path for p in again]
    assert len(first) == 4
    assert len({p.path for p in first}) == 2
    np.testing.assert_array_equal(first[3].rgba, again[3].rgba)
    held_out = {pack.mesh(int(k)).path for k in parts.val}
    assert {p.path for p in first} <= held_out


def test_more_objects_begin_with_the_same_ones(pack):
    parts = split(pack)
    few = [p.path for p in pictures(pack, parts, 1, seed=0)]
    more = [p.path for p in pictures(pack, parts, 2, seed=0)]
    assert more[: len(few)] == few
