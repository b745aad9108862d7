import numpy as np
import pytest

from tests.training.shapes import lopsided
from training.alignment import align_icp, align_scale_translation, alignments
from training.metrics import IDENTITY, Cloud, chamfer


@pytest.mark.parametrize(("scale", "shift"), [(1.3, [0.2, -0.1, 0.05]), (0.6, [0.0, 0.4, 0.0])])
def test_st_recovers_a_scaled_and_shifted_copy(scale, shift):
    truth, predicted = Cloud(lopsided()), Cloud((lopsided() - shift) / scale)
    by = align_scale_translation(predicted, truth)
    assert by.scale == pytest.approx(scale, rel=1e-4)
    np.testing.assert_allclose(by.shift, shift, atol=1e-4)
    assert chamfer(predicted, truth, by) < 1e-4


def test_st_forgives_uneven_density():
    """Matched centroids alone would be off: one end of the copy has most of the points."""
    points = lopsided(3000)
    uneven = np.concatenate([points[:1000], points[1000::8]])
    by = align_scale_translation(Cloud(uneven * 0.8 + 0.1), Cloud(points))
    assert by.scale == pytest.approx(1 / 0.8, rel=0.03)


def turned(degrees):
    s, c = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    return lopsided() @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]).T


@pytest.mark.parametrize("degrees", [20, 100, 200])
def test_icp_recovers_a_turned_copy(degrees):
    truth, predicted = Cloud(lopsided()), Cloud(turned(degrees) + np.array([0.1, 0, 0]))
    by = align_icp(predicted, truth, IDENTITY)
    assert chamfer(predicted, truth, by) < 1e-4
    assert by.scale == 1
    assert np.linalg.det(by.rotation) == pytest.approx(1)


def test_the_rows_differ_in_what_they_forgive():
    truth, predicted = Cloud(lopsided()), Cloud(turned(100))
    rows = alignments(predicted, truth)
    np.testing.assert_array_equal(rows["st"].rotation, np.eye(3))
    assert rows["icp"].scale == rows["st"].scale
    cd = {name: chamfer(predicted, truth, by) for name, by in rows.items()}
    assert cd["icp"] < 0.6 * cd["st"] < 0.6 * cd["raw"]


def test_icp_is_never_worse_than_its_start():
    truth, predicted = Cloud(lopsided()), Cloud(lopsided())
    by = align_icp(predicted, truth, IDENTITY)
    assert chamfer(predicted, truth, by) < 1e-6


def test_a_flat_prediction_of_one_point_is_scored():
    truth, predicted = Cloud(lopsided(200)), Cloud([[0.3, 0.1, 0.0]])
    for by in alignments(predicted, truth).values():
        assert np.isfinite(chamfer(predicted, truth, by))


def test_only_the_rows_that_are_asked_for():
    truth, predicted = Cloud(lopsided()), Cloud(lopsided() * 0.9)
    assert list(alignments(predicted, truth, ("st",))) == ["st"]
    assert list(alignments(predicted, truth, ("raw", "icp"))) == ["raw", "icp"]
