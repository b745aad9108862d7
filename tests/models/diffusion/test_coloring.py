import numpy as np
import torch
from torch import Tensor

from models.diffusion.coloring import picture_colored

LEVEL = torch.tensor([[0.5, 0.0, 0.0, 0.0, 0.0]])  # infinitely far away


def ball(count: int = 2000) -> Tensor:
    points = torch.randn(count, 3, generator=torch.Generator().manual_seed(0))
    scaled: Tensor = 0.4 * points / points.norm(dim=1, keepdim=True)
    return scaled


def picture(*colors: tuple[float, float, float], alpha: float = 1.0) -> Tensor:
    """Upright stripes of equal width."""
    rgba = torch.full((1, 4, 96, 96), alpha)
    for stripe, color in zip(rgba[0, :3].chunk(len(colors), dim=2), colors, strict=True):
        stripe[:] = torch.tensor(color).view(3, 1, 1)
    return rgba


def colors(points: Tensor, rgba: Tensor, camera: Tensor = LEVEL) -> np.ndarray:
    cloud = picture_colored(points, camera, rgba)
    assert cloud.colors is not None
    assert cloud.normals is not None
    return cloud.colors.astype(int)


RED_BLUE = picture((1, 0, 0), (0, 0, 1))


def test_points_take_the_colour_of_their_place():
    points = ball()
    found = colors(points, RED_BLUE)
    left, right = (points[:, 0] < -0.15).numpy(), (points[:, 0] > 0.15).numpy()
    np.testing.assert_allclose(found[left] - [255, 0, 0], 0, atol=2)  # hidden ones too
    np.testing.assert_allclose(found[right] - [0, 0, 255], 0, atol=2)


def test_hidden_points_take_a_blurred_colour():
    points = ball()
    middle = points[:, 0].abs() < 0.02
    front, back = (middle & (points[:, 2] > 0.2)).numpy(), (middle & (points[:, 2] < -0.2)).numpy()
    found = colors(points, RED_BLUE)
    assert np.abs(found[back][:, 0] - found[back][:, 2]).mean() < 130  # purple
    assert np.abs(found[front][:, 0] - found[front][:, 2]).mean() > 170


def test_the_camera_decides_what_is_in_front():
    """From above, up in the picture is away from the camera."""
    points = ball()
    above = LEVEL.clone()
    above[:, 4] = torch.pi / 2
    found = colors(points, RED_BLUE.transpose(2, 3).contiguous(), above)
    top = (points[:, 1] > 0.3).numpy()
    away = (points[:, 2] < -0.1).numpy()
    np.testing.assert_allclose(found[top & away] - [255, 0, 0], 0, atol=2)


def test_background_does_not_bleed_in():
    rgba = picture((0, 1, 0))
    rgba[:, 3, :, 60:] = 0
    rgba[:, :3, :, 60:] = torch.tensor([1.0, 0.0, 1.0]).view(1, 3, 1, 1)
    found = colors(ball(), rgba)
    assert (found == [0, 255, 0]).all()


def test_points_outside_and_empty_pictures_have_colours_too():
    far = torch.cat([ball(300), ball(300) * 10])
    assert (colors(far, picture((0, 1, 0))) == [0, 255, 0]).all()
    for alpha in (0.0, 1e-3):
        found = colors(ball(300), picture((0, 1, 0), alpha=alpha))
        assert found.shape == (300, 3)


def test_one_place_is_a_cloud():
    found = colors(torch.zeros(20, 3), picture((0, 1, 0)))
    assert (found == [0, 255, 0]).all()
