import numpy as np
import pytest

from geometry.point_cloud import PointCloud
from models.errors import NoForegroundError
from tests.training.shapes import pack_mesh
from tests.training.shapes import sphere as sphere_mesh
from training.contact_sheet import write_contact_sheet
from training.dataset import validation_picture
from training.evaluate import Scored, as_rgba, parse, pictures, predict, score, summarise
from training.meshes import split
from training.predictors import best_sphere_radius, medoid, served_model, sphere, training_clouds


@pytest.fixture(scope="module")
def ball():
    """A picture of a red ball and its truth."""
    mesh = pack_mesh(*sphere_mesh(0.5, 24))
    return validation_picture(mesh, 0, np.random.default_rng(0), 128, 4096)


def scored(path: str, category: str, value: float, *, refused: bool = False) -> Scored:
    return Scored(path, category, {"st": {"f@0.02": value}}, refused, seconds=0.1)


def test_the_truth_scores_full_marks(ball):
    rows = score(PointCloud(ball.points, ball.colors, ball.normals), ball)
    assert set(rows) == {"raw", "st", "icp"}
    for row in rows.values():
        assert row["f@0.01"] == pytest.approx(1)
        assert row["cd"] == pytest.approx(0, abs=1e-6)
        assert row["colour"] == pytest.approx(0, abs=1e-6)
        assert row["normals"] == pytest.approx(1, abs=1e-5)


def test_a_prediction_without_colour_has_no_colour_cell(ball):
    assert "colour" not in score(PointCloud(ball.points), ball)["st"]


def test_a_refusal_counts_as_the_fallback(ball):
    fallback = sphere(0.4, 100)

    def refuse(_):
        raise NoForegroundError("nothing")

    cloud, refused, _ = predict(refuse, ball.rgba, fallback)
    assert cloud is fallback
    assert refused


def test_pictures_of_an_object_are_averaged_first_and_small_categories_left_out():
    items = [scored(f"a{k}", "chair", 0.5) for k in range(5)]
    items += [scored("a0", "chair", 0.0)]  # a second picture: a0 is now 0.25
    items += [scored("b", "rare", 1.0, refused=True)]
    summary = summarise(items)
    cell = summary["st"]["f@0.02"]
    assert cell["overall"] == pytest.approx((4 * 0.5 + 0.25) / 5)
    assert cell["mean_of_objects"] == pytest.approx((4 * 0.5 + 0.25 + 1) / 6)
    assert cell["categories"] == {"chair": pytest.approx(0.45), "rare": 1.0}
    assert (summary["objects"], summary["pictures"], summary["refused"]) == (6, 7, 1)


def test_track_b_has_no_alpha_left(ball):
    assert (as_rgba(ball, "A")[..., 3] == 0).any()
    assert (as_rgba(ball, "B")[..., 3] == 255).all()


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


def test_the_best_sphere_for_spheres_is_their_own():
    clouds = [sphere(0.35, 1024).positions] * 3
    assert best_sphere_radius(clouds) == pytest.approx(0.35, abs=0.011)


def test_the_medoid_is_the_one_in_the_middle():
    base = sphere(0.3, 128).positions
    clouds = [base * scale for scale in (0.5, 1.0, 1.1, 2.0)]
    assert medoid([cloud.astype(np.float32) for cloud in clouds]) in (1, 2)


def test_training_clouds_are_in_the_truth_frame(pack):
    for cloud in training_clouds(pack, split(pack).train, 3, seed=0):
        assert np.linalg.norm(cloud, axis=1).max() <= 0.5 + 1e-5


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


def test_contact_sheet(ball, tmp_path):
    path = tmp_path / "deep" / "sheet.png"
    write_contact_sheet([(ball, sphere(0.4, 300))] * 3, path)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_arguments():
    args = parse(["draft", "--objects", "7", "--num-points", "1024"])
    assert (args.model, args.objects, args.num_points, args.split) == ("draft", 7, 1024, "val")
