import numpy as np
import pytest

from geometry import quantize
from geometry.srgb import from_linear
from tests.geometry.shapes import sphere


@pytest.mark.parametrize("bits", [14, 16])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6, 1e38])
def test_positions_move_by_half_a_step_at_most(bits, scale, rng):
    positions = (rng.uniform(-1, 1, (500, 3)) * [1, 0.5, 0.1] * scale).astype(np.float32)
    values, grid = quantize.quantize_positions(positions, bits)
    assert values.dtype == np.uint16
    assert values.max() == 2**bits - 1
    assert not values[:, 3].any()
    back = grid.origin + grid.step * values[:, :3].astype(np.float64)
    assert np.abs(back - positions).max() <= grid.step * 0.5001


@pytest.mark.parametrize("extent", [0.0, 1e-45, 1e-40])
def test_a_step_is_never_zero_in_float32(extent):
    positions = np.array([[1e-40, 0, 0], [1e-40 + extent, 0, 0]], np.float32)
    values, grid = quantize.quantize_positions(positions, 16)
    assert np.float32(grid.step) > 0
    assert np.abs(grid.origin + grid.step * values[:, :3] - positions).max() < 1.2e-38


def test_normals_turn_little(rng):
    normals = sphere(5000, rng).normals
    values = quantize.quantize_normals(normals)
    back = values[:, :3] / np.linalg.norm(values[:, :3].astype(float), axis=1, keepdims=True)
    degrees = np.degrees(np.arccos(np.clip((back * normals).sum(axis=1), -1, 1)))
    assert degrees.max() < 0.4
    assert not values[:, 3].any()


@pytest.mark.parametrize("rounded", [False, True])
def test_every_srgb_byte_survives(rounded):
    every = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(-1, 3)
    light = quantize.linear_light(every, rounded)
    assert np.array_equal(from_linear(light[:, :3] / 65535), every)
    assert (light[[0, 255]] == [[0, 0, 0, 65535], [65535] * 4]).all()


def test_rounded_light_ends_in_zeros():
    every = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(-1, 3)
    exact, rounded = (quantize.linear_light(every, form)[:, 0] & 0xFF for form in (False, True))
    assert np.mean(exact == 0) < 0.02
    assert np.mean(rounded == 0) > 0.3
