import numpy as np
import pytest

from training.summary import Scored, bootstrap_interval, compare, overall_mean, summarise


def scored(path, category, value, *, picture=0, refused=False, **others):
    rows = {"st": {"f@0.01": value, "f@0.02": value, "f@0.05": value, "cd": 1 - value, **others}}
    return Scored(path, picture, category, rows, refused, seconds=0.1)


def test_pictures_of_an_object_are_averaged_first_and_small_categories_left_out():
    items = [scored(f"a{k}", "chair", 0.5) for k in range(5)]
    items += [scored("a0", "chair", 0.0, picture=1)]  # a0 is now 0.25
    items += [scored("b", "rare", 1.0, refused=True)]
    summary = summarise(items)
    cell = summary["st"]["f@0.02"]
    assert cell["overall"] == pytest.approx((4 * 0.5 + 0.25) / 5)
    assert cell["mean_of_objects"] == pytest.approx((4 * 0.5 + 0.25 + 1) / 6, rel=1e-5)
    assert cell["categories"]["chair"]["mean"] == pytest.approx(0.45)
    assert cell["categories"]["rare"] == {"mean": 1.0, "interval": None, "objects": 1}
    assert (summary["objects"], summary["pictures"], summary["refused"]) == (6, 7, 1)


def test_a_refused_picture_does_not_take_the_colours_of_all():
    items = [scored("a", "chair", 0.5, colour=10.0), scored("b", "chair", 0.5, refused=True)]
    summary = summarise(items)["st"]
    assert summary["colour"]["mean_of_objects"] == 10
    assert summary["colour"]["categories"]["chair"]["objects"] == 1
    assert summary["cd"]["categories"]["chair"]["objects"] == 2


def test_a_comparison_is_of_the_same_objects():
    ours = [scored(f"a{k}", "chair", 0.1 * k + 0.05) for k in range(6)]
    theirs = [scored(f"a{k}", "chair", 0.1 * k) for k in range(9)]  # three more
    cell = compare(ours, theirs)["f@0.02"]
    assert cell["difference"] == pytest.approx(0.05)
    assert cell["interval"] == pytest.approx([0.05, 0.05])  # the same gap everywhere
    assert cell["theirs"] == pytest.approx(0.25)
    assert cell["above"]
    assert cell["categories"]["chair"]["objects"] == 6


def test_a_smaller_distance_is_above():
    near, far = [scored("a", "chair", 0.9)], [scored("a", "chair", 0.2)]
    assert compare(near, far)["cd"]["difference"] < 0
    assert compare(near, far)["cd"]["above"]
    assert not compare(far, near)["cd"]["above"]


def test_nothing_in_common_cannot_be_compared():
    with pytest.raises(ValueError, match="no picture in common"):
        compare([scored("a", "chair", 0.5)], [scored("a", "chair", 0.5, picture=1)])


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
