import numpy as np
import pytest

from tests.training.shapes import lopsided, u8
from training.metrics import (
    Cloud,
    CloudError,
    Similarity,
    chamfer,
    color_difference,
    normal_consistency,
    pair,
    scores,
)


def grid():
    ticks = np.arange(10) * 0.1
    return np.stack(np.meshgrid(ticks, ticks, ticks), axis=-1).reshape(-1, 3)


def test_a_shifted_grid_has_the_distance_of_its_shift():
    result = scores(pair(Cloud(grid() + np.array([0, 0.03, 0])), Cloud(grid())))
    assert result.cd == pytest.approx(0.03)
    assert result.cd2 == pytest.approx(1000 * 2 * 0.03**2)
    assert result.f == {0.01: 0.0, 0.02: 0.0, 0.05: 1.0}


def test_the_threshold_is_strict():
    one, two = Cloud([[0.0, 0.0, 0.0]]), Cloud([[0.05, 0.0, 0.0]])
    assert scores(pair(one, two)).f[0.05] == 0.0
    assert scores(pair(one, Cloud([[0.0499, 0.0, 0.0]]))).f[0.05] == 1.0


def test_f_is_the_harmonic_mean_of_precision_and_recall():
    truth = Cloud([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [2.0, 0.0, 0.0], [3.0, 0.0, 0.0]])
    predicted = Cloud([[0.0, 0.0, 0.0], [9.0, 0.0, 0.0]])
    assert scores(pair(predicted, truth)).f[0.01] == pytest.approx(2 * 0.5 * 0.25 / 0.75)


def test_cd_averages_the_two_directions():
    truth, predicted = Cloud([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]), Cloud([[0.0, 0.0, 0.0]])
    assert chamfer(predicted, truth) == pytest.approx((0 + 0.5) / 2)


@pytest.mark.parametrize("bad", [np.zeros((0, 3)), np.zeros((4, 2)), [[0, np.nan, 0]]])
def test_bad_clouds_are_refused(bad):
    with pytest.raises(CloudError):
        Cloud(bad)


def test_repeated_points_and_large_clouds_are_fine():
    repeated = Cloud(np.concatenate([np.zeros((30_000, 3)), lopsided(100)]))
    assert len(repeated.points) == 16_384
    assert np.isfinite(chamfer(repeated, Cloud(lopsided(100))))


def test_the_nearest_point_is_the_one_that_brute_force_finds():
    points, queries = lopsided(800), lopsided(500, seed=1) * 1.1
    distance = np.linalg.norm(queries[:, None] - points, axis=2)
    found = Cloud(points).nearest(queries)
    np.testing.assert_allclose(distance[np.arange(500), found], distance.min(axis=1), atol=1e-6)


def test_a_subset_is_always_the_same():
    cloud = Cloud(lopsided(400))
    assert cloud.subset(400) is cloud
    assert len(cloud.subset(100).points) == 100
    np.testing.assert_array_equal(cloud.subset(100).points, Cloud(lopsided(400), 100).points)


def test_a_similarity_moves_distances_as_it_moves_points():
    s, c = np.sin(0.4), np.cos(0.4)
    by = Similarity(1.7, np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]), np.array([0.1, 0.2, -0.3]))
    a, b = Cloud(lopsided(300)), Cloud(lopsided(400, seed=1))
    moved = scores(pair(Cloud(by.apply(a.points)), b))
    assert scores(pair(a, b, by)).cd == pytest.approx(moved.cd)
    assert scores(pair(a, b, by)).cd2 == pytest.approx(moved.cd2)
    np.testing.assert_allclose(by.invert(by.apply(a.points)), a.points, atol=1e-12)


def test_colours_are_compared_at_the_nearest_predicted_point():
    truth = Cloud([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    colors = u8([[255, 0, 0], [0, 0, 255]])
    predicted = Cloud([[1.1, 0.0, 0.0], [0.1, 0.0, 0.0]])
    assert color_difference(pair(predicted, truth), colors[::-1], colors) == pytest.approx(0)
    white_black = u8([[255, 255, 255]]), u8([[0, 0, 0]])
    one = Cloud([[0.0, 0.0, 0.0]])
    assert color_difference(pair(one, one), *white_black) == pytest.approx(100, abs=0.1)


def test_normals_count_whatever_their_sign():
    truth = Cloud([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    normals = np.array([[0, 0, 1.0], [0, 1, 0]])
    assert normal_consistency(pair(truth, truth), -normals, normals) == pytest.approx(1)
    assert normal_consistency(pair(truth, truth), normals[::-1], normals) == pytest.approx(0)
