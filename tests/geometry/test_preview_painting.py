import numpy as np
import pytest

from geometry.balls import paint_balls
from geometry.triangles import paint_triangles

SIZE = 48


def points(rows):
    return np.array(rows, np.float32)


def inside(corners, row, column):
    """Whether the centre of a pixel lies in a triangle of pixels [3, 2]."""
    x, y = column + 0.5, row + 0.5
    turns = [
        (b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0])
        for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True)
    ]
    return min(turns) > 0 or max(turns) < 0


def test_triangle_covers_the_centres_within(rng):
    for _ in range(20):
        corners = rng.uniform(-10, SIZE + 10, (3, 2))
        pixels = np.column_stack([corners, np.ones(3)]).astype(np.float32)
        picture = paint_triangles(
            pixels, np.array([[0, 1, 2]], np.int32), np.full((3, 3), 200, np.float32), SIZE
        )
        expected = [[inside(corners, r, c) for c in range(SIZE)] for r in range(SIZE)]
        assert np.mean((picture[..., 3] == 255) == np.array(expected)) > 0.999


def test_neighbours_leave_no_gap_and_share_no_pixel(rng):
    """A fan around a point, in any order of corners: each pixel once, all of them."""
    rim = points([[0, 0], [20, 0], [SIZE, 0], [SIZE, 31], [SIZE, SIZE], [9, SIZE], [0, SIZE]])
    pixels = np.column_stack([np.vstack([rng.uniform(10, 38, (1, 2)), rim]), np.ones(8)])
    pixels = pixels.astype(np.float32)
    total = np.zeros((SIZE, SIZE), int)
    for k in range(7):
        face = rng.permutation([0, 1 + k, 1 + (k + 1) % 7]).astype(np.int32)
        painted = paint_triangles(pixels, face[None], np.zeros((8, 3), np.float32), SIZE)
        total += painted[..., 3] == 255
    assert (total == 1).all()


def test_colours_are_linear_between_corners():
    pixels = points([[-1, -1, 1], [SIZE * 3, -1, 1], [-1, SIZE * 3, 1]])
    colors = np.column_stack([pixels[:, 0], pixels[:, 1], np.full(3, 7)]).astype(np.float32)
    picture = paint_triangles(pixels, np.array([[2, 0, 1]], np.int32), colors, SIZE)
    row, column = np.indices((SIZE, SIZE))
    assert np.abs(picture[..., 0].astype(int) - column).max() <= 1
    assert np.abs(picture[..., 1].astype(int) - row).max() <= 1
    assert (np.abs(picture[..., 2].astype(int) - 7) <= 1).all()


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_the_nearer_triangle_hides(order):
    corners = np.tile(points([[4, 4], [44, 8], [20, 40]]), (2, 1))
    pixels = np.column_stack([corners, [0.3, 0.3, 0.3, 0.4, 0.4, 0.4]]).astype(np.float32)
    faces = np.array([[0, 1, 2], [3, 4, 5]], np.int32)[order]
    colors = np.repeat(points([[90, 0, 0], [0, 90, 0]]), 3, axis=0)
    picture = paint_triangles(pixels, faces, colors, SIZE)
    assert picture[20, 22].tolist() == [0, 90, 0, 255]


def balls(rows, colors, roundness=0.0):
    """Rows of x, y, closeness and radius."""
    given = points(rows)
    flat = np.full(len(given), roundness, np.float32)
    return paint_balls(given[:, :3], given[:, 3], flat, points(colors), SIZE)


def test_ball_covers_its_disc():
    picture = balls([[20.3, 30.8, 0.3, 9.7]], [[50, 60, 70]])
    row, column = np.indices((SIZE, SIZE)) + 0.5
    away = np.hypot(column - 20.3, row - 30.8)
    assert np.array_equal(picture[..., 3] == 255, away < 9.7)
    assert picture[30, 20].tolist() == [50, 60, 70, 255]


def test_nearer_balls_hide_and_none_vanishes():
    rows = [[24, 24, 0.4, 6], [24, 24, 0.3, 12], [5.5, 5.5, 0.3, 0.01], [-3, 24, 0.3, 5]]
    colors = [[90, 0, 0], [0, 90, 0], [0, 0, 90], [9, 9, 9]]
    picture = balls(rows, colors)
    assert picture[24, 24].tolist() == [90, 0, 0, 255]
    assert picture[24, 33].tolist() == [0, 90, 0, 255]
    assert picture[5, 5].tolist() == [0, 0, 90, 255]
    assert picture[24, 0].tolist() == [9, 9, 9, 255]
    assert picture[24, SIZE - 1].tolist() == [0, 0, 0, 0]


def test_round_balls_are_lit_from_the_upper_left():
    picture = balls([[24, 24, 0.3, 20]], [[150, 150, 150]], roundness=1.0).astype(int)
    assert picture[12, 14, 0] > picture[24, 24, 0] > picture[36, 34, 0]
