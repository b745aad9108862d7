from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from models.cards.pointe import POINTE_MINI
from models.contract import PreparedImages, SamplingParams
from models.diffusion.noise import KarrasNoise
from models.diffusion.pointe import (
    NETWORKS,
    OWN_WIDTH,
    BaseStage,
    PointEConfig,
    PointENet,
    PointESystem,
    UpsamplerStage,
    identify,
    load_pointe,
    own_tokens,
)
from models.diffusion.pointe_network import PointTransformer, TransformerConfig
from models.diffusion.pointe_sampling import Times, base_betas, respaced
from models.diffusion.pointe_sdf import SdfConfig, SdfNet
from models.diffusion.staged import Given, PointDiffusion
from models.encoders.clip import PREFIX, ClipConfig, ClipTower, pixels
from models.encoders.own import IMAGE_SIZE, OwnEncoder
from models.errors import WeightsError
from models.feedforward.draft import DraftConfig, DraftNet

CPU = torch.device("cpu")
TINY = TransformerConfig(32, 2, 2, picture_width=16)
TOWER = ClipConfig(image_size=28, width=64, layers=1, embedding=24)


def tiny(**changes) -> PointEConfig:
    config = PointEConfig(
        TransformerConfig(32, 2, 2, picture_width=64),
        TransformerConfig(32, 1, 2, picture_width=64, adds=True),
        clip=TOWER,
        points=20,
        added=44,
        base_noise=KarrasNoise(0.02, 6.0),
        upsampler_noise=KarrasNoise(0.02, 6.0),
    )
    return replace(config, **changes)


def lively(net: torch.nn.Module) -> torch.nn.Module:
    """With random last layers too: untrained ones say nothing."""
    torch.manual_seed(1)
    for name, parameter in net.named_parameters():
        if "output_proj" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    return net.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def system() -> PointESystem:
    torch.manual_seed(0)
    net = PointENet(tiny())
    lively(net)
    return PointESystem(net)


@pytest.fixture(scope="module")
def given(system):
    return system.encode(torch.rand(2, 4, 28, 28, generator=torch.Generator().manual_seed(2)))


def sampled(system: PointESystem, given: Given, guidance: float, stage: int) -> Tensor:
    """Points of one job after the first evaluation of a stage."""
    card = replace(POINTE_MINI, steps=2)
    model = PointDiffusion(card, system, CPU)
    params = SamplingParams(256, 2, 5, "euler", guidance)
    state = model.start(given.row(0), params, torch.Generator().manual_seed(5))
    while state.stage < stage:
        model.step([state])
    if stage:
        state.before = [torch.zeros(20, 6)]  # the same, however the base was guided
        model.step([state])
        model.step([state])
        return state.ended[0]
    model.step([state])
    denoised = state.candidates[0].denoised
    assert denoised is not None
    return denoised


def test_only_the_base_is_guided(system, given):
    off, on = (sampled(system, given, w, 0) for w in (1.0, 4.0))
    assert not torch.allclose(off, on)
    off, on = (sampled(system, given, w, 1) for w in (1.0, 4.0))
    assert off.equal(on)


def test_the_points_of_the_base_come_first_and_stay(system, given):
    config = system.net.config
    model = PointDiffusion(POINTE_MINI, system, CPU)
    params = SamplingParams(256, 2, 5, "heun")
    state = model.start(given.row(0), params, torch.Generator().manual_seed(5))
    while state.step < state.steps:
        model.step([state])
    (x,), (before,) = state.ended, state.before
    assert before is not None
    assert len(before) == config.points
    assert len(x) == config.points + config.added
    assert x[: config.points].equal(before)
    assert len(model.finish(state).points) == 256


def test_the_order_of_points_means_nothing(system, given):
    net = system.net.base
    x = torch.randn(2, 20, 6, generator=torch.Generator().manual_seed(3))
    order = torch.randperm(20, generator=torch.Generator().manual_seed(4))
    t, picture = torch.tensor([3, 900]), given.features["base"]
    torch.testing.assert_close(net(x[:, order], t, picture), net(x, t, picture)[:, order])


def test_a_picture_that_is_not_shown_changes_nothing(system, given):
    stage, sigma = system.stages[0], torch.tensor([1.0, 1.0])
    x = torch.randn(1, 20, 6, generator=torch.Generator().manual_seed(3)).expand(2, -1, -1)
    shown = stage.denoise(x, sigma, given, None, None)
    assert not torch.allclose(shown[0], shown[1])
    hidden = stage.denoise(x, sigma, given, torch.tensor([True, True]), None)
    torch.testing.assert_close(hidden[0], hidden[1])


def test_estimates_stay_in_reach(system, given):
    config = tiny()
    for stage in (
        BaseStage(config, system.net.base),
        UpsamplerStage(config, system.net.upsample, system.base_channels),
    ):
        x = torch.randn(2, stage.size(0), 6) * 100
        before = torch.zeros(2, 20, 6) if isinstance(stage, UpsamplerStage) else None
        out = stage.denoise(x, torch.tensor([100.0, 3.0]), given, None, before)
        assert out.abs().max() <= 1  # half a diameter, and colours of 0 to 255


def test_the_upsampler_needs_the_base(system, given):
    with pytest.raises(ValueError, match="after the base"):
        system.stages[1].denoise(torch.zeros(2, 64, 6), torch.ones(2), given, None, None)


def test_z_is_up_in_what_they_were_trained_on(system, given):
    x = torch.zeros(2, 6)
    x[0, 2] = 1.0  # their top, in the scaled space
    x[0, 3:] = 5.0
    x[1, 3:] = -1.0
    cloud = system.cloud(x, given.row(0))
    np.testing.assert_allclose(cloud.positions, np.array([[0, 0.5, 0], [0, 0, 0]]), atol=1e-6)
    np.testing.assert_array_equal(cloud.colors, [[255] * 3, [0] * 3])


def test_the_vector_of_clip(system):
    torch.manual_seed(0)
    base = TransformerConfig(32, 1, 2, "vector", picture_width=24)
    given = PointESystem(PointENet(tiny(base=base))).encode(torch.rand(3, 4, 28, 28))
    assert given.features["base"].shape == (3, 1, 32)
    assert given.features["upsample"].shape == (3, 4, 32)


def test_pictures_are_shown_to_clip_on_white():
    rgba = torch.rand(1, 4, 4, 4)
    rgba[:, 3] = 0
    white = torch.ones(1, 4, 4, 4)
    torch.testing.assert_close(pixels(rgba), pixels(white))


def test_our_tokens_say_where_they_are():
    torch.manual_seed(0)
    encoder = OwnEncoder(DraftNet(DraftConfig(image_size=IMAGE_SIZE)).state_dict(), CPU)
    rgba = torch.zeros(1, 4, IMAGE_SIZE, IMAGE_SIZE)
    rgba[:, 3, :16, 80:] = 1  # the corner at the top right
    tokens = own_tokens(rgba, encoder(rgba))
    assert tokens.shape == (1, 36, OWN_WIDTH)
    torch.testing.assert_close(tokens[0, 5, -2:], torch.tensor([5 / 6, 5 / 6]))
    alpha = tokens[0, :, 256 : 256 + 16]  # the first of the guesses
    assert (alpha.mean(dim=1) > 0.5).nonzero().flatten().tolist() == [5]


@pytest.mark.parametrize("sigma", [1e-6, 0.1, 1.0, 119.0, 1e6])
def test_times_are_cut_off(sigma):
    times = Times(base_betas())
    (found,) = times.whole(torch.tensor([sigma]))
    assert 0 <= found < len(times.betas)
    if times.sigmas[0] < sigma < times.sigmas[-1]:
        assert times.sigmas[found] <= sigma < times.sigmas[found + 1]


@pytest.mark.parametrize("count", [0, 1, 1025])
def test_there_are_not_so_many_times(count):
    with pytest.raises(ValueError, match="2 to 1024"):
        respaced(base_betas(), count)


def on_paper(config: TransformerConfig | ClipConfig) -> dict[str, Tensor]:
    """Tensors without memory behind them."""
    with torch.device("meta"):
        net = ClipTower(config) if isinstance(config, ClipConfig) else PointTransformer(config)
    return dict(net.state_dict())


@pytest.mark.parametrize("name", ["base40M-imagevec", "base40M", "base300M", "base1B"])
def test_a_base_is_known_by_its_tensors(name):
    tensors = on_paper(NETWORKS[name].base)
    network, found = identify(tensors, {})
    assert network == name
    assert found.keys() == {f"base.{key}" for key in tensors}


def test_the_upsampler_and_clip_are_known_by_theirs():
    tensors = on_paper(TransformerConfig(adds=True))
    network, found = identify(tensors, {})
    assert (network, len(found)) == ("upsample", len(tensors))
    tower = {PREFIX + key: value for key, value in on_paper(ClipConfig()).items()}
    network, found = identify(tower | {"logit_scale": torch.zeros(())}, {})
    assert network == "clip"
    assert "clip.conv1.weight" in found
    assert "clip.logit_scale" not in found


def test_what_is_found_is_what_is_loaded():
    expected = {name for name, _ in meta_net("base40M").state_dict().items()}
    parts = [on_paper(TransformerConfig()), on_paper(TransformerConfig(adds=True))]
    parts.append({PREFIX + key: value for key, value in on_paper(ClipConfig()).items()})
    assert {name for part in parts for name in identify(part, {})[1]} == expected


def meta_net(name: str) -> PointENet:
    with torch.device("meta"):
        return PointENet(NETWORKS[name])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: {f"model.{k}": v for k, v in t.items()}, "not a checkpoint of Point-E"),
        (lambda t: {}, "not a checkpoint of Point-E"),
        (lambda t: {k: v for k, v in t.items() if k != "ln_post.bias"}, "ln_post.bias"),
        (lambda t: t | {"x_embedder.weight": torch.zeros(1)}, "x_embedder.weight"),
        (lambda t: on_paper(replace(TINY, picture_width=1024)), "width 32 and 2 layers"),
        (lambda t: t | {"output_proj.bias": torch.zeros(6)}, "output_proj.bias"),
    ],
)
def test_another_checkpoint_is_refused(change, message):
    with pytest.raises(WeightsError, match=message):
        identify(change(on_paper(TransformerConfig())), {})


@pytest.mark.parametrize("part", ["base", "upsample", "clip"])
def test_a_part_that_is_missing_is_named(part):
    tensors = {"base.x": torch.zeros(1), "upsample.x": torch.zeros(1), "clip.x": torch.zeros(1)}
    del tensors[f"{part}.x"]
    with pytest.raises(WeightsError, match=f"no tensors of {part}"):
        load_pointe(replace(POINTE_MINI, network="base40M"), tensors, CPU)


@pytest.mark.parametrize("network", ["upsample", "clip", "base7B", ""])
def test_a_part_alone_cannot_be_served(network):
    with pytest.raises(WeightsError, match="cannot be served"):
        load_pointe(replace(POINTE_MINI, network=network), {}, CPU)


def test_a_published_network_is_served(monkeypatch):
    monkeypatch.setitem(NETWORKS, "tiny", tiny())
    torch.manual_seed(0)
    tensors = lively(PointENet(tiny())).state_dict()
    card = replace(POINTE_MINI, network="tiny", image_size=28)
    model = load_pointe(card, tensors, CPU)
    conditioning = model.encode(PreparedImages(torch.rand(1, 4, 28, 28)))
    params = SamplingParams(300, 2, 1, "heun", 3.0)
    state = model.start(conditioning.row(0), params, torch.Generator().manual_seed(1))
    while state.step < state.steps:
        model.step([state])
    cloud = model.finish(state).points
    assert len(cloud) == 300
    assert np.isfinite(cloud.positions).all()
    assert cloud.colors is not None


@pytest.mark.parametrize("own", [False, True])
def test_a_mesh_by_the_distance_network_stands_in_the_frame_of_the_cloud(own, monkeypatch):
    torch.manual_seed(0)
    config = tiny(sdf=SdfConfig(32, 1, 1, 2, 256))
    if own:
        config = replace(config, clip=None)
    encoder = OwnEncoder(DraftNet(DraftConfig(image_size=IMAGE_SIZE)).state_dict(), CPU)
    system = PointESystem(PointENet(config), encoder if own else None)
    # Inside is what is near a point, wherever that is.
    monkeypatch.setattr(SdfNet, "encode", lambda self, points: points)
    monkeypatch.setattr(
        SdfNet, "forward", lambda self, q, known: torch.cdist(q, known).amin(dim=-1) - 0.1
    )
    x = torch.randn(300, 6) * torch.tensor([0.1, 0.3, 0.9, 1.0, 1.0, 1.0])
    features: dict[str, Tensor] = {}
    camera = torch.tensor([[0.5, 0.45, 0.0, 0.0, 0.43]])
    given = Given(torch.ones(1, 4, 8, 8), camera, features)
    cloud, mesh = system.cloud(x, given), system.mesh(x, given)
    assert mesh is not None
    assert mesh.normals is not None
    low, high = cloud.positions.min(axis=0), cloud.positions.max(axis=0)
    np.testing.assert_allclose(mesh.vertices.min(axis=0), low - 0.1, atol=0.08)
    np.testing.assert_allclose(mesh.vertices.max(axis=0), high + 0.1, atol=0.08)


def test_without_that_network_there_is_no_mesh(system, given):
    assert system.mesh(torch.randn(64, 6), given.row(0)) is None
