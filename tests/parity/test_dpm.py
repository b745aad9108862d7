"""DPM (diffusion-point-cloud) against its authors' code."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from models.diffusion.dpm import CodeStage, PointStage, identify, network
from models.diffusion.dpm_network import DpmConfig, DpmNet, Kind, VarianceSchedule
from models.diffusion.noise import clean
from models.diffusion.staged import Given
from models.samplers import advance, start
from tests.parity.golden import Golden, assert_close, assert_strict, golden, recipe

NET = {"rtol": 1e-3, "atol": 2e-5}
FLOW = {"rtol": 1e-4, "atol": 3e-4}
TABLES = {"rtol": 1e-5, "atol": 1e-7}
TABLE_NAMES = ("betas", "alphas", "alpha_bars", "sigmas_flex", "sigmas_inflex")
SAMPLE = {"rtol": 1e-3, "atol": 2e-4}
LONG = {"rtol": 1e-3, "atol": 1e-3}


@pytest.fixture(scope="module")
def data() -> Golden:
    return golden("dpm")


@pytest.fixture(scope="module")
def inputs(data):
    return data.inputs


@pytest.fixture(scope="module")
def outputs(data):
    return data.outputs


def loaded(weights: dict[str, Tensor], notes: dict[str, object]) -> DpmNet:
    """As a converted checkpoint is."""
    name, tensors = identify(weights, notes)
    net = DpmNet(network(name)).eval().requires_grad_(False)
    net.load_state_dict(tensors)
    return net


@pytest.fixture(scope="module")
def net(data) -> DpmNet:
    return loaded(data.weights(), data.config["flow_vae"])


@pytest.fixture(scope="module")
def autoencoder(data) -> DpmNet:
    return loaded(data.weights("weights_ae"), data.config["autoencoder"])


def config_of(sizes: dict[str, Any], kind: Kind) -> DpmConfig:
    return DpmConfig(
        kind=kind,
        latent=sizes["latent_dim"],
        times=sizes["num_steps"],
        beta_first=sizes["beta_1"],
        beta_last=sizes["beta_T"],
        residual=sizes["residual"],
        flow_depth=sizes.get("latent_flow_depth", 14),
        flow_hidden=sizes.get("latent_flow_hidden_dim", 256),
    )


def short_schedule(data: Golden) -> VarianceSchedule:
    sizes = data.config["flow_vae"]
    return VarianceSchedule(data.config["short_sampling_steps"], sizes["beta_1"], sizes["beta_T"])


def test_sizes_are_read_from_the_weights(data, net, autoencoder):
    assert net.config == config_of(data.config["flow_vae"], "flow")
    assert autoencoder.config == config_of(data.config["autoencoder"], "autoencoder")


@pytest.mark.parametrize(("layout", "sizes"), [("flow", "full"), ("ae", "autoencoder")])
def test_published_layouts(data, layout, sizes):
    names = data.layout(layout)
    latent = names["encoder.fc3_m.weight"][0][0]
    kind: Kind = "flow" if layout == "flow" else "autoencoder"
    with torch.device("meta"):
        published = DpmNet(config_of(data.config[sizes] | {"latent_dim": latent}, kind))
    assert_strict(published, names)


def test_encoder(net, autoencoder, inputs, outputs):
    mean, log_variance = net.encoder(inputs["points"])
    assert_close(mean, outputs["encoder.mu"], **NET)
    assert_close(log_variance, outputs["encoder.logvar"], **NET)
    assert_close(autoencoder.encoder.mean(inputs["points"]), outputs["ae.code"], **NET)


def test_latent_flow_both_ways(net, inputs, outputs):
    states = torch.stack(net.flow.states(inputs["w"]))
    assert_close(states, outputs["flow.reverse.states"], **FLOW)
    assert_close(net.prior(inputs["w"]), outputs["flow.reverse.z"], **FLOW)
    noise, lost = net.flow(inputs["z"])
    assert_close(noise, outputs["flow.forward.w"], **FLOW)
    assert_close(lost, outputs["flow.forward.delta_logp"], **FLOW)


def test_pointwise_network(net, autoencoder, inputs, outputs):
    x, t = inputs["x_t"], inputs["t"]
    assert_close(net.diffusion.var_sched.betas[t], outputs["net.beta"], **TABLES)
    assert_close(net.diffusion.noise_of(x, t, inputs["z"]), outputs["net.eps"], **NET)
    later = t * autoencoder.config.times // net.config.times
    eps = autoencoder.diffusion.noise_of(x, later, inputs["ae.code"])
    assert_close(eps, outputs["ae.net.eps"], **NET)


def test_schedules(net, autoencoder, outputs):
    """Those that are computed, and those that came with the weights."""
    for checkpoint in (net, autoencoder):
        config = checkpoint.config
        computed = VarianceSchedule(config.times, config.beta_first, config.beta_last)
        for tables in (computed, checkpoint.diffusion.var_sched):
            for name in TABLE_NAMES:
                assert_close(
                    getattr(tables, name), outputs[f"sched{config.times}.{name}"], **TABLES
                )


def test_sampling(data, net, inputs, outputs):
    """Complete trajectories, at every flexibility there is."""
    short, code = short_schedule(data), net.prior(inputs["w"])
    prefix = f"sample{short.times}.flex"
    flexibilities = [name.removeprefix(prefix) for name in outputs if name.startswith(prefix)]
    assert flexibilities
    for flexibility in flexibilities:
        states = net.diffusion.trajectory(
            code, inputs["x_T"], inputs["noise"], float(flexibility), short
        )
        assert_close(torch.stack(states), outputs[prefix + flexibility], **SAMPLE)
    served = data.config["flexibility"]
    states = net.diffusion.trajectory(code, inputs["x_T"], inputs["noise"], served, short)
    assert_close(states[-1], outputs[f"sample{short.times}.from_w"], **SAMPLE)


def cycled(inputs: dict[str, Tensor], times: int) -> list[Tensor]:
    noise = inputs["noise"]
    return [noise[step % len(noise)] for step in range(times)]


def test_sampling_with_the_whole_schedule(net, inputs, outputs):
    times = net.config.times
    noise = cycled(inputs, times)
    states = net.diffusion.trajectory(net.prior(inputs["w"]), inputs["x_T"], noise)
    assert_close(states[-1], outputs[f"sample{times}.from_w"], **LONG)


def test_losses(data, net, inputs, outputs):
    loss = net.generator_loss(
        inputs["points"],
        inputs["t"],
        inputs["loss.noise"],
        inputs["eps_z"],
        data.config["kl_weight"],
    )
    assert_close(loss, outputs["loss.flow"], rtol=1e-4, atol=0)


def test_in_double_precision(data, inputs, outputs):
    net = loaded(data.weights(), data.config["flow_vae"]).double()
    wide = {name: t.double() if t.is_floating_point() else t for name, t in inputs.items()}
    exact = {"rtol": 1e-7, "atol": 1e-9}
    assert_close(net.encoder.mean(wide["points"]), outputs["encoder.mu_fp64"], **exact)
    assert_close(net.flow(wide["z"])[0], outputs["flow.forward.w_fp64"], **exact)
    code = net.prior(wide["w"])
    assert_close(code, outputs["flow.reverse.z_fp64"], **exact)
    eps = net.diffusion.noise_of(wide["x_t"], wide["t"], wide["z"])
    assert_close(eps, outputs["net.eps_fp64"], **exact)
    short = short_schedule(data).double()
    states = net.diffusion.trajectory(code, wide["x_T"], wide["noise"], schedule=short)
    expected = outputs[f"sample{short.times}.from_w_fp64"]
    assert_close(states[-1], expected, rtol=1e-5, atol=1e-6)
    noise = cycled(wide, net.config.times)
    states = net.diffusion.trajectory(code, wide["x_T"], noise)
    assert_close(states[-1], outputs[f"sample{net.config.times}.from_w_fp64"], **exact)


def test_served_stages_are_the_same_network(net, inputs, outputs):
    B = len(inputs["w"])
    given = Given(torch.zeros(B, 4, 1, 1), torch.zeros(B, 5), {})
    first = CodeStage(net).denoise(inputs["w"][:, None], torch.ones(B), given, None, None)
    assert_close(first[:, 0], outputs["flow.reverse.z"], **FLOW)
    stage = PointStage(net)
    sigma = stage.noise.sigmas[inputs["t"] - 1]
    x = inputs["x_t"] * (1 + sigma.square()).sqrt().float().view(-1, 1, 1)
    code = inputs["z"][:, None]
    x_0 = stage.denoise(x, sigma, given, None, code)
    assert_close(x_0, clean(x, sigma, outputs["net.eps"]), **NET)


def test_ddpm_is_the_published_sampler(net, inputs, outputs, monkeypatch):
    """Flexibility 0 in terms of sigma, with the noise that the authors' run had."""
    drawn: Iterator[Tensor]
    noise, code = cycled(inputs, net.config.times), outputs["flow.reverse.z"]
    stage, given = PointStage(net), Given(torch.zeros(1, 4, 1, 1), torch.zeros(1, 5), {})
    sigmas = stage.noise.schedule(net.config.times)
    for row in range(len(code)):
        drawn = iter([inputs["x_T"][row], *(step[row] for step in noise)])
        with monkeypatch.context() as patch:
            patch.setattr(torch, "randn", lambda *_, drawn=drawn, **__: next(drawn))
            way = start("ddpm", sigmas, inputs["x_T"][row].shape, torch.Generator())
            way.x = way.x * (1 + way.sigma**2) ** 0.5 / way.sigma
            while not way.done:
                sigma = torch.tensor([way.sigma], dtype=torch.float64)
                x_0 = stage.denoise(way.x[None], sigma, given, None, code[row, None, None])
                advance(way, x_0[0])
        assert_close(way.x, outputs[f"sample{net.config.times}.from_w"][row], **LONG)


def test_at_the_published_size(data, inputs, outputs):
    sizes = data.config["full"]
    layout = {
        key: entry
        for key, entry in data.layout("flow").items()
        if "var_sched" not in key and "num_batches_tracked" not in key
    }

    def value(key: str, x: np.ndarray) -> np.ndarray:
        if key.endswith("running_var"):
            return np.asarray(0.75 + 0.5 * np.abs(x))
        if key.endswith(("running_mean", "bias")):
            return 0.1 * x
        if x.ndim == 1:
            return 1 + 0.1 * x
        gain = 0.5 if ".layers.5." in key or ".net_s_t.4." in key else 1.0
        return np.asarray(gain * x / np.sqrt(np.prod(x.shape[1:])))

    weights = recipe(layout, data.recipe_seed, value)
    data.check_recipe(weights)
    net = DpmNet(config_of(sizes, "flow")).eval().requires_grad_(False)
    odd = net.load_state_dict(weights, strict=False)
    assert all("var_sched" in key or "num_batches" in key for key in odd.missing_keys)
    assert not odd.unexpected_keys
    code = net.prior(inputs["full.w"])
    assert_close(code, outputs["full.z"], **NET)
    assert_close(net.encoder.mean(inputs["full.points"]), outputs["full.mu"], **NET)
    eps = net.diffusion.noise_of(inputs["full.x_t"], inputs["full.t"], code)
    assert_close(eps, outputs["full.eps"], **NET)
