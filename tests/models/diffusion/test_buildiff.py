from dataclasses import replace

import numpy as np
import pytest
import torch

from models.cards.buildiff import BUILDIFF_MINI
from models.contract import PreparedImages, SamplingParams
from models.diffusion import buildiff
from models.diffusion.buildiff import (
    NETWORKS,
    BuildiffConfig,
    BuildiffNet,
    UpsamplerStage,
    held,
    identify,
    load_buildiff,
    shown,
)
from models.diffusion.buildiff_encoder import AutoEncoder, AutoEncoderConfig, Standardised, as_input
from models.diffusion.noise import scale
from models.diffusion.pvcnn2 import Pvcnn2Config
from models.diffusion.staged import Given, PointDiffusion
from models.encoders.own import IMAGE_SIZE, OWN_PREFIX
from models.errors import WeightsError
from models.feedforward.draft import DraftConfig, DraftNet

CPU = torch.device("cpu")
POINTS = Pvcnn2Config(
    embed_dim=8,
    width_multiplier=0.25,
    voxel_resolution_multiplier=0.25,
    centers=(32, 16, 8, 4),
    dropout=0.0,
    condition_dim=16,
)
SMALL = BuildiffConfig(
    autoencoder=AutoEncoderConfig(64, 8, (8,) * 4, (1,) * 4, (1,), 4, (16, 8, 8, 8, 8), 16),
    base=POINTS,
    upsampler=POINTS,
    base_points=64,
    points=256,
    base_times=100,
    times=50,
)


def tensors(config: BuildiffConfig = SMALL) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    encoder = DraftNet(DraftConfig(image_size=IMAGE_SIZE)).state_dict()
    return encoder | {OWN_PREFIX + n: t for n, t in BuildiffNet(config).state_dict().items()}


@pytest.fixture
def model(monkeypatch) -> PointDiffusion:
    monkeypatch.setitem(NETWORKS, "small", SMALL)
    return load_buildiff(replace(BUILDIFF_MINI, network="small"), tensors(), CPU)


def pictures(count: int = 1) -> PreparedImages:
    torch.manual_seed(1)
    rgba = torch.rand(count, 4, IMAGE_SIZE, IMAGE_SIZE)
    rgba[:, 3] = 0
    rgba[:, 3, 12:84, 24:72] = 1
    return PreparedImages(rgba)


def ended(model: PointDiffusion, params: SamplingParams):
    given = model.encode(pictures()).row(0)
    state = model.start(given, params, torch.Generator().manual_seed(params.seed))
    lows = []
    while state.step < state.steps:
        model.step([state])
        if state.before[0] is not None:
            lows.append(state.before[0].clone())
    return state, lows


@pytest.mark.parametrize("sampler", ["ddim", "ddpm", "heun", "dpmpp_2m"])
def test_the_first_points_of_the_result_are_the_low_resolution_cloud(model, sampler):
    state, lows = ended(model, SamplingParams(256, 3, 5, sampler, guidance_scale=2.0, candidates=2))

    assert [x.shape for x in state.ended] == [(256, 3)] * 2
    for low, x in zip(state.before, state.ended, strict=True):
        torch.testing.assert_close(x[:64], low, rtol=0, atol=0)
        assert float((x[64:] - x[:1]).abs().max()) > 0
    torch.testing.assert_close(lows[0], lows[-1], rtol=0, atol=0)  # nothing moves it meanwhile


def test_the_second_stage_samples_more_points_at_its_own_times(model):
    base, upsampler = model.system.stages

    assert [base.size(n) for n in (7, 100, 9999)] == [64, 64, 64]
    assert [upsampler.size(n) for n in (7, 100, 9999)] == [64, 100, 256]
    assert len(base.noise.betas) == 100
    assert len(upsampler.noise.betas) == 50
    assert base.noise.betas[0] == upsampler.noise.betas[0] == pytest.approx(1e-4)
    assert base.noise.betas[-1] == upsampler.noise.betas[-1] == pytest.approx(0.02)


def test_the_network_sees_the_low_resolution_points_as_they_are():
    """Whatever the noise: `held` undoes the factor that makes y of x."""
    low, x = torch.randn(4, 3), torch.randn(10, 3)
    for sigma in (0.0, 0.3, 40.0):
        put = held(x, sigma, low)
        y = put * scale(torch.tensor([sigma]))[0]

        torch.testing.assert_close(y[:4], low)
        torch.testing.assert_close(put[4:], x[4:], rtol=0, atol=0)


def test_the_upsampler_gives_back_what_it_was_given(model):
    stage = model.system.stages[1]
    given = model.encode(pictures(2))
    before, x = torch.randn(2, 64, 3), torch.randn(2, 256, 3)

    out = stage.denoise(x, torch.tensor([0.5, 3.0]), given, None, before)

    torch.testing.assert_close(out[:, :64], before, rtol=0, atol=0)
    assert isinstance(stage, UpsamplerStage)
    with pytest.raises(ValueError, match="base's points"):
        stage.settle(x[0], 1.0, None)


def test_a_dropped_picture_tells_nothing(model):
    given = model.encode(pictures(2))
    code = given.features["code"]
    other = Given(given.rgba, given.camera, {"code": code.flip(0)})
    x, sigma, drop = torch.randn(2, 64, 3), torch.tensor([1.0, 1.0]), torch.tensor([True, False])

    first, second = (
        model.system.stages[0].denoise(x, sigma, g, drop, None) for g in (given, other)
    )

    torch.testing.assert_close(first[0], second[0])
    assert float((first[1] - second[1]).abs().max()) > 1e-6
    torch.testing.assert_close(shown(code, None), code)


def test_clouds_are_in_the_upright_frame_with_colours(model):
    given = model.encode(pictures())
    x = torch.randn(50, 3)
    cloud = model.system.cloud(x, given)

    np.testing.assert_allclose(cloud.positions, x.numpy() / SMALL.unit, rtol=1e-6)
    assert cloud.colors is not None
    assert model.system.mesh(x, given) is None


def test_the_code_is_of_the_foreground_alone():
    rgba = pictures().rgba
    other = rgba.clone()
    other[:, :3][:, :, :10] = 0.9  # where alpha is 0

    torch.testing.assert_close(as_input(rgba), as_input(other), rtol=0, atol=0)


def test_standardised_columns_have_mean_0_and_variance_1_later_too():
    torch.manual_seed(0)
    layer, x = Standardised(3), torch.randn(4000, 3) * torch.tensor([5.0, 0.01, 1]) + 7
    y = x
    for _ in range(800):
        y = layer(x)
    later = layer.eval()(x)

    for found in (y, later):
        torch.testing.assert_close(found.mean(dim=0), torch.zeros(3), atol=0.03, rtol=0)
        # 1e-6 is added to a variance of 1e-4
        torch.testing.assert_close(found.std(dim=0), torch.ones(3), atol=0.03, rtol=0)


def test_the_auto_encoder_of_the_paper_makes_128_numbers_of_a_picture():
    with torch.device("meta"):
        net = AutoEncoder(NETWORKS["paper"].autoencoder).eval()
        rgba = torch.empty(1, 4, 1024, 1024)
        code = net(rgba)
        picture = net.decoder(code)

    assert code.shape == (1, 128)
    assert picture.shape == rgba.shape
    blocks = [name for name, _ in net.encoder.named_modules() if name.endswith("conv_1")]
    assert len(blocks) == 3 + 4 + 6 + 3
    dilations = [layer.get_submodule("").dilation for layer in net.encoder.dilated]
    assert dilations == [(d, d) for d in (1, 2, 4, 8)]


def test_the_paper_s_sizes():
    paper = NETWORKS["paper"]

    assert (paper.base_points, paper.points, paper.base_times, paper.times) == (
        1024,
        4096,
        1000,
        500,
    )
    assert paper.base.condition_dim == paper.base.embed_dim == 128
    assert paper.upsampler == paper.base


def test_no_checkpoint_is_known():
    with pytest.raises(WeightsError, match="published no checkpoint"):
        identify({"model.x": torch.zeros(1)}, {})


def test_other_tensors_and_other_networks_are_refused(monkeypatch):
    monkeypatch.setitem(buildiff.NETWORKS, "small", SMALL)
    card = replace(BUILDIFF_MINI, network="small")
    without = tensors()
    del without["system.base.classifier.2.bias"]
    with pytest.raises(WeightsError, match=card.id):
        load_buildiff(card, without, CPU)
    with pytest.raises(WeightsError, match="'huge' is none of paper, mini"):
        load_buildiff(replace(card, network="huge"), tensors(), CPU)
