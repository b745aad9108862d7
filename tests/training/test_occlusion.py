import numpy as np
import pytest

from tests.training.shapes import box
from training.camera import Camera, frame_vertices
from training.occlusion import MAX_CUT, SHARES, random_border, random_cover

CAMERA = Camera(azimuth=0.0, elevation=0.3, distance=2.0, fov=0.6)


def disc(size=96, radius=30):
    y, x = np.mgrid[:size, :size] - size / 2
    return np.where(x * x + y * y < radius * radius, 255, 0).astype(np.uint8)


def covers(alpha, count=80):
    drawn = [random_cover(alpha, np.random.default_rng(seed)) for seed in range(count)]
    return [cover for cover in drawn if cover is not None]


def test_covers_hide_a_small_part_of_the_object():
    alpha = disc()
    found = covers(alpha)
    assert len(found) > 70
    shares = [(cover[alpha > 127] > 0.5).mean() for cover in found]
    assert min(shares) >= SHARES[0] * 0.99
    assert max(shares) <= SHARES[1] * 1.01
    assert np.ptp(shares) > 0.08


def test_most_covers_reach_beyond_the_outline_and_all_have_soft_edges():
    alpha = disc()
    found = covers(alpha)
    outside = [(cover[alpha == 0] > 0.5).any() for cover in found]
    assert np.mean(outside) > 0.5
    for cover in found:
        assert cover.min() == 0
        assert ((cover > 0) & (cover < 1)).any()


def test_an_empty_picture_cannot_be_covered():
    assert random_cover(np.zeros((32, 32), np.uint8), np.random.default_rng(0)) is None


@pytest.mark.parametrize("seed", range(12))
def test_a_border_leaves_most_of_the_object_and_the_crop_fits_the_rest(seed):
    framed = frame_vertices(box((1, 2, 0.5))[0], 0.4)
    border = random_border(framed, CAMERA, np.random.default_rng(seed))
    window = border.crop_window(framed, CAMERA, 0.9)
    projected = CAMERA.project(framed)
    low, high = projected.min(axis=0)[border.axis], projected.max(axis=0)[border.axis]
    kept = border.limit - low if border.sign > 0 else high - border.limit
    assert 1 - MAX_CUT - 1e-6 <= kept / (high - low) <= 0.97 + 1e-6
    uv = (projected - [window.cx, window.cy]) / window.h
    lost = border.sign * (projected[:, border.axis] - border.limit) > 0
    assert lost.any()
    assert np.abs(uv[~lost]).max() <= 0.9 + 1e-5


def test_beyond_the_border_is_a_half_of_the_picture_on_its_side():
    framed = frame_vertices(box((1, 2, 0.5))[0], 0.0)
    sides = {}
    for seed in range(60):
        border = random_border(framed, CAMERA, np.random.default_rng(seed))
        window = border.crop_window(framed, CAMERA, 0.9)
        sides[border.axis, border.sign] = border.beyond(window, 32)
    assert len(sides) == 4
    for (axis, sign), beyond in sides.items():
        rows = beyond if axis == 1 else beyond.T
        assert (rows == rows[:, :1]).all()  # straight, along the border
        assert 0 < beyond.mean() < 0.5
        first, last = rows[0, 0], rows[-1, 0]
        upper = sign > 0 if axis == 1 else sign < 0  # row 0 is the top, column 0 the left
        assert (first, last) == ((True, False) if upper else (False, True))
