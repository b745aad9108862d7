import numpy as np
import pytest
import torch

from models.diffusion.cleaning import (
    best_outline,
    outline,
    outline_overlap,
    own_colors,
    reined_in,
    without_strays,
)


def disc(radius, count=4000, seed=0):
    rng = np.random.default_rng(seed)
    angle, r = rng.uniform(0, 2 * np.pi, count), radius * np.sqrt(rng.random(count))
    return np.stack([r * np.cos(angle), r * np.sin(angle), 0 * r], 1).astype(np.float32)


def alpha(radius, side=96):
    ticks = (np.arange(side) + 0.5) * 2 / side - 1
    return (np.hypot(ticks, ticks[:, None]) < radius).astype(np.float32)


def test_spare_points_stand_in_for_the_loneliest():
    cloud = np.concatenate([[[3, 0, 0]], disc(0.5, 498), [[0, -2, 1]], disc(0.5, 1, seed=1)])
    kept = without_strays(cloud.astype(np.float32), 499).tolist()
    assert kept == [500, *range(1, 499)]


def test_strays_stay_where_there_is_nothing_better():
    cloud = np.concatenate([disc(0.5, 499), [[3, 0, 0], [0, -2, 1]]]).astype(np.float32)
    assert without_strays(cloud, 500).tolist() == list(range(500))


def test_without_strays_the_last_ones_go():
    side = np.linspace(-1, 1, 20)
    even = np.stack([*np.meshgrid(side, side), np.zeros((20, 20))], -1).reshape(-1, 3)
    assert without_strays(even.astype(np.float32), 380).tolist() == list(range(380))


def test_a_flood_of_equal_points_is_kept():
    assert len(without_strays(np.zeros((300, 3), np.float32), 256)) == 256


def test_too_few_points_are_an_error():
    with pytest.raises(ValueError, match="5 points cannot be kept of 3"):
        without_strays(disc(1, 3), 5)


def test_the_outline_that_fits_is_chosen():
    clouds = [disc(0.3), disc(0.62), disc(0.9)]
    assert best_outline(clouds, alpha(0.6)) == 1
    assert best_outline(clouds[::-1], alpha(0.6)) == 1
    assert outline_overlap(outline(disc(0.6, 20_000)), alpha(0.6, 48) > 0) > 0.9


def test_up_is_up_in_the_outline():
    covered = outline(disc(0.2) + np.array([0.5, 0.5, 0], np.float32))
    rows, columns = np.nonzero(covered)
    assert rows.max() < 24 <= columns.min()


def test_nothing_covers_nothing():
    away = outline(np.full((10, 3), 5, np.float32))
    assert not away.any()
    assert outline_overlap(away, away) == 1


def test_the_picture_colours_what_can_be_seen():
    """In front, facing the camera, inside the outline; nothing else."""
    at = torch.tensor([[[0.0, 0, 0.4], [0.0, 0, -0.4], [0.9, 0.9, 0.0], [0.3, 0, 0.4]]])
    normals = torch.tensor([[[0.0, 0, 1], [0, 0, 1], [0, 0, 1], [0, 0, -1]]])
    blue, red = torch.tensor([0.0, 0, 1]), torch.tensor([1.0, 0, 0])
    rgba = torch.cat([red.view(3, 1, 1).expand(3, 96, 96), torch.from_numpy(alpha(0.6))[None]])
    colors = own_colors(at, blue.expand(1, 4, 3), normals, rgba[None])[0]
    torch.testing.assert_close(colors[0], red, atol=1e-3, rtol=0)
    for hidden in colors[1:]:
        torch.testing.assert_close(hidden, blue, atol=1e-3, rtol=0)


def test_a_few_far_points_do_not_decide_the_size():
    cloud = np.random.default_rng(0).uniform(-1, 1, (2000, 3)).astype(np.float32)
    far = cloud.copy()
    far[:3] = [[9, 0, 0], [0, -7, 0], [5, 5, 5]]
    one, other = reined_in(cloud), reined_in(far)
    np.testing.assert_allclose(one[3:], other[3:], atol=0.03)
    assert np.abs(other).max() <= 1
    radius = np.linalg.norm(cloud, axis=1)
    for moved in (one, other):
        size = np.linalg.norm(moved, axis=1).max()
        assert np.quantile(radius, 0.997) < size < radius.max()
    assert np.median(np.abs(one - cloud)) < 1e-6


def test_points_in_one_place_stay_there():
    np.testing.assert_array_equal(reined_in(np.ones((300, 3), np.float32)), 1)
