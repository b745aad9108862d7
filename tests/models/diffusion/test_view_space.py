import cv2
import numpy as np
import pytest
import torch

from models.diffusion.view_space import (
    from_view,
    outline_distance,
    to_view,
    turn_from_view,
    turn_to_view,
)
from training.camera import Camera, Window

CAMERA = Camera(0.0, 0.4, 2.1, 0.7)
WINDOW = Window(0.03, -0.02, 0.24)
ROW = torch.tensor(
    [
        [
            WINDOW.h * CAMERA.distance,
            1 / CAMERA.distance,
            WINDOW.cx * CAMERA.distance,
            WINDOW.cy * CAMERA.distance,
            CAMERA.elevation,
        ]
    ]
)


def points(count=50):
    drawn = np.random.default_rng(0).uniform(-0.35, 0.35, (count, 3))
    return drawn.astype(np.float32)


def test_u_and_v_are_where_the_camera_of_the_training_pictures_sees_a_point():
    view = to_view(torch.from_numpy(points())[None], ROW)[0].numpy()
    tangent = CAMERA.project(points())
    expected = (tangent - [WINDOW.cx, WINDOW.cy]) / WINDOW.h
    np.testing.assert_allclose(view[:, :2], expected, atol=1e-5)


def test_w_grows_towards_the_camera():
    towards = torch.from_numpy(CAMERA.position / CAMERA.distance)[None, None]
    near, far = to_view(0.3 * towards, ROW), to_view(-0.3 * towards, ROW)
    assert near[0, 0, 2] == pytest.approx(0.3 / float(ROW[0, 0]))
    assert far[0, 0, 2] == pytest.approx(-0.3 / float(ROW[0, 0]))


def test_there_and_back():
    cloud = torch.from_numpy(points())[None].expand(3, -1, -1)
    cameras = ROW + torch.tensor([[0.0], [0.1], [-0.1]]) * torch.ones(3, 5)
    torch.testing.assert_close(from_view(to_view(cloud, cameras), cameras), cloud)


def test_a_point_behind_the_camera_stays_finite():
    cloud = torch.tensor([[[0.0, 0.0, 50.0]]])
    assert to_view(cloud, ROW).isfinite().all()
    assert from_view(cloud * 100, ROW).isfinite().all()


def test_directions_turn_with_the_camera_and_back():
    directions = torch.from_numpy(points())[None]
    turned = turn_to_view(directions, ROW[:, 4])
    np.testing.assert_allclose(turned[0].numpy(), points() @ CAMERA.axes.T, atol=1e-6)
    torch.testing.assert_close(turn_from_view(turned, ROW[:, 4]), directions)


def test_the_outline_distance_is_that_of_opencv():
    rng = np.random.default_rng(1)
    mask = (cv2.GaussianBlur(rng.random((48, 48)).astype(np.float32), (0, 0), 4) > 0.5).astype(
        np.uint8
    )
    inside = cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    outside = cv2.distanceTransform(1 - mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    got = outline_distance(torch.from_numpy(mask)[None].float())
    np.testing.assert_allclose(got[0].numpy(), (inside - outside) / 24, atol=1e-5)


def test_a_picture_without_outline_is_far_from_it():
    both = torch.stack([torch.zeros(8, 8), torch.ones(8, 8)])
    assert outline_distance(both).tolist() == [[[-4.0] * 8] * 8, [[4.0] * 8] * 8]
