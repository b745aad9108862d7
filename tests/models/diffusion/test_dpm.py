import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from torch import Tensor

from models.cards.dpm import DPM_MINI
from models.catalog import SAMPLERS, ModelCard
from models.contract import PreparedImages, Result, SamplingParams
from models.diffusion.dpm import (
    NETWORKS,
    PointStage,
    identify,
    load_autoencoder,
    load_dpm,
    network,
)
from models.diffusion.dpm_flow import LatentFlow
from models.diffusion.dpm_network import DpmConfig, DpmNet, Kind, shape_unit
from models.diffusion.staged import Given, PointDiffusion
from models.errors import ParameterError, WeightsError

CPU = torch.device("cpu")
SMALL = DpmConfig(
    latent=8, times=6, flow_depth=3, flow_hidden=8, widths=(16, 8), encoder_widths=(8,) * 6
)
PLAIN = SamplingParams(num_points=300, steps=3, seed=1, sampler="ddim")


def small(kind: Kind) -> tuple[ModelCard, DpmNet]:
    torch.manual_seed(0)
    config = replace(SMALL, kind=kind)
    return replace(DPM_MINI, network=json.dumps(asdict(config))), DpmNet(config).eval()


@pytest.fixture(params=["flow", "gaussian"])
def generator(request) -> PointDiffusion:
    card, net = small(request.param)
    return load_dpm(card, net.state_dict(), CPU)


def sample(model: PointDiffusion, params: SamplingParams, brightness: float = 0.5) -> Result:
    rgba = torch.full((1, 4, 32, 32), brightness)
    given = model.encode(PreparedImages(rgba)).row(0)
    state = model.start(given, params, torch.Generator().manual_seed(params.seed))
    while state.step < state.steps:
        model.step([state])
    return model.finish(state)


def published(config: DpmConfig) -> dict[str, Tensor]:
    return DpmNet(config).state_dict()


def test_the_flow_and_its_reverse_undo_each_other():
    torch.manual_seed(0)
    flow = LatentFlow(size=6, depth=5, hidden=8)
    z = torch.randn(1, 6)
    noise, lost = flow(z)
    torch.testing.assert_close(flow.codes(noise), z, rtol=1e-4, atol=1e-5)
    jacobian = torch.autograd.functional.jacobian(lambda row: flow(row)[0], z)[0, :, 0]
    torch.testing.assert_close(-lost[0, 0], torch.linalg.slogdet(jacobian).logabsdet)


def test_a_flow_of_odd_size_keeps_its_shape():
    flow = LatentFlow(size=7, depth=2, hidden=8)
    assert flow.codes(torch.randn(2, 7)).shape == (2, 7)


def test_the_gaussian_loss_is_a_divergence():
    _, net = small("gaussian")
    points, eps = torch.randn(3, 20, 3), torch.randn(3, 8)
    t, noise = torch.tensor([1, 3, 6]), torch.randn(3, 20, 3)
    mean, log_variance = net.encoder(points)
    posterior = torch.distributions.Normal(mean, (log_variance / 2).exp())
    apart = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0))
    without = net.generator_loss(points, t, noise, eps, kl_weight=0.0)
    loss = net.generator_loss(points, t, noise, eps, kl_weight=0.5)
    torch.testing.assert_close(loss - without, 0.5 * apart.sum(dim=1).mean())


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_generator_takes_one_evaluation_more_for_its_code(generator, sampler):
    params = replace(PLAIN, sampler=sampler)
    given = generator.encode(PreparedImages(torch.zeros(1, 4, 32, 32)))
    state = generator.start(given, params, torch.Generator().manual_seed(1))
    points = state.steps - 1
    assert points >= 3
    generator.step([state])
    assert (state.stage, state.step) == (1, 1)
    for _ in range(points):
        assert not state.ended
        generator.step([state])
    assert len(generator.finish(state).points) == 300


def test_a_generator_looks_at_no_picture(generator):
    dark, bright = (sample(generator, PLAIN, value).points for value in (0.1, 0.9))
    np.testing.assert_array_equal(dark.positions, bright.positions)
    assert dark.colors is not None
    assert len(np.unique(dark.colors)) == 1


def test_a_seed_draws_the_code_too(generator):
    """Without it the clouds would differ by their own noise alone."""
    states = []
    for seed in (1, 2):
        given = generator.encode(PreparedImages(torch.zeros(1, 4, 32, 32)))
        wanted = replace(PLAIN, candidates=2)
        state = generator.start(given, wanted, torch.Generator().manual_seed(seed))
        generator.step([state])
        states.append(state)
    codes = [before for state in states for before in state.before]
    assert len(codes) == 4
    assert all(not a.equal(b) for k, a in enumerate(codes) for b in codes[:k])


def test_guidance_leaves_generators_alone(generator):
    plain, guided = (
        sample(generator, replace(PLAIN, guidance_scale=scale)).points for scale in (1.0, 4.0)
    )
    np.testing.assert_array_equal(plain.positions, guided.positions)


def test_the_auto_encoder_keeps_place_and_size():
    card, net = small("autoencoder")
    model = load_autoencoder(card, net.state_dict(), CPU)
    points = torch.randn(2, 50, 3)
    first, moved = (
        model.reconstruct(cloud, 70, torch.Generator().manual_seed(2))
        for cloud in (points, points * 3 + 5)
    )
    assert first.shape == (2, 70, 3)
    torch.testing.assert_close(moved, first * 3 + 5, rtol=1e-4, atol=1e-4)


def test_the_auto_encoder_refuses_pictures():
    card, net = small("autoencoder")
    model = load_dpm(card, net.state_dict(), CPU)
    with pytest.raises(ParameterError, match="makes none from a picture"):
        sample(model, PLAIN)


def test_a_cloud_of_one_place_has_a_code():
    unit, mean, _ = shape_unit(torch.full((1, 20, 3), 2.0))
    assert unit.isfinite().all()
    torch.testing.assert_close(mean, torch.full((1, 1, 3), 2.0))


def test_a_dropped_picture_is_another_code():
    _, net = small("picture")
    torch.nn.init.normal_(net.unseen)
    stage = PointStage(net)
    x, sigma = torch.randn(2, 30, 3), stage.noise.sigmas[[2, 4]]
    code = torch.randn(2, 8)

    def denoise(code: Tensor, drop: Tensor | None) -> Tensor:
        given = Given(torch.zeros(2, 4, 1, 1), torch.zeros(2, 5), {"code": code})
        return stage.denoise(x, sigma, given, drop, None)

    mixed = denoise(code, torch.tensor([False, True]))
    torch.testing.assert_close(mixed[0], denoise(code, None)[0])
    torch.testing.assert_close(mixed[1], denoise(net.unseen.expand(2, 8), None)[1])
    assert not mixed[1].allclose(denoise(code, None)[1])


@pytest.mark.parametrize("name", ["flow", "gaussian", "autoencoder"])
def test_published_sizes_are_known_by_name(name):
    tensors = published(NETWORKS[name])
    notes = {"model": name} if name == "gaussian" else {}
    found, kept = identify(tensors, notes)
    assert found == name
    assert kept.keys() == tensors.keys()


def test_other_sizes_and_notes_are_spelt_out():
    config = replace(
        NETWORKS["flow"], latent=32, times=50, flow_depth=4, flow_hidden=16, beta_last=0.03
    )
    config = replace(config, residual=False, flexibility=0.5)
    found, _ = identify(published(config), {"residual": False, "flexibility": 0.5, "seed": "x"})
    assert network(found) == config


def without(tensors: dict[str, Tensor], key: str) -> dict[str, Tensor]:
    return {name: value for name, value in tensors.items() if name != key}


def test_checkpoints_of_other_systems_are_refused():
    tensors = published(NETWORKS["autoencoder"])
    normed = {"diffusion.net.layers.0._layer.weight_orig": torch.zeros(1)}
    for given, message in (
        ({}, "no checkpoint of DPM: it has no encoder.fc3_m.weight"),
        ({"model.sa_layers.0.weight": torch.zeros(1)}, "no checkpoint of DPM"),
        (without(tensors, "diffusion.var_sched.betas"), "var_sched.betas"),
        (without(tensors, "encoder.conv2.bias"), "encoder.conv2.bias"),
        (tensors | {"encoder.conv1.weight": torch.zeros(64, 3, 1)}, "encoder.conv1.weight"),
        (tensors | {"flow.chain.0.net_s_t.0.weight": torch.zeros(8, 128)}, "flow.chain"),
        (tensors | {"discriminator.weight": torch.zeros(1)}, "discriminator.weight"),
        (tensors | normed, "spectral norm"),
        (tensors | {"diffusion.var_sched.betas": torch.zeros(2, 3)}, "no checkpoint of DPM"),
        (tensors | {"encoder.fc3_m.weight": torch.zeros(())}, "no checkpoint of DPM"),
        (tensors | {"diffusion.var_sched.betas": torch.zeros(1)}, "no checkpoint of DPM"),
    ):
        with pytest.raises(WeightsError, match=message):
            identify(given, {})


def test_weights_that_cannot_be_served_are_refused():
    card, net = small("flow")
    for key, value in (("betas", torch.full((7,), torch.nan)), ("betas", torch.zeros(7))):
        with pytest.raises(WeightsError, match="betas between 0 and 1"):
            load_dpm(card, net.state_dict() | {f"diffusion.var_sched.{key}": value}, CPU)
    with pytest.raises(WeightsError, match=card.id):
        load_dpm(card, {}, CPU)


@pytest.mark.parametrize("name", ["", "large", "[1]", '{"latents": 8}', '{"widths": 3}'])
def test_unknown_networks_are_refused(name):
    with pytest.raises(WeightsError, match="no network of DPM"):
        network(name)
