"""GECCO against the authors' code: tolerances are those of the golden data's README."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from models.diffusion.gecco import GeccoConfig, GeccoNet, identify
from models.diffusion.gecco_reparam import picture_distance, projected
from models.diffusion.gecco_transformer import RayNetwork, log_uniform
from models.diffusion.gecco_upsample import upsample
from models.errors import WeightsError
from models.schedules import karras_sigmas
from tests.parity.golden import Layout, assert_close, assert_strict, golden, recipe

NAMES = ("uvl", "gaussian", "uncond")
DTYPES = (torch.float32, torch.float64)
CLOSE = {"rtol": 1e-3, "atol": 2e-4}


@cache
def data() -> tuple[dict[str, Any], dict[str, Tensor], dict[str, Tensor]]:
    folder = golden("gecco")
    return folder.config, folder.inputs, folder.outputs


@cache
def weights(name: str) -> dict[str, Tensor]:
    """As a checkpoint of that model would hold them."""
    if name == "uncond":
        return golden("gecco").weights("weights_uncond")
    tensors = golden("gecco").weights()
    if name == "gaussian":
        config = golden("gecco").config
        tensors = {key: value for key, value in tensors.items() if ".uvl_" not in f".{key}"}
        for prefix in ("reparam.", "backbone.model.reparam."):
            tensors |= {
                f"{prefix}mean": torch.tensor(config["gaussian_mean"]),
                f"{prefix}sigma": torch.tensor(config["gaussian_sigma"]),
            }
    return tensors


@cache
def net(name: str, dtype: torch.dtype = torch.float32) -> GeccoNet:
    network, tensors = identify(weights(name), {})
    values = json.loads(network)
    lists = {key: tuple(values[key]) for key in ("widths", "depths")}
    made = GeccoNet(GeccoConfig(**values | lists))
    made.load_state_dict(tensors)
    return made.to(dtype).eval().requires_grad_(False)


def ray(name: str = "uvl") -> RayNetwork:
    model = net(name).backbone.model
    assert isinstance(model, RayNetwork)
    return model


def given(name: str, dtype: torch.dtype = torch.float32) -> tuple[list[Tensor], Tensor]:
    _, inputs, _ = data()
    return net(name, dtype).encode(inputs["image"].to(dtype)), inputs["K"].to(dtype)


def denoise(name: str, x: Tensor, sigma: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    out, _ = net(name, dtype).denoise(x.to(dtype), sigma.to(dtype), *given(name, dtype))
    return out


def expected(key: str, dtype: torch.dtype) -> Tensor:
    return data()[2][key if dtype == torch.float32 else f"{key}_fp64"]


def test_the_encoder_maps():
    maps, _ = given("uvl")

    assert len(maps) == data()[0]["n_stages"]
    for number, found in enumerate(maps):
        assert_close(found, data()[2][f"features{number}"], rtol=1e-3, atol=1e-4)


def test_uvl_space():
    _, inputs, outputs = data()
    reparam, K = net("uvl").reparam, inputs["K"]
    back = reparam.diffusion_to_data(inputs["x_unit"], K)

    for key, found in {
        "uvl.points_diffusion": reparam.data_to_diffusion(inputs["points_data"], K),
        "uvl.hwd": picture_distance(inputs["points_data"], K),
        "uvl.x_data": back,
        "uvl.x_hw": projected(back, K),
    }.items():
        assert_close(found, outputs[key], rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("name", ["uvl", "gaussian"])
def test_what_points_look_up(name):
    found = net(name).seen(data()[1]["x_unit"], *given(name))

    assert_close(found, data()[2][f"lookup.{name}"], rtol=1e-3, atol=1e-4)


def test_the_set_transformer_and_its_inducers():
    _, inputs, outputs = data()
    seen = net("uvl").seen(inputs["x_unit"], *given("uvl"))
    noise = inputs["sigma"].log().view(-1, 1) / 4
    h = ray().point_features(inputs["x_unit"], seen)
    first, state = ray().backbone.layers[0](h, noise)
    out, states = ray().backbone(h, noise)
    F, _ = ray()(inputs["x_unit"], noise, seen)

    assert_close(h, outputs["point_features"], **CLOSE)
    assert_close(first, outputs["set.layer0"], **CLOSE)
    assert_close(state, outputs["set.h0"], **CLOSE)
    assert_close(out, outputs["set.out"], **CLOSE)
    assert_close(states[-1], outputs["set.h_last"], **CLOSE)
    assert_close(F, outputs["net.F"], **CLOSE)


def test_the_network_without_a_picture():
    _, inputs, outputs = data()
    noise = inputs["sigma"].log().view(-1, 1) / 4
    F, _ = net("uncond").backbone.model(inputs["x_unit"], noise)

    assert_close(F, outputs["uncond.F"], **CLOSE)


@pytest.mark.parametrize("name", NAMES)
def test_denoised(name):
    _, inputs, _ = data()
    for dtype in DTYPES:
        if dtype == torch.float64 and name == "gaussian":
            continue  # not stored
        found = denoise(name, inputs["x"], inputs["sigma"], dtype)
        assert_close(found, expected(f"denoised.{name}", dtype), **CLOSE)


def test_the_schedule():
    found = torch.tensor(sigmas(data()[0]["sampler"]["num_steps"]), dtype=torch.float64)

    assert_close(found, data()[2]["t_steps"], rtol=0, atol=1e-9)


def sigmas(steps: int) -> tuple[float, ...]:
    sampler = data()[0]["sampler"]
    return karras_sigmas(steps, sampler["sigma_min"], sampler["sigma_max"], sampler["rho"])


@pytest.mark.parametrize("dtype", DTYPES, ids=["fp32", "fp64"])
@pytest.mark.parametrize("name", ["uvl", "uvl_ode", "gaussian", "uncond"])
def test_samples(name, dtype):
    churn = 0.0 if name == "uvl_ode" else data()[0]["sampler"]["S_churn"]
    space = name.removesuffix("_ode")
    x, calls = sample(space, churn, dtype)
    atol = 1e-3 if space == "uvl" else 2e-4

    assert_close(x, expected(f"sample.{name}", dtype), rtol=1e-3, atol=atol)
    outputs = data()[2]
    if dtype == torch.float32 and f"sample.{name}.call_x" in outputs:
        for part, values in zip(("x", "sigma", "denoised"), zip(*calls, strict=True), strict=True):
            wanted = outputs[f"sample.{name}.call_{part}"]
            assert_close(torch.stack(values), wanted, rtol=1e-3, atol=1e-3)


def sample(
    name: str, churn: float, dtype: torch.dtype
) -> tuple[Tensor, list[tuple[Tensor, Tensor, Tensor]]]:
    """The authors' sampler, whose states are float64: what is served has float32 ones.

    Returns the sample in data space, and every call's x, sigma and denoised x.
    """
    config, inputs, _ = data()
    levels = sigmas(config["sampler"]["num_steps"])
    gamma = min(churn / (len(levels) - 1), 2**0.5 - 1)
    maps, K = given(name, dtype)
    calls = []

    def slope(x: Tensor, sigma: float) -> Tensor:
        level = torch.full((len(x),), sigma, dtype=dtype)
        denoised, _ = net(name, dtype).denoise(x.to(dtype), level, maps, K)
        calls.append((x.to(dtype), level, denoised))
        return (x - denoised.double()) / sigma

    x = inputs["latents"].double() * levels[0]
    for step, noise in enumerate(inputs["noise"]):
        sigma, following = levels[step : step + 2]
        above = sigma * (1 + gamma)
        x = x + (above**2 - sigma**2) ** 0.5 * noise.double()
        first = slope(x, above)
        ahead = x + (following - above) * first
        if following:
            ahead = x + (following - above) * (first + slope(ahead, following)) / 2
        x = ahead
    return net(name, dtype).reparam.diffusion_to_data(x.to(dtype), K), calls


@pytest.mark.parametrize("dtype", DTYPES, ids=["fp32", "fp64"])
def test_upsampling(dtype):
    config, inputs, _ = data()
    noises = upsampling_noise(dtype)
    known, latents = (inputs[key].to(dtype) for key in ("points_data", "up.new_latents"))
    out = upsample(
        net("gaussian", dtype),
        known,
        latents,
        *given("gaussian", dtype),
        sigmas(len(inputs["up.noise_data"])),
        substeps=substeps(),
        churn=config["sampler"]["S_churn"],
        draw=lambda x: next(noises).to(x),
    )

    assert_close(out, expected("up.out", dtype), rtol=1e-3, atol=5e-3)
    assert out.shape == latents.shape


def upsampling_noise(dtype: torch.dtype) -> Iterator[Tensor]:
    """In the order of calls; in the last of the steps nothing is noised again."""
    _, inputs, _ = data()
    steps = len(inputs["up.noise_data"])
    for step in range(steps):
        yield inputs["up.noise_data"][step].to(dtype)
        last = step + 1 == steps
        yield from inputs["up.noise_new"][step][: substeps() if last else None]


def substeps() -> int:
    """One noise for each, and one between any two of them."""
    return (data()[1]["up.noise_new"].shape[1] + 1) // 2


def test_the_loss():
    config, inputs, outputs = data()
    high = config["sampler"]["sigma_max"]
    sigma = log_uniform(inputs["loss.u"], config["schedule_sigma_min"], high)
    clean = net("gaussian").reparam.data_to_diffusion(inputs["points_data"], inputs["K"])
    noisy = clean + sigma.view(-1, 1, 1) * inputs["loss.noise"]
    error = (denoise("gaussian", noisy, sigma) - clean).square()
    loss = config["loss_scale"] * (error * (1 + 1 / sigma.square()).view(-1, 1, 1)).mean()

    assert_close(sigma, outputs["loss.sigma"], rtol=1e-4, atol=0)
    assert_close(loss, outputs["loss.value"], rtol=1e-4, atol=0)


def full_config() -> GeccoConfig:
    full = data()[0]["full"]
    part = full["set_transformer"]
    return GeccoConfig(
        part["n_layers"],
        part["feature_dim"],
        part["num_inducers"],
        part["num_heads"],
        widths=tuple(full["context_dims"]),
        depths=(3, 3, 9, 3)[: full["n_stages"]],
        sigma_max=full["sigma_max"],
    )


def full_value(key: str, x: np.ndarray) -> np.ndarray:
    full = data()[0]["full"]
    if "reparam." in key:
        return np.asarray(full[key.rpartition(".")[2]])
    if key.endswith(".alpha"):
        return np.asarray(1 + 0.1 * x)
    if key.endswith("layer_scale"):
        return 0.5 + 0.1 * x
    if key.endswith(".inducers"):
        return x
    if ".bias.weight" in key or ".scale.weight" in key:
        return 0.3 * x
    if key.endswith(".scale.bias"):
        return np.asarray(1 + 0.1 * x)
    if key.endswith("bias"):
        return 0.1 * x
    if x.ndim == 1:
        return np.asarray(1 + 0.1 * x)
    scaled: np.ndarray = x / np.sqrt(np.prod(x.shape[1:]))
    return scaled


@cache
def full_layout() -> Layout:
    return golden("gecco").layout("taskonomy")


@cache
def full_weights() -> dict[str, Tensor]:
    return recipe(full_layout(), golden("gecco").recipe_seed, full_value)


def test_the_published_layout():
    with torch.device("meta"):
        made = GeccoNet(full_config())
    assert_strict(made, full_layout())


def test_the_recipe():
    if not golden("gecco").check_recipe(full_weights()):
        pytest.skip(f"no sums in {golden('gecco').folder / 'README.md'}")


def test_the_full_size():
    _, inputs, outputs = data()
    made = GeccoNet(full_config())
    made.load_state_dict(full_weights())
    made.eval().requires_grad_(False)
    for dtype in DTYPES:
        made.to(dtype)
        maps = made.encode(inputs["full.image"].to(dtype))
        x, sigma, K = (inputs[f"full.{key}"].to(dtype) for key in ("x", "sigma", "K"))
        found, _ = made.denoise(x, sigma, maps, K)
        assert_close(maps[2], outputs["full.features2"], **CLOSE)
        assert_close(found, expected("full.denoised", dtype), **CLOSE)


def test_checkpoints_are_known():
    network, tensors = identify(full_weights(), {})
    assert network == "taskonomy"
    assert tensors.keys() == full_layout().keys()
    compiled = {
        key.replace("backbone.model.", "backbone._orig_mod.model."): value
        for key, value in weights("uncond").items()
    }
    network, tensors = identify(compiled, {})
    assert json.loads(network)["widths"] == []
    assert tensors.keys() == weights("uncond").keys()


@pytest.mark.parametrize("broken", ["other", "short", "narrow"])
def test_other_checkpoints_are_refused(broken):
    tensors = dict(weights("uvl"))
    if broken == "other":
        tensors = {"model.embedf.0.weight": torch.zeros(3, 3)}
    elif broken == "short":
        del tensors["backbone.model.output_proj.1.bias"]
    else:
        tensors["backbone.model.xyz_embed.weight"] = torch.zeros(64, 6)
    with pytest.raises(WeightsError, match="GECCO"):
        identify(tensors, {})
