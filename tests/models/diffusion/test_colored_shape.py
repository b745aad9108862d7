from dataclasses import replace

import numpy as np
import pytest
import torch

from models.cards.colored_shape import COLORED_MINI
from models.diffusion.colored_shape import ColoredShape, load_colored_shape
from models.diffusion.view_network import COLORED, ViewNet
from models.diffusion.view_space import to_view
from models.encoders.own import IMAGE_SIZE, OWN_PREFIX, OwnEncoder
from models.errors import WeightsError
from models.feedforward.draft import DraftConfig, DraftNet

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def system() -> ColoredShape:
    torch.manual_seed(0)
    encoder = DraftNet(DraftConfig(image_size=IMAGE_SIZE)).state_dict()
    return ColoredShape(ViewNet(COLORED).requires_grad_(False), OwnEncoder(encoder, CPU))


def pictures(count=1):
    return torch.rand(count, 4, IMAGE_SIZE, IMAGE_SIZE, generator=torch.Generator().manual_seed(1))


def test_a_point_carries_its_own_colour(system):
    given = system.encode(pictures())
    x = torch.zeros(3, 6)
    x[:, :3] = torch.randn(3, 3)
    x[:, 3:] = torch.tensor([[-2.0, -2, -2], [2, 2, 2], [9, -9, 0]])  # -1, 1 and beyond
    cloud = system.cloud(x, given)
    assert cloud.colors.tolist() == [[0, 0, 0], [255, 255, 255], [255, 0, 128]]


def test_places_are_those_of_the_crop(system):
    given = system.encode(pictures())
    x = torch.randn(20, 6) * 0.5
    view = to_view(torch.from_numpy(system.cloud(x, given).positions)[None], given.camera)
    torch.testing.assert_close(view[0], x[:, :3] * system.net.spread[:3], rtol=1e-3, atol=1e-3)


def test_the_picture_moves_the_estimate(system):
    given = system.encode(pictures(2))
    x, sigma = torch.randn(1, 64, 6).expand(2, 64, 6), torch.full((2,), 0.5)
    out = system.stages[0].denoise(x, sigma, given, None, None)
    assert out.shape == (2, 64, 6)
    assert float((out[0] - out[1]).abs().max()) > 1e-4


def test_rows_have_their_own_noise(system):
    given = system.encode(pictures()).rows(torch.zeros(2, dtype=torch.int64))
    x = torch.randn(2, 64, 6)
    sigma = torch.tensor([0.05, 6.0])
    both = system.stages[0].denoise(x, sigma, given, None, None)
    for row in range(2):
        alone = system.stages[0].denoise(
            x[row : row + 1], sigma[row : row + 1], given.row(row), None, None
        )
        np.testing.assert_allclose(both[row], alone[0], atol=1e-4)


def test_weights_of_three_channels_are_refused():
    encoder = DraftNet(DraftConfig(image_size=IMAGE_SIZE)).state_dict()
    own = ViewNet(replace(COLORED, channels=3)).state_dict()
    tensors = encoder | {OWN_PREFIX + name: value for name, value in own.items()}
    with pytest.raises(WeightsError, match="colored-mini"):
        load_colored_shape(COLORED_MINI, tensors, CPU)


def test_an_unknown_network_is_refused():
    with pytest.raises(WeightsError, match="pc2"):
        load_colored_shape(replace(COLORED_MINI, network="pc2"), {}, CPU)
