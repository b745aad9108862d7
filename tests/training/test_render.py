import numpy as np
import pytest

from tests.training.shapes import PLUS_Y, box, f32, joined, sphere, u8
from training.camera import Camera, Window, crop_window, frame_window
from training.render import (
    Light,
    Scene,
    linear_to_srgb,
    random_light,
    render_layers,
    render_picture,
    srgb_to_linear,
)

FLAT = Light(f32([0, 0, 1]), 0.0, 1.0, 0.0, 0.0, 1.0, np.ones(3, np.float32))
CAMERA = Camera(0.0, 0.0, 2.0, 0.7)


def test_depth_and_position_of_a_sphere_along_the_centre_ray():
    scene = Scene(*sphere(0.5, 48))
    front, back = render_layers(scene, CAMERA, frame_window(CAMERA), 65)
    assert front.depth[32, 32] == pytest.approx(1.5, abs=2e-3)
    assert back.depth[32, 32] == pytest.approx(2.5, abs=2e-3)
    np.testing.assert_allclose(front.position[32, 32], [0, 0, 0.5], atol=2e-3)
    np.testing.assert_allclose(back.position[32, 32], [0, 0, -0.5], atol=2e-3)


def test_normals_look_at_the_viewer_in_front_and_away_at_the_back():
    vertices, faces = sphere(0.5, 24)
    window = Window(0.0, 0.0, 0.4)
    for winding in (faces, faces[:, ::-1]):
        front, back = render_layers(Scene(vertices, winding), CAMERA, window, 33)
        for layer in (front, back):
            outward = layer.position[layer.mask] * 2
            cosine = (layer.normal[layer.mask] * outward).sum(-1)
            assert cosine.min() > 0.9


def test_the_last_surface_is_behind_everything_else():
    scene = Scene(*joined(box((0.4, 0.4, 0.1), (0, 0, 0.3)), box((0.4, 0.4, 0.1), (0, 0, -0.3))))
    front, back = render_layers(scene, CAMERA, frame_window(CAMERA), 33)
    assert front.position[16, 16, 2] == pytest.approx(0.35, abs=1e-4)
    assert back.position[16, 16, 2] == pytest.approx(-0.35, abs=1e-4)


def test_layers_agree_with_a_cast_of_the_whole_window():
    """The culling to the projected box must not lose a pixel, even off the window's centre."""
    vertices, faces = box((0.3, 0.5, 0.2), (0.1, 0.05, 0))
    camera = Camera(0.0, 0.5, 1.5, 0.7)
    window = Window(0.15, -0.1, 0.3)
    front, _ = render_layers(Scene(vertices, faces), camera, window, 48)
    far = f32([[-40, 0, -5], [40, 0, -5], [0, 40, -5]])  # opens the box to all pixels
    thin = np.array([[8, 9, 9], [9, 10, 10]], np.int32)  # without area: no ray meets it
    wide = Scene(np.concatenate([vertices, far]), np.concatenate([faces, thin]))
    everything, _ = render_layers(wide, camera, window, 48)
    assert front.mask.any()
    assert not front.mask.all()
    np.testing.assert_array_equal(front.mask, everything.mask)
    np.testing.assert_array_equal(front.face, everything.face)


def test_nothing_is_written_outside_the_mask():
    front, back = render_layers(Scene(*sphere(0.3, 8)), CAMERA, frame_window(CAMERA), 32)
    for layer in (front, back):
        assert not layer.mask.all()
        assert (layer.face[~layer.mask] == -1).all()
        assert not layer.position[~layer.mask].any()
        assert not layer.depth[~layer.mask].any()


def test_a_red_top_is_at_the_top_of_the_picture():
    vertices, faces = box((0.4, 0.8, 0.4))
    colors = np.full((12, 3), 200, np.uint8)
    colors[list(PLUS_Y)] = [255, 0, 0]
    camera = Camera(0.0, 0.6, 2.5, 0.7)
    picture = render_picture(Scene(vertices, faces), colors, camera, frame_window(camera), FLAT, 64)
    red = (picture[..., 0] > 200) & (picture[..., 1] < 50) & (picture[..., 3] == 255)
    rows = np.flatnonzero(red.any(axis=1))
    solid = np.flatnonzero((picture[..., 3] == 255).any(axis=1))
    assert red.sum() > 30
    assert rows.min() <= solid.min() + 1
    assert rows.max() < solid.mean()


def test_an_object_at_plus_x_is_on_the_right():
    scene = Scene(*box((0.2, 0.2, 0.2), (0.3, 0, 0)))
    colors = np.full((12, 3), 200, np.uint8)
    picture = render_picture(scene, colors, CAMERA, frame_window(CAMERA), FLAT, 64)
    columns = np.flatnonzero(picture[..., 3].any(axis=0))
    assert columns.min() > 32


def test_alpha_is_soft_at_the_edge_and_colours_are_straight():
    scene = Scene(*sphere(0.4, 24))
    colors = np.full((len(scene.faces), 3), (180, 90, 30), np.uint8)
    picture = render_picture(scene, colors, CAMERA, frame_window(CAMERA), FLAT, 64)
    partial = (picture[..., 3] > 0) & (picture[..., 3] < 255)
    assert partial.sum() > 20
    near = np.abs(picture[partial][:, :3].astype(int) - [180, 90, 30])
    assert near.max() <= 2
    coverage = picture[..., 3].mean() / 255
    tangent = 0.4 / (4 - 0.16) ** 0.5 / np.tan(0.35)
    assert coverage == pytest.approx(np.pi / 4 * tangent**2, rel=0.02)


def test_the_lit_side_is_brighter():
    light = Light(f32([1, 0, 0]), 0.8, 0.2, 0.0, 0.0, 1.0, np.ones(3, np.float32))
    scene = Scene(*sphere(0.4, 24))
    colors = np.full((len(scene.faces), 3), 200, np.uint8)
    picture = render_picture(scene, colors, CAMERA, frame_window(CAMERA), light, 64)
    assert picture[32, 42, 0] > picture[32, 22, 0] + 40


def test_a_gloss_adds_light_where_the_mirror_direction_is_near():
    dull = Light(f32([0, 0, 1]), 0.3, 0.2, 0.0, 0.0, 20.0, np.ones(3, np.float32))
    shiny = Light(f32([0, 0, 1]), 0.3, 0.2, 0.0, 0.4, 20.0, np.ones(3, np.float32))
    scene = Scene(*sphere(0.4, 24))
    colors = np.full((len(scene.faces), 3), 100, np.uint8)
    window = frame_window(CAMERA)
    a, b = (render_picture(scene, colors, CAMERA, window, light, 64) for light in (dull, shiny))
    assert b[32, 32, 0] > a[32, 32, 0] + 30
    assert abs(int(b[32, 18, 0]) - int(a[32, 18, 0])) < 10


def test_random_lights_come_from_the_cameras_side_and_above():
    rng = np.random.default_rng(0)
    camera = Camera(0.0, 0.5, 2.0, 0.7)
    directions = np.stack([random_light(rng, camera).direction for _ in range(200)])
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1, atol=1e-5)
    assert (directions @ camera.axes[2] > 0).all()
    assert (directions @ camera.axes[1] >= 0).all()


def test_srgb_round_trip_is_within_one_step():
    levels = np.arange(256, dtype=np.uint8)
    round_trip = linear_to_srgb(srgb_to_linear(levels)).astype(int)
    assert np.abs(round_trip - levels).max() <= 1
    assert srgb_to_linear(u8(188)) == pytest.approx(0.5, abs=5e-3)


def test_the_crop_window_fills_the_picture():
    vertices, faces = sphere(0.5, 24)
    camera = Camera(0.0, 0.2, 2.0, 0.7)
    front, _ = render_layers(
        Scene(vertices, faces), camera, crop_window(vertices, camera, 0.9), 100
    )
    rows = np.flatnonzero(front.mask.any(axis=1))
    assert len(rows) == pytest.approx(90, abs=2)


def test_a_picture_of_nothing_is_transparent():
    scene = Scene(*sphere(0.5, 8))
    camera = Camera(0.0, 0.0, 2.0, np.radians(40))
    light = random_light(np.random.default_rng(0), camera)
    colors = np.full((len(scene.faces), 3), 200, np.uint8)
    aside = Window(3.0, 0.0, 0.1)
    assert not render_picture(scene, colors, camera, aside, light, 16).any()
