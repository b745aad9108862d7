"""Point-E and CLIP's tower against their authors' own code, and base40M-imagevec against a recipe
of weights."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from models.diffusion.pointe import NETWORKS, BaseStage, PointEConfig, UpsamplerStage
from models.diffusion.pointe_network import PointTransformer, TransformerConfig
from models.diffusion.pointe_sampling import (
    Ancestral,
    Step,
    Times,
    base_betas,
    respaced,
    upsampler_betas,
)
from models.diffusion.staged import Given
from models.encoders.clip import ClipConfig, ClipTower, tower_tensors
from models.guidance import guide, guided_batch
from models.samplers import Trajectory, advance, start
from tests.parity.golden import assert_close, assert_strict, golden, recipe

FORWARD = {"rtol": 1e-3, "atol": 1e-4}
GUIDANCE = 3.0


def weights(name: str) -> dict[str, Tensor]:
    prefix = f"{name}::"
    tensors = golden("pointe").weights()
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def shape_of(name: str) -> TransformerConfig:
    config = golden("pointe").config
    width = config["clip_embedding"] if name == "imagevec" else config["clip_grid_channels"]
    return TransformerConfig(
        config["width"],
        config["layers"],
        config["heads"],
        "vector" if name == "imagevec" else "grid",
        width,
        config["output_channels"],
        adds=name == "upsample",
    )


@pytest.fixture(scope="module")
def nets() -> dict[str, PointTransformer]:
    nets = {}
    for name in ("imagevec", "grid", "upsample"):
        net = PointTransformer(shape_of(name))
        net.load_state_dict(weights(name))
        nets[name] = net.eval().requires_grad_(False)
    return nets


def inputs(name: str) -> Tensor:
    """Channels last, as everything is here."""
    return golden("pointe").inputs[name].transpose(1, 2).contiguous()


def seen(name: str) -> Tensor:
    return golden("pointe").inputs["emb_vec"] if name == "imagevec" else inputs("emb_grid")


def test_the_networks(nets):
    stored = golden("pointe").outputs
    runs = [key.removeprefix("forward.") for key in stored if key.startswith("forward.")]
    assert {run.partition("_")[0] for run in runs} == set(nets)
    for run in runs:
        name, _, hidden = run.partition("_")
        net, known = nets[name], seen(name)
        picture = net.picture(torch.zeros_like(known) if hidden else known)
        x = inputs("x_up" if net.config.adds else "x")
        present = inputs("low_res") if net.config.adds else None
        out = net(x, golden("pointe").inputs["t"], picture, present)
        assert_close(out.transpose(1, 2), stored[f"forward.{run}"], **FORWARD)


def test_clip():
    stored, pixels = golden("pointe"), golden("pointe").inputs["clip.pixels"]
    tensors = tower_tensors(weights("clip"))
    width, _, patch, _ = tensors["conv1.weight"].shape
    layers = len({n.split(".")[2] for n in tensors if n.startswith("transformer.resblocks.")})
    config = ClipConfig(pixels.shape[-1], patch, width, layers, tensors["proj"].shape[1])
    tower = ClipTower(config)
    tower.load_state_dict(tensors)
    found = tower(pixels)
    assert_close(found.vector, stored.outputs["clip.embed_images"], rtol=0, atol=1e-4)
    grid = stored.outputs["clip.embed_images_grid"].transpose(1, 2)
    assert_close(found.grid, grid, rtol=0, atol=1e-4)


def test_the_times_of_a_respaced_schedule():
    times = golden("pointe").inputs["respaced.timesteps"]
    spacing = respaced(base_betas(), len(times))
    assert list(spacing.times) == times.tolist()
    betas = torch.tensor(spacing.betas, dtype=torch.float64)
    assert_close(betas, golden("pointe").outputs["respaced.betas"], rtol=1e-6, atol=0)


def test_the_times_of_karras_sigmas():
    stored = golden("pointe").outputs
    times = Times(base_betas())
    found = times.fractional(stored["karras8.sigma_eval"])
    assert_close(found, stored["karras8.t_float"], rtol=0, atol=1e-3)
    assert times.whole(stored["karras8.sigma_eval"]).equal(stored["karras8.t_int"])


def drawn(run: str) -> list[Tensor]:
    """All noise of a run [B, N, C], in the order in which it was drawn."""
    prefix = f"{run}.noise."
    return [inputs(name) for name in sorted(golden("pointe").inputs) if name.startswith(prefix)]


def assert_points(found: Tensor, stored: Tensor) -> None:
    """found [..., N, 6] against stored [..., 6, N]: positions, and colours of 0 to 255."""
    stored = stored.transpose(-1, -2)
    assert found.shape == stored.shape
    assert_close(found[..., :3], stored[..., :3], rtol=0, atol=2e-3)
    assert_close(found[..., 3:], stored[..., 3:], rtol=0, atol=2.0)


def ancestral(net: PointTransformer, run: str, guidance: float, eta: bool = True) -> list[Step]:
    noise = drawn(run)
    count = len(golden("pointe").inputs["respaced.timesteps"])
    sampler = Ancestral(respaced(base_betas(), count), net.channels)
    known = seen("imagevec")
    if guidance != 1:
        known = torch.cat([known, torch.zeros_like(known)])
    picture = net.picture(known)
    # With guidance they draw for both halves of a doubled batch, and go on with the first.
    x = noise[0][: len(seen("imagevec"))]

    def predict(x: Tensor, t: Tensor) -> Tensor:
        out: Tensor = net(x, t, picture)
        return out

    steps = []
    for number in reversed(range(count)):
        if eta:
            step = sampler.ddpm(predict, x, number, noise[count - number][: len(x)], guidance)
        else:
            step = sampler.ddim(predict, x, number)
        x = step.x
        steps.append(step)
    return steps


@pytest.mark.parametrize("run", ["p_sample_loop8", "ddim_loop8"])
def test_the_authors_sampler(nets, run):
    net, stored = nets["imagevec"], golden("pointe").outputs
    steps = ancestral(net, run, 1.0, eta=run == "p_sample_loop8")
    samples = net.channels.unscaled(torch.stack([step.x for step in steps]))
    assert_points(samples, stored[f"{run}.sample_each_step"])
    assert_points(net.channels.unscaled(steps[-1].estimate), stored[f"{run}.pred_x0_last"])


def test_the_authors_sampler_with_guidance(nets):
    net, stored = nets["imagevec"], golden("pointe").outputs
    steps = ancestral(net, "ancestral8_guided", GUIDANCE)
    estimates = net.channels.unscaled(torch.stack([step.estimate for step in steps]))
    assert_points(estimates, stored["ancestral8_guided.pred_x0_each_step"])


class Replayed:
    """Stands in for `torch.randn`: each call gives the next noise of one cloud."""

    def __init__(self) -> None:
        self.rows: dict[torch.Generator, Iterator[Tensor]] = {}

    def __call__(self, shape, generator, dtype) -> Tensor:
        noise = next(self.rows[generator])
        assert noise.shape == shape
        return noise.to(dtype)


@pytest.fixture
def replayed(monkeypatch) -> Replayed:
    source = Replayed()
    monkeypatch.setattr(torch, "randn", source)
    return source


def ways(stage: BaseStage | UpsamplerStage, replayed: Replayed, noise: list[Tensor]):
    """One trajectory for each cloud of a stored run."""
    N = noise[0].shape[1]
    steps = len(golden("pointe").outputs["karras8.sigmas"]) - 1
    for row in range(len(noise[0])):
        generator = torch.Generator()
        replayed.rows[generator] = iter([item[row] for item in noise])
        sigmas, churn = stage.noise.schedule(steps), stage.noise.churn
        yield start("heun", sigmas, (N, stage.channels), generator, churn=churn)


def given(nets: dict[str, PointTransformer], name: str, key: str) -> Given:
    net, known = nets[name], seen(name)
    features = {key: net.picture(known), f"no_{key}": net.picture(torch.zeros_like(known))}
    return Given(torch.zeros(len(known), 4, 1, 1), torch.zeros(len(known), 5), features)


def small() -> PointEConfig:
    x, x_up = golden("pointe").inputs["x"], golden("pointe").inputs["x_up"]
    return replace(NETWORKS["base40M"], points=x.shape[-1], added=x_up.shape[-1])


def test_the_base_by_karras_sampler(nets, replayed):
    stored = golden("pointe").outputs
    name = "imagevec"
    stage = BaseStage(small(), nets[name])
    clouds = list(ways(stage, replayed, drawn("karras8_guided")))
    w = torch.full((len(clouds),), GUIDANCE)
    batch = guided_batch(w)
    shown = given(nets, name, "base").rows(batch.rows)
    sigmas, estimates = [], []
    while not clouds[0].done:
        x, sigma = stacked(clouds)
        sigmas.append(clouds[0].sigma)
        out = stage.denoise(x[batch.rows], sigma[batch.rows], shown, batch.unconditional, None)
        denoised = guide(out, batch, w)
        if clouds[0].evaluation % 2 == 0:  # theirs shows what a step begins with
            estimates.append(stage.net.channels.unscaled(denoised))
        for way, estimate in zip(clouds, denoised, strict=True):
            advance(way, estimate)
    # Stored with the first evaluation of every step before the second ones.
    expected = stored["karras8.sigma_eval"]
    ordered = torch.tensor([*sigmas[::2], *sigmas[1::2]], dtype=torch.float64)
    assert_close(ordered, expected, rtol=1e-5, atol=0)  # theirs are in single precision
    schedule = torch.tensor(stage.noise.schedule(len(clouds[0].sigmas) - 1))
    assert_close(schedule, stored["karras8.sigmas"], rtol=1e-5, atol=0)
    assert_points(
        torch.stack([*estimates, estimates[-1]]), stored["karras8_guided.pred_x0_each_step"]
    )


def test_the_upsampler_by_karras_sampler(nets, replayed):
    stored = golden("pointe").outputs
    config = small()
    base = nets["grid"].channels
    stage = UpsamplerStage(config, nets["upsample"], base)
    before = base.scaled(inputs("low_res"))
    # The first points are the base's, whatever noise is drawn for them.
    noise = [torch.cat([torch.zeros_like(before), x], dim=1) for x in drawn("karras8_upsample")]
    clouds = list(ways(stage, replayed, noise))
    shown = given(nets, "upsample", "upsample")
    estimates = []
    while not clouds[0].done:
        for way, known in zip(clouds, before, strict=True):
            way.x = stage.settle(way.x, way.sigma, known)
        denoised = stage.denoise(*stacked(clouds), shown, None, before)
        estimates.append(denoised)
        for way, estimate in zip(clouds, denoised, strict=True):
            advance(way, estimate)
    x, _ = stacked(clouds)
    assert stage.size(4096) == x.shape[1]
    assert_points(stage.net.channels.unscaled(x), stored["karras8_upsample.final"])
    added = stage.net.channels.unscaled(estimates[0][:, config.points :])
    assert_points(added, stored["karras8_upsample.points_only_first"])


def stacked(clouds: list[Trajectory]) -> tuple[Tensor, Tensor]:
    sigma = torch.tensor([way.sigma for way in clouds], dtype=torch.float64)
    return torch.stack([way.x for way in clouds]), sigma


@pytest.mark.parametrize(
    ("layout", "network", "part"),
    [
        ("base40M", "base40M", "base"),
        ("base40M_imagevec", "base40M-imagevec", "base"),
        ("base40M_imagevec", "base40M-textvec", "base"),
        ("upsample", "base40M", "upsample"),
    ],
)
def test_the_published_checkpoints_have_these_tensors(layout, network, part):
    with torch.device("meta"):
        net: nn.Module = PointTransformer(getattr(NETWORKS[network], part))
    assert_strict(net, golden("pointe").layout(layout))


def value(key: str, x):
    if key.endswith(".weight") and x.ndim == 1:
        return 1 + 0.1 * x
    return x / x[0].size ** 0.5 if x.ndim > 1 else 0.1 * x


def test_the_published_size():
    stored = golden("pointe")
    tensors = recipe(stored.layout("base40M_imagevec"), stored.recipe_seed, value)
    stored.check_recipe(tensors)
    net = PointTransformer(NETWORKS["base40M-imagevec"].base)
    net.load_state_dict(tensors)
    net.requires_grad_(False)
    picture = net.picture(stored.inputs["full_imagevec.emb"])
    out = net(inputs("full_imagevec.x"), stored.inputs["full_imagevec.t"], picture)
    assert_close(out.transpose(1, 2), stored.outputs["full_imagevec.out"], **FORWARD)


def test_the_upsampler_has_a_linear_schedule():
    betas = upsampler_betas()
    assert len(betas) == 1024
    assert betas[0] == pytest.approx(1e-4 * 1000 / 1024)
    assert betas[-1] == pytest.approx(0.02 * 1000 / 1024)
