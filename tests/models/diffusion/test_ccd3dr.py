"""CCD-3DR: everything stays centred, and the centre comes from the picture."""

import numpy as np
import pytest
import torch
from torch import Tensor

from models.cards.pc2 import CCD3DR_MINI
from models.contract import PreparedImages, SamplingParams
from models.diffusion.ccd3dr import Ccd3dr, Ccd3drNet, load_ccd3dr
from models.diffusion.pc2 import MINI
from models.diffusion.staged import PointDiffusion, StagedState
from models.encoders.own import IMAGE_SIZE, OWN_PREFIX
from models.errors import WeightsError
from models.feedforward.draft import DraftConfig, DraftNet
from tests.models.diffusion.test_pc2 import SMALL, crops

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def small() -> PointDiffusion:
    torch.manual_seed(0)
    return PointDiffusion(CCD3DR_MINI, Ccd3dr(Ccd3drNet(SMALL), None, CPU), CPU)


def start(model: PointDiffusion, picture: Tensor, **options) -> StagedState:
    given = model.encode(PreparedImages(picture)).row(0)
    params = SamplingParams(128, 3, 0, **({"sampler": "ddpm"} | options))
    return model.start(given, params, torch.Generator().manual_seed(0))


@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "heun", "dpmpp_2m", "pndm"])
def test_the_mean_stays_at_zero(small, sampler):
    state = start(small, crops(1, 32), sampler=sampler)
    way = state.candidates[0]
    while state.step < state.steps:
        assert way.x.mean(dim=0).abs().max() < 1e-5 * way.x.abs().max()
        small.step([state])
        assert way.denoised is not None
        assert way.denoised.mean(dim=0).abs().max() < 1e-5 * way.denoised.abs().max()
    assert state.ended[0].mean(dim=0).abs().max() < 1e-5 * state.ended[0].abs().max()


def shifted(rows: int) -> Tensor:
    return crops(1, 32).roll(rows, dims=2) * (torch.arange(32)[:, None] >= rows)


def test_the_cloud_is_put_where_the_mask_is(small):
    """An object lower in the picture is lower in the scene."""
    heights = []
    for rows in (0, 6):
        state = start(small, shifted(rows))
        x = torch.randn(200, 3, generator=torch.Generator().manual_seed(2))
        cloud = small.system.cloud(x - x.mean(dim=0), state.given)
        expected = state.given.features["centre"][0] / SMALL.unit
        np.testing.assert_allclose(cloud.positions.mean(axis=0), expected, atol=1e-5)
        heights.append(float(cloud.positions[:, 1].mean()))
    assert heights[1] < heights[0] - 0.05


def test_a_given_camera_moves_the_centre(small):
    near, far = (
        start(small, shifted(6), camera=f'{{"elevation": 0, "distance": {distance}}}').given
        for distance in (1.5, 3.0)
    )
    # the window is as wide at the object, however far it is away
    torch.testing.assert_close(near.features["centre"], far.features["centre"])
    above = start(small, shifted(6), camera='{"elevation": 80, "distance": 3}').given
    assert above.features["centre"][0, 2] > near.features["centre"][0, 2] + 0.05


def tensors(net: Ccd3drNet) -> dict[str, Tensor]:
    encoder = DraftNet(DraftConfig(image_size=IMAGE_SIZE)).state_dict()
    return encoder | {OWN_PREFIX + n: t for n, t in net.state_dict().items()}


def test_the_head_corrects_the_masks_guess():
    torch.manual_seed(0)
    net = Ccd3drNet(MINI)
    assert net.centre_head is not None
    with torch.no_grad():
        net.centre_head.say.bias.copy_(torch.tensor([0.1, -0.2, 0.3]))
    moved, plain = tensors(net), tensors(net)
    plain[OWN_PREFIX + "centre_head.say.bias"] = torch.zeros(3)
    for name in plain:
        if not name.startswith(OWN_PREFIX):
            plain[name] = moved[name]
    first, second = (
        start(load_ccd3dr(CCD3DR_MINI, weights, CPU), crops()).given.features["centre"]
        for weights in (plain, moved)
    )
    apart = (second - first)[0] / MINI.unit
    torch.testing.assert_close(apart, torch.tensor([0.1, -0.2, 0.3]), atol=1e-5, rtol=0)


def test_weights_of_pc2_lack_the_head():
    given = tensors(Ccd3drNet(MINI))
    del given[OWN_PREFIX + "centre_head.say.bias"]
    with pytest.raises(WeightsError, match="ccd3dr-mini"):
        load_ccd3dr(CCD3DR_MINI, given, CPU)
