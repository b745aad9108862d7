"""DiT-3D against the authors' own code, and the full S/4 against a recipe of weights."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.diffusion.dit3d import NETWORKS, betas_of, identify, parsed
from models.diffusion.dit3d_network import Dit3dConfig, Dit3dNet, place_embedding
from models.guidance import guide, guided_batch
from models.samplers import advance, start
from models.schedules import beta_sigmas, discrete_sigmas
from tests.parity.golden import Golden, assert_close, assert_strict, golden, recipe

PREFIX = "model.module."
EPS = {"rtol": 1e-3, "atol": 1e-4}


def config() -> Dit3dConfig:
    stored = golden("dit3d").config
    return Dit3dConfig(
        hidden=stored["hidden_size"],
        depth=stored["depth"],
        heads=stored["num_heads"],
        patch=stored["patch_size"],
        voxels=stored["input_size"],
        classes=stored["num_classes"],
    )


@pytest.fixture(scope="module")
def net() -> Dit3dNet:
    net = Dit3dNet(config())
    weights = golden("dit3d").weights()
    net.load_state_dict({key.removeprefix(PREFIX): value for key, value in weights.items()})
    return net.eval().requires_grad_(False)


def points(name="x"):
    return golden("dit3d").inputs[name].transpose(1, 2).contiguous()


def test_the_grid_and_the_places_in_it(net):
    outputs = golden("dit3d").outputs
    y = points()
    places = net.places(y)
    grid = net.grid(y, places)
    assert_close(places.coords.transpose(1, 2), outputs["voxel_coords"], rtol=0, atol=1e-5)
    assert_close(grid[:1], outputs["voxel_grid0"], rtol=0, atol=1e-5)
    assert_close(net.embed(grid)[:1], outputs["tokens0"], **EPS)


def test_the_noise(net):
    inputs, outputs = golden("dit3d").inputs, golden("dit3d").outputs
    eps = net(points(), inputs["t"], inputs["y"]).transpose(1, 2)
    for name in ("eps", "eps_fp64", "eps_window"):  # their windows never are
        assert_close(eps, outputs[name], **EPS)


def test_the_noise_in_double_precision(net):
    inputs, outputs = golden("dit3d").inputs, golden("dit3d").outputs
    double = Dit3dNet(config()).double()
    double.load_state_dict(net.state_dict())
    eps = double(points().double(), inputs["t"], inputs["y"])
    assert eps.dtype == torch.float64
    assert_close(eps.transpose(1, 2), outputs["eps_fp64"], rtol=1e-5, atol=1e-5)


def test_guidance(net):
    """They double the batch and guide its first half, twice."""
    inputs, outputs = golden("dit3d").inputs, golden("dit3d").outputs
    half = len(inputs["x"]) // 2
    w = inputs["cfg_scale"].expand(half)
    batch = guided_batch(w)
    y = points()[:half][batch.rows]
    eps = guide(net(y, inputs["t_cfg"], inputs["y_cfg"]), batch, w).transpose(1, 2)
    assert_close(eps.repeat(2, 1, 1), outputs["eps_cfg"], **EPS)


def test_the_noise_schedules():
    outputs = golden("dit3d").outputs
    for config, stored in (
        (Dit3dConfig(), "betas_linear"),
        (Dit3dConfig(betas="warm0.1"), "betas_airplane"),
    ):
        own = torch.tensor(betas_of(config), dtype=torch.float64)
        assert_close(own, outputs[f"diffusion.{stored}"], rtol=1e-5, atol=0)


def posterior(kept, betas):
    """Weights of x_0 and of y in the mean of a step, and its variance (Ho et al. 2020, eq. 7)."""
    before = torch.cat([torch.ones_like(kept[:1]), kept[:-1]])
    first = betas * before.sqrt() / (1 - kept)
    second = (1 - before) * (1 - betas).sqrt() / (1 - kept)
    return first, second, betas * (1 - before) / (1 - kept)


def products(betas):
    return 1 / (1 + torch.tensor(beta_sigmas(betas), dtype=torch.float64) ** 2)


def test_the_constants_of_the_diffusion():
    """Derived from the product of alphas in float32, as theirs are: at small t that is coarse."""
    outputs = golden("dit3d").outputs
    betas = betas_of(Dit3dConfig())
    kept = products(betas).float()
    first, second, variance = posterior(kept, torch.tensor(betas))
    own = {
        "sqrt_recip_alphas_cumprod": kept.rsqrt(),
        "sqrt_recipm1_alphas_cumprod": (1 / kept - 1).sqrt(),
        "posterior_mean_coef1": first,
        "posterior_mean_coef2": second,
        "posterior_log_variance_clipped": variance.clamp(min=1e-20).log(),
    }
    for name, value in own.items():
        assert_close(value, outputs[f"diffusion.linear.{name}"], rtol=1e-5, atol=1e-9)


def test_single_steps_of_ancestral_sampling(monkeypatch):
    """Ours are exact. Theirs are so but for what float32 did to their constants."""
    inputs, outputs = golden("dit3d").inputs, golden("dit3d").outputs
    betas = betas_of(Dit3dConfig())
    exact = posterior(products(betas), torch.tensor(betas, dtype=torch.float64))
    names = ("mean_coef1", "mean_coef2", "log_variance_clipped")
    first, second, logs = (outputs[f"diffusion.linear.posterior_{name}"].double() for name in names)
    for row, t in enumerate(inputs["diffusion.t"].tolist()):
        y, eps, noise = (inputs[f"diffusion.{name}"][row] for name in ("x_t", "eps", "noise"))
        sigmas = discrete_sigmas(betas, [t, t - 1] if t else [t])
        way = start("ddpm", sigmas, y.shape, torch.Generator())
        way.x = y.double() * (1 + way.sigma**2) ** 0.5
        x_0 = way.x - way.sigma * eps
        with monkeypatch.context() as patched:
            patched.setattr(torch, "randn", lambda *_, noise=noise, **__: noise)
            advance(way, x_0)
        sample = way.x / (1 + way.sigma**2) ** 0.5
        coarse = (first - exact[0])[t] * x_0 + (second - exact[1])[t] * y
        if t:
            coarse = coarse + ((logs[t] / 2).exp() - exact[2][t].sqrt()) * noise
        assert_close(x_0, outputs["diffusion.pred_xstart"][row], rtol=1e-5, atol=1e-5)
        assert_close(sample + coarse, outputs["diffusion.sample"][row], rtol=0, atol=1e-5)


def full_config(folder: Golden) -> Dit3dConfig:
    """S/4 for the classes that it was trained for."""
    shape, _ = folder.layout("S4")[f"{PREFIX}y_embedder.embedding_table.weight"]
    return replace(NETWORKS["S/4"], classes=shape[0] - 1)


def test_the_layout_of_the_published_checkpoint():
    layout = golden("dit3d").layout("S4")
    with torch.device("meta"):
        net = Dit3dNet(full_config(golden("dit3d")))
    assert_strict(net, {key.removeprefix(PREFIX): value for key, value in layout.items()})


def test_a_published_checkpoint_is_known_by_its_shapes():
    layout = golden("dit3d").layout("S4")
    tensors = {
        key.replace(".module.", "."): torch.zeros(shape) for key, (shape, _) in layout.items()
    }
    network, own = identify(tensors, {})
    assert parsed(network) == full_config(golden("dit3d"))
    assert set(own) == {key.removeprefix(PREFIX) for key in layout}


def value(key, x):
    if key == "pos_embed":
        side = round(x.shape[1] ** (1 / 3))
        return place_embedding(x.shape[2], side).numpy()
    if "adaLN_modulation.1.weight" in key:
        return 0.6 * x / np.sqrt(x.shape[1])
    if "adaLN_modulation.1.bias" in key:
        return 0.3 * x
    if "embedding_table" in key:
        return 0.5 * x
    if x.ndim >= 2:
        return x / np.sqrt(np.prod(x.shape[1:]))
    return 0.1 * x


def test_the_full_network():
    folder = golden("dit3d")
    layout = {key.removeprefix(PREFIX): item for key, item in folder.layout("S4").items()}
    weights = recipe(layout, folder.recipe_seed, value)
    folder.check_recipe(weights)
    net = Dit3dNet(full_config(folder))
    net.load_state_dict(weights)
    inputs = folder.inputs
    with torch.inference_mode():
        eps = net(points("full_S4.x"), inputs["full_S4.t"], inputs["full_S4.y"])
    assert_close(eps.transpose(1, 2), folder.outputs["full_S4.eps"], **EPS)
