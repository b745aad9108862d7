"""Projection: our own cameras in PyTorch3D's convention, empty masks, turned pictures."""

import math

import pytest
import torch

from models.cameras import PerspectiveCamera
from models.diffusion.projection import (
    Views,
    distance_transform,
    fine_maps,
    looked_up,
    upright,
)
from models.diffusion.view_space import to_view

WINDOW = torch.tensor([[0.6, 0.45, 0.08, -0.05, 0.4], [0.5, 0.2, 0.0, 0.1, -0.2]])


def cloud(B: int = 2, N: int = 200) -> torch.Tensor:
    return 0.25 * torch.randn(B, N, 3, generator=torch.Generator().manual_seed(0))


def test_a_window_is_an_exact_camera():
    points = cloud()
    ndc = Views.of_windows(WINDOW).to_ndc(points)
    uvw = to_view(points, WINDOW)
    torch.testing.assert_close(ndc[..., 0], -uvw[..., 0])  # +x is left there
    torch.testing.assert_close(ndc[..., 1], uvw[..., 1])
    depth = 1 / WINDOW[:, 1:2] - uvw[..., 2] * WINDOW[:, :1]
    torch.testing.assert_close(ndc[..., 2], depth)


def test_scaled_clouds_are_seen_at_the_same_pixels():
    views, points = Views.of_windows(WINDOW), cloud()
    small, large = views.to_ndc(points), views.to_ndc(7 * points, unit=7)
    torch.testing.assert_close(large[..., :2], small[..., :2])
    torch.testing.assert_close(large[..., 2], 7 * small[..., 2])


def test_packing_keeps_everything():
    views = Views.of_windows(WINDOW)
    again = Views.unpacked(views.packed)
    torch.testing.assert_close(again.to_ndc(cloud()), views.to_ndc(cloud()))


def test_points_behind_the_camera_are_told_nothing_and_stay_finite():
    views = Views.of_windows(WINDOW)
    away = torch.tensor([0.0, 0.4, 0.9]) * torch.linspace(7, 12, 50)[:, None]
    at_camera = -(views.T[:, None] @ views.R.mT)
    points = torch.cat([away.expand(2, 50, 3), at_camera], dim=1)
    ndc = views.to_ndc(points)
    assert ndc.isfinite().all()
    fine = torch.ones(2, 5, 32, 32)
    local = looked_up(ndc[:, :50], torch.ones(2, 4, 4, 4), fine, 0.05)
    assert local.shape == (2, 50, 9)
    assert not local.any()


def test_a_hidden_point_is_told_nothing():
    views = Views.of_windows(WINDOW[1:])
    forwards = -(views.T[:, None] @ views.R.mT)[0, 0] / 5
    points = torch.stack([forwards * 0.2, -forwards * 0.2])[None]  # one behind the other
    ndc = views.to_ndc(points)
    local = looked_up(ndc, torch.ones(1, 1, 2, 2), torch.ones(1, 5, 16, 16), 0.1)
    assert local[0, 0].all()
    assert not local[0, 1].any()


def test_a_mask_with_nothing_in_it_is_one_side_away():
    away = distance_transform(torch.zeros(1, 1, 16, 16))
    assert (away == 1).all()


def test_maps_are_in_the_published_order():
    rgb, mask = torch.rand(1, 3, 8, 8), torch.zeros(1, 1, 8, 8)
    mask[..., 2:6, 2:6] = 0.75
    maps = fine_maps(rgb, mask)
    torch.testing.assert_close(maps[:, :3], 2 * rgb - 1)
    assert torch.equal(maps[:, 3:4], mask)  # soft
    assert maps[0, 4, 3, 3] == 0
    assert maps[0, 4, 3, 1] == pytest.approx(1 / 4, rel=0.05)  # a pixel, in half sides


def test_where_a_mask_puts_the_object():
    mask = torch.zeros(1, 32, 32)
    mask[0, 4:10, 20:26] = 1  # its middle is at row 6.5, column 22.5
    views = Views.of_windows(WINDOW[:1])
    centre = views.centred_at(mask)
    ndc = views.to_ndc(centre[:, None])[0, 0]
    torch.testing.assert_close(ndc[:2], torch.tensor([1 - 46 / 32, 1 - 14 / 32]), atol=1e-5, rtol=0)
    assert ndc[2] == pytest.approx(1 / 0.45, rel=1e-5)  # as deep as the object


def around(azimuth: float, elevation: float, roll: float = 0.0) -> PerspectiveCamera:
    """Two diameters away, looking at the object."""
    c, s = math.cos(azimuth), math.sin(azimuth)
    turn = torch.tensor([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    window = torch.tensor([[0.6, 0.5, 0.0, 0.0, elevation]])
    level = Views.of_windows(window)
    c, s = math.cos(roll), math.sin(roll)
    rolled = turn @ level.R[0] @ torch.tensor([[c, s, 0], [-s, c, 0], [0, 0, 1.0]])
    rows = [tuple(row.tolist()) for row in rolled]
    return PerspectiveCamera((rows[0], rows[1], rows[2]), (0, 0, 2), (2 / 0.6, 2 / 0.6))


def test_a_level_camera_keeps_its_picture():
    rgba = torch.rand(1, 4, 24, 24)
    turned, camera, turn = upright(rgba, Views.of(around(0.0, 0.3), rgba))
    torch.testing.assert_close(turned, rgba, atol=1e-4, rtol=0)
    torch.testing.assert_close(camera, torch.tensor([[0.6, 0.5, 0, 0, 0.3]]), atol=1e-5, rtol=0)
    torch.testing.assert_close(turn[0], torch.eye(3), atol=1e-6, rtol=0)


@pytest.mark.parametrize("azimuth", [0.7, -2.5, math.pi])
def test_the_cameras_side_comes_to_the_front(azimuth):
    rgba = torch.rand(1, 4, 24, 24)
    given = Views.of(around(azimuth, 0.3), rgba)
    _, camera, turn = upright(rgba, given)
    points = cloud(1)
    seen = given.to_ndc(points)
    turned = Views.of_windows(camera).to_ndc(points @ turn)
    torch.testing.assert_close(turned, seen, atol=1e-5, rtol=0)


def test_roll_is_taken_out_of_the_picture():
    """A bright spot at a point's pixel is there in the turned picture too."""
    S = 64
    given = Views.of(around(0.4, 0.2, roll=0.5), torch.zeros(1))
    point = torch.tensor([[[0.1, 0.2, 0.05]]])
    x, y = given.to_ndc(point)[0, 0, :2].tolist()
    ticks = 1 - (2 * torch.arange(S) + 1) / S
    apart = (ticks[None] - x) ** 2 + (ticks[:, None] - y) ** 2
    rgba = torch.exp(-apart / 0.005).expand(1, 4, S, S)
    turned, camera, turn = upright(rgba, given)
    found = turned[0, 3].argmax()
    uv = to_view(point @ turn, camera)[0, 0, :2]
    column, row = (uv[0] + 1) * S / 2 - 0.5, (1 - uv[1]) * S / 2 - 0.5
    assert abs(found % S - column) <= 1
    assert abs(found // S - row) <= 1


def test_a_camera_right_above_is_taken_as_it_is():
    rgba = torch.rand(1, 4, 8, 8)
    above = PerspectiveCamera(((-1, 0, 0), (0, 0, -1), (0, -1, 0)), (0, 0, 2), (3, 3))
    turned, camera, turn = upright(rgba, Views.of(above, rgba))
    assert turned.isfinite().all()
    assert camera[0, 4] == pytest.approx(math.pi / 2)
    torch.testing.assert_close(turn[0], torch.eye(3))
