import numpy as np
import pytest

from tests.training.shapes import u8
from training.metrics import (
    IDENTITY,
    Cloud,
    CloudError,
    Similarity,
    align_icp,
    align_scale_translation,
    alignments,
    bootstrap_interval,
    chamfer,
    color_difference,
    f_scores,
    normal_consistency,
    overall_mean,
    scores,
)


def blob(n=1500, seed=0):
    """A lopsided cloud: no rotation or mirror image of it is the same."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(n, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    points *= [0.45, 0.25, 0.15]
    points[: n // 3] += [0.25, 0.2, 0.1]
    return points


def grid():
    ticks = np.arange(10) * 0.1
    return np.stack(np.meshgrid(ticks, ticks, ticks), axis=-1).reshape(-1, 3)


def test_a_shifted_grid_has_the_distance_of_its_shift():
    result = scores(Cloud(grid() + np.array([0, 0.03, 0])), Cloud(grid()))
    assert result.cd == pytest.approx(0.03)
    assert result.cd2 == pytest.approx(1000 * 2 * 0.03**2)
    assert result.f == {0.01: 0.0, 0.02: 0.0, 0.05: 1.0}


def test_the_threshold_is_strict():
    one, two = Cloud([[0.0, 0.0, 0.0]]), Cloud([[0.05, 0.0, 0.0]])
    assert f_scores(one, two)[0.05] == 0.0
    assert f_scores(one, Cloud([[0.0499, 0.0, 0.0]]))[0.05] == 1.0


def test_f_is_the_harmonic_mean_of_precision_and_recall():
    truth = Cloud([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [2.0, 0.0, 0.0], [3.0, 0.0, 0.0]])
    predicted = Cloud([[0.0, 0.0, 0.0], [9.0, 0.0, 0.0]])
    assert f_scores(predicted, truth)[0.01] == pytest.approx(2 * 0.5 * 0.25 / 0.75)


def test_cd_averages_the_two_directions():
    truth, predicted = Cloud([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]), Cloud([[0.0, 0.0, 0.0]])
    assert chamfer(predicted, truth) == pytest.approx((0 + 0.5) / 2)


@pytest.mark.parametrize("bad", [np.zeros((0, 3)), np.zeros((4, 2)), [[0, np.nan, 0]]])
def test_bad_clouds_are_refused(bad):
    with pytest.raises(CloudError):
        Cloud(bad)


def test_repeated_points_and_large_clouds_are_fine():
    repeated = Cloud(np.concatenate([np.zeros((30_000, 3)), blob(100)]))
    assert len(repeated.points) == 16_384
    assert np.isfinite(chamfer(repeated, Cloud(blob(100))))


def test_a_similarity_moves_distances_as_it_moves_points():
    s, c = np.sin(0.4), np.cos(0.4)
    by = Similarity(1.7, np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]), np.array([0.1, 0.2, -0.3]))
    a, b = Cloud(blob(300)), Cloud(blob(400, seed=1))
    moved = scores(Cloud(by.apply(a.points)), b)
    assert scores(a, b, by).cd == pytest.approx(moved.cd)
    assert scores(a, b, by).cd2 == pytest.approx(moved.cd2)
    np.testing.assert_allclose(by.invert(by.apply(a.points)), a.points, atol=1e-12)


@pytest.mark.parametrize(("scale", "shift"), [(1.3, [0.2, -0.1, 0.05]), (0.6, [0.0, 0.4, 0.0])])
def test_st_recovers_a_scaled_and_shifted_copy(scale, shift):
    truth, predicted = Cloud(blob()), Cloud((blob() - shift) / scale)
    by = align_scale_translation(predicted, truth)
    assert by.scale == pytest.approx(scale, rel=1e-4)
    np.testing.assert_allclose(by.shift, shift, atol=1e-4)
    assert chamfer(predicted, truth, by) < 1e-4


def test_st_forgives_uneven_density():
    """Matched centroids alone would be off: one end of the copy has most of the points."""
    points = blob(3000)
    uneven = np.concatenate([points[:1000], points[1000::8]])
    by = align_scale_translation(Cloud(uneven * 0.8 + 0.1), Cloud(points))
    assert by.scale == pytest.approx(1 / 0.8, rel=0.03)


def turned(degrees):
    s, c = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    return blob() @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]).T


@pytest.mark.parametrize("degrees", [20, 100, 200])
def test_icp_recovers_a_turned_copy(degrees):
    truth, predicted = Cloud(blob()), Cloud(turned(degrees) + np.array([0.1, 0, 0]))
    by = align_icp(predicted, truth, IDENTITY)
    assert chamfer(predicted, truth, by) < 1e-4
    assert by.scale == 1
    assert np.linalg.det(by.rotation) == pytest.approx(1)


def test_the_rows_differ_in_what_they_forgive():
    truth, predicted = Cloud(blob()), Cloud(turned(100))
    rows = alignments(predicted, truth)
    np.testing.assert_array_equal(rows["st"].rotation, np.eye(3))
    assert rows["icp"].scale == rows["st"].scale
    cd = {name: chamfer(predicted, truth, by) for name, by in rows.items()}
    assert cd["icp"] < 0.6 * cd["st"] < 0.6 * cd["raw"]


def test_icp_is_never_worse_than_its_start():
    truth, predicted = Cloud(blob()), Cloud(blob())
    by = align_icp(predicted, truth, IDENTITY)
    assert chamfer(predicted, truth, by) < 1e-6


def test_a_flat_prediction_of_one_point_is_scored():
    truth, predicted = Cloud(blob(200)), Cloud([[0.3, 0.1, 0.0]])
    for by in alignments(predicted, truth).values():
        assert np.isfinite(chamfer(predicted, truth, by))


def test_colours_are_compared_at_the_nearest_predicted_point():
    truth = Cloud([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    colors = u8([[255, 0, 0], [0, 0, 255]])
    predicted = Cloud([[1.1, 0.0, 0.0], [0.1, 0.0, 0.0]])
    assert color_difference(predicted, colors[::-1], truth, colors) == pytest.approx(0)
    white_black = u8([[255, 255, 255]]), u8([[0, 0, 0]])
    one = Cloud([[0.0, 0.0, 0.0]])
    assert color_difference(one, white_black[0], one, white_black[1]) == pytest.approx(100, abs=0.1)


def test_normals_count_whatever_their_sign():
    truth = Cloud([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    normals = np.array([[0, 0, 1.0], [0, 1, 0]])
    assert normal_consistency(truth, -normals, truth, normals) == pytest.approx(1)
    assert normal_consistency(truth, normals[::-1], truth, normals) == pytest.approx(0)


def test_overall_is_the_mean_of_the_large_categories():
    values = [1.0] * 20 + [0.0] * 5 + [9.0]
    categories = ["a"] * 20 + ["b"] * 5 + ["c"]
    assert overall_mean(values, categories) == pytest.approx(0.5)
    low, high = bootstrap_interval(values, categories)
    assert low == high == pytest.approx(0.5)


def test_the_interval_is_that_of_a_normal_mean():
    values = np.random.default_rng(0).normal(5, 2, 400)
    low, high = bootstrap_interval(values)
    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * 2 / 20, rel=0.15)
    assert bootstrap_interval(values) == (low, high)
