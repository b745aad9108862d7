import numpy as np
import pytest

from geometry.srgb import from_linear, to_linear


def test_known_values():
    assert to_linear(np.array([0, 10, 128, 255], np.uint8)) == pytest.approx(
        [0.0, 0.003035, 0.215861, 1.0], abs=1e-6
    )


def test_every_byte_survives_the_round_trip():
    every = np.arange(256, dtype=np.uint8)
    assert (from_linear(to_linear(every)) == every).all()


def test_out_of_range_light_is_clipped():
    assert from_linear(np.array([-0.5, 1.5])).tolist() == [0, 255]
