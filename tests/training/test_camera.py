import numpy as np
import pytest

from tests.training.shapes import box, f32
from training.camera import (
    Camera,
    DegenerateMeshError,
    crop_window,
    frame_vertices,
    frame_window,
    pixel_grid,
    random_camera,
    ray_directions,
)


def test_the_framed_object_is_centred_in_a_sphere_of_diameter_one():
    vertices, _ = box((3, 1, 2), (5, -4, 2))
    for azimuth in (0.0, 0.7, 2.0, 4.5):
        framed = frame_vertices(vertices, azimuth)
        np.testing.assert_allclose(framed.min(0) + framed.max(0), 0, atol=1e-6)
        assert np.linalg.norm(framed, axis=1).max() == pytest.approx(0.5, abs=1e-6)


def test_the_side_at_the_azimuth_ends_up_facing_plus_z():
    azimuth = 0.9
    base, _ = box()
    mark = f32([[3 * np.sin(azimuth), 0, 3 * np.cos(azimuth)]])
    framed = frame_vertices(np.concatenate([base, mark]), azimuth)
    assert framed[-1, 2] == framed[:, 2].max()
    assert abs(framed[-1, 0]) < 1e-6


def test_the_turn_keeps_the_hand():
    corner = frame_vertices(f32([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]), 1.1)
    edges = corner[1:] - corner[0]
    assert np.linalg.det(edges) > 0


def test_one_point_is_degenerate():
    with pytest.raises(DegenerateMeshError):
        frame_vertices(np.ones((4, 3), np.float32), 0.0)


def test_projection_undoes_the_rays():
    camera = Camera(0.0, 0.4, 2.5, 0.8)
    window = crop_window(box((0.5, 0.4, 0.3))[0], camera, 0.9)
    uv = f32([[-0.5, 0.25], [0.9, -0.9], [0, 0]])
    points = camera.position + 2.2 * ray_directions(camera, window, uv)
    expected = uv * window.h + [window.cx, window.cy]
    np.testing.assert_allclose(camera.project(points.astype(np.float32)), expected, atol=1e-5)


def test_the_camera_looks_at_the_origin_from_above():
    camera = Camera(0.0, np.pi / 6, 2.0, 0.8)
    np.testing.assert_allclose(camera.position, [0, 1, 3**0.5], atol=1e-6)
    np.testing.assert_allclose(camera.project(np.zeros((1, 3), np.float32)), 0, atol=1e-6)
    x_and_y = camera.project(f32([[0.1, 0, 0], [0, 0.1, 0]]))
    assert x_and_y[0, 0] > 0
    assert x_and_y[1, 1] > 0


@pytest.mark.parametrize("size", [(1, 1, 1), (0.05, 1, 0.05), (1, 0.02, 0.6)])
def test_random_cameras_keep_their_bounds(size):
    rng = np.random.default_rng(3)
    vertices, _ = box(size)
    for _ in range(30):
        camera, framed = random_camera(rng, vertices, elevation=(-10, 45), fov=(25, 55))
        projected = camera.project(framed) / frame_window(camera).h
        span = np.ptp(projected, axis=0).max() / 2
        assert span <= 0.905
        assert span >= 0.55 or camera.distance == pytest.approx(0.7)
        assert np.abs(projected).max() <= 1
        assert -10 <= np.degrees(camera.elevation) <= 45
        assert 25 <= np.degrees(camera.fov) <= 55


def test_the_crop_holds_the_object_with_its_fill():
    camera = Camera(0.0, 0.3, 2.0, 0.7)
    vertices = frame_vertices(box((1, 2, 1))[0], 0.5)
    window = crop_window(vertices, camera, 0.8)
    uv = (camera.project(vertices) - [window.cx, window.cy]) / window.h
    assert np.abs(uv).max() == pytest.approx(0.8, abs=1e-5)
    assert np.ptp(uv, axis=0).max() == pytest.approx(1.6, abs=1e-5)


def test_the_first_pixel_is_at_the_top_left():
    grid = pixel_grid(4)
    np.testing.assert_allclose(grid[0, 0], [-0.75, 0.75])
    np.testing.assert_allclose(grid[3, 3], [0.75, -0.75])
