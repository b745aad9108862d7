from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from geometry.ground import ground_transfer, shadow_in_view, shadow_maps
from geometry.lighting import developed, exposure
from geometry.mesh import Mesh
from geometry.resample import sample_surface
from geometry.transfer import even_directions, light_transfer
from geometry.view import views_around
from tests.geometry.shapes import box, boxes, known, sphere

FLOOR = -10.0  # out of reach


@pytest.fixture
def pool():
    with ThreadPoolExecutor(1) as executor:
        yield executor


def test_directions_are_even():
    directions = even_directions(200)
    assert np.allclose(np.linalg.norm(directions, axis=1), 1, atol=1e-6)
    assert np.abs(directions.mean(axis=0)).max() < 0.01
    assert np.allclose(directions.T @ directions / 200, np.eye(3) / 3, atol=0.01)


def test_a_sphere_does_not_shade_itself(rng, pool):
    cloud = sphere(4000, rng)
    transfer = light_transfer(
        cloud.positions, cloud.normals, 0.03, FLOOR, even_directions(60), pool
    )
    # A cosine's mean over the sphere is a quarter.
    assert np.abs(transfer.received.mean(axis=0) - 0.25).max() < 0.02
    assert transfer.shut.max() < 0.05


def test_a_lid_keeps_off_the_light_from_above(rng, pool):
    """Two boards one over the other: the lower one's top sees the sky only at a slant."""
    lower, upper = ((1.0, 0.02, 1.0), (0, -0.2, 0)), ((1.0, 0.02, 1.0), (0, 0.2, 0))
    shape = boxes([(*lower, (9, 9, 9)), (*upper, (9, 9, 9))])
    cloud = known(sample_surface(Mesh(shape.vertices * np.float32(0.68), shape.faces), 8000, rng))
    directions = np.array([[0, 1, 0], [0.8, 0.6, 0]], np.float32)
    transfer = light_transfer(cloud.positions, cloud.normals, 0.03, FLOOR, directions, pool)
    up = cloud.normals[:, 1] > 0.9
    middle = up & (np.abs(cloud.positions[:, [0, 2]]) < 0.1).all(axis=1)
    below = middle & (cloud.positions[:, 1] < 0)
    above = middle & (cloud.positions[:, 1] > 0)
    assert transfer.received[0, below].max() < 0.01
    assert transfer.received[0, above].min() > 0.99
    right = up & (cloud.positions[:, 1] < 0) & (cloud.positions[:, 0] > 0.25)
    assert np.median(transfer.received[1, right]) > 0.55


def test_shadow_lies_under_the_object(rng, pool):
    cloud = sample_surface(box((0.3, 0.1, 0.3)), 4000, rng)
    directions = even_directions(72)
    ground = ground_transfer(cloud.positions, -0.05, directions, pool)
    shares = np.maximum(directions[:, 1], 0)
    [flat] = shadow_maps(ground, (shares / shares.sum())[None])
    middle = len(flat) // 2
    assert flat[middle, middle] > 0.95
    assert flat[0].max() == flat[:, -1].max() == 0
    assert np.abs(flat - flat[::-1]).max() < 0.15

    [above] = views_around(cloud.positions, [0], 89, 100)
    seen = shadow_in_view(flat, -0.05, above)
    row, column = np.unravel_index(seen.argmax(), seen.shape)
    assert abs(row - 50) < 20
    assert abs(column - 50) < 20
    [below] = views_around(cloud.positions, [0], -30, 100)
    assert not shadow_in_view(flat, -0.05, below).any()


def test_lights_are_compressed_and_never_clip():
    values = developed(np.array([[0.0, 0.18, 0.6], [1.0, 2.0, 50.0]], np.float32)).reshape(-1)
    assert np.all(np.diff(values) > 0)
    assert values[0] == 0
    assert np.isclose(values[1], 117.6, atol=1)  # 18 % grey in sRGB
    assert values[-1] < 255.5


def test_dark_objects_are_exposed_longer():
    grey = [exposure(np.full((5, 3), level, np.float32)) for level in (0.0, 0.02, 0.2, 1.0)]
    assert grey == sorted(grey, reverse=True)
    assert grey[0] < 1.5
    assert grey[-1] > 0.85
