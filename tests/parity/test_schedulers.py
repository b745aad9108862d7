"""The samplers against the trajectories that the authors' schedulers and samplers gave.

Their noise is stored and takes the place of what our generators would draw.
"""

import pytest
import torch

from models import samplers
from models.diffusion.noise import DiscreteNoise, KarrasNoise
from models.samplers import Trajectory, advance, start
from models.schedules import beta_curve, beta_sigmas, discrete_sigmas, warm_betas
from tests.parity.golden import assert_close, golden

SCHEDULERS = [("ddpm", "ddpm", 0.0), ("ddim", "ddim", 0.0), ("ddim", "ddim_eta1", 1.0)]


@pytest.fixture
def drawn(monkeypatch):
    """A list from which the samplers take their noise, first to last."""
    stored: list[torch.Tensor] = []

    def take(shape, **options):
        noise = stored.pop(0)
        assert tuple(noise.shape) == tuple(shape)
        return noise

    class Source:
        def __getattr__(self, name):
            return take if name == "randn" else getattr(torch, name)

    monkeypatch.setattr(samplers, "torch", Source())
    return stored


def scale(sigma):
    return (1 + sigma**2) ** -0.5


def closed_form(y, time):
    return 0.35 * y + 0.2 * torch.sin(3 * y) + 0.05 * time / 1000


def evaluate(way: Trajectory, noise: DiscreteNoise) -> None:
    """One evaluation of the closed-form model, in float64 as far as it can be."""
    sigma = way.sigma
    time = noise.times(torch.tensor([sigma], dtype=torch.float64))
    eps = closed_form(way.x.double() * scale(sigma), time.double())
    advance(way, (way.x.double() - sigma * eps).to(way.x.dtype))


def leading() -> DiscreteNoise:
    betas = golden("pc2").outputs["sched.betas"]
    return DiscreteNoise(
        beta_curve("linear", len(betas), betas[0].item(), betas[-1].item()), "leading"
    )


def begun(name, noise, steps, x_T, **options) -> Trajectory:
    """From y = x_T at the first sigma."""
    way = start(name, noise.schedule(steps), x_T.shape, torch.Generator(), **options)
    way.x = x_T.double() / scale(way.sigma)
    return way


def test_betas_of_pc2():
    outputs = golden("pc2").outputs
    noise = leading()
    kept = 1 / (1 + torch.tensor(beta_sigmas(noise.betas), dtype=torch.float64) ** 2)
    assert_close(torch.tensor(noise.betas), outputs["sched.betas"], rtol=1e-4, atol=1e-9)
    assert_close(kept, outputs["sched.alphas_cumprod"], rtol=1e-4, atol=1e-5)
    custom = outputs["custom_betas"]
    own = warm_betas("linear", len(custom), custom[0].item(), custom[-1].item(), 0.3)
    assert_close(torch.tensor(own), custom, rtol=1e-5, atol=1e-9)


def test_the_times_of_a_thousand_steps():
    noise = leading()
    expected = golden("pc2").outputs["sched.ddpm.timesteps_1000_head"]
    sigmas = noise.schedule(len(noise.betas))[: len(expected)]
    times = noise.times(torch.tensor(sigmas, dtype=torch.float64))
    assert times.tolist() == expected.tolist()


@pytest.mark.parametrize(("name", "stored", "eta"), SCHEDULERS)
def test_each_step_of_the_schedulers(name, stored, eta, drawn):
    inputs, outputs = golden("pc2").inputs, golden("pc2").outputs
    times, expected = (outputs[f"sched.{stored}.{part}"] for part in ("timesteps", "trajectory"))
    noise = leading()
    for row, x_T in enumerate(inputs["sched.x_T"]):
        drawn[:] = [torch.zeros_like(x_T), *inputs["sched.noise"][:, row]]
        way = begun(name, noise, len(times), x_T, eta=eta)
        for time, after in zip(times, expected[:, row], strict=True):
            assert noise.times(torch.tensor([way.sigma])) == time
            evaluate(way, noise)
            assert_close(way.x * scale(way.sigma), after, rtol=1e-4, atol=1e-5)
        assert way.done


def test_each_evaluation_of_pndm(drawn):
    inputs, outputs = golden("pc2").inputs, golden("pc2").outputs
    times, expected = outputs["sched.pndm.timesteps"], outputs["sched.pndm.trajectory"]
    noise, steps = leading(), len(outputs["sched.ddim.timesteps"])
    for row, x_T in enumerate(inputs["sched.x_T"]):
        drawn[:] = [torch.zeros_like(x_T)]
        halves, floor = noise.halves(steps), noise.floor
        way = begun("pndm", noise, steps, x_T, halves=halves, floor=floor)
        assert way.evaluations == len(times)
        for time, after in zip(times, expected[:, row], strict=True):
            assert noise.times(torch.tensor([way.sigma])) == time
            # A Runge-Kutta step ends where the next one is evaluated; between, so do its parts.
            evaluate(way, noise)
            assert_close(way.x * scale(way.sigma), after, rtol=1e-4, atol=1e-5)
        assert way.done


def test_single_steps_of_ddpm_at_a_thousand(drawn):
    inputs, outputs = golden("pc2").inputs, golden("pc2").outputs
    noise = leading()
    count = len(noise.betas)
    times = [count - 1, count - 2, count - 3, 2, 1, 0]
    for row, x_T in enumerate(inputs["sched.x_T"]):
        stored = inputs["sched.noise"][:, row]
        for number, time in enumerate(times):
            following = [time - 1] if time else []
            sigmas = discrete_sigmas(noise.betas, [time, *following])
            drawn[:] = [torch.zeros_like(x_T)]
            way = start("ddpm", sigmas, x_T.shape, torch.Generator())
            drawn[:] = [stored[number]]
            way.x = x_T.double() / scale(way.sigma)
            evaluate(way, noise)
            y = way.x * scale(way.sigma)
            expected = outputs["sched.ddpm1000.first3_last3"][number, row]
            assert_close(y, expected, rtol=1e-4, atol=1e-5)


def test_sigmas_of_gecco():
    config = golden("gecco").config["sampler"]
    noise = KarrasNoise(config["sigma_min"], config["sigma_max"], config["rho"])
    expected = golden("gecco").outputs["t_steps"]
    schedule = torch.tensor(noise.schedule(config["num_steps"]), dtype=torch.float64)
    assert_close(schedule, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", ["sample.uncond", "sample.uvl"])
def test_each_call_of_geccos_stochastic_sampler(name, drawn):
    inputs, outputs = golden("gecco").inputs, golden("gecco").outputs
    config = golden("gecco").config["sampler"]
    steps = config["num_steps"]
    noise = KarrasNoise(
        config["sigma_min"], config["sigma_max"], config["rho"], churn=config["S_churn"]
    )
    calls = {part: outputs[f"{name}.call_{part}"] for part in ("x", "sigma", "denoised")}
    for row, latents in enumerate(inputs["latents"]):
        drawn[:] = [latents, *inputs["noise"][:, row]]
        schedule = noise.schedule(steps)
        way = start("heun", schedule, latents.shape, torch.Generator(), churn=noise.churn)
        assert way.evaluations == len(calls["x"])
        for x, sigma, denoised in zip(*(calls[part][:, row] for part in calls), strict=True):
            assert way.sigma == pytest.approx(sigma.item(), rel=1e-5)
            assert_close(way.x, x, rtol=1e-3, atol=1e-3)
            advance(way, denoised)
        assert way.done
        assert not drawn
        assert torch.equal(way.x, calls["denoised"][-1, row])


def test_sigmas_of_point_e():
    outputs = golden("pointe").outputs
    expected = outputs["karras8.sigmas"]
    steps = len(expected) - 1
    noise = KarrasNoise(expected[-2].item(), expected[0].item(), churn=3.0)
    schedule = noise.schedule(steps)
    assert_close(torch.tensor(schedule), expected, rtol=1e-5, atol=0)
    # Stored: first those at which steps begin, lifted by churn, then those of Heun's corrections.
    way = start("heun", schedule, (1, 3), torch.Generator(), churn=noise.churn)
    lifted = [way.raised(step) for step in range(steps)]
    levels = torch.tensor([*lifted, *schedule[1:-1]])
    assert_close(levels, outputs["karras8.sigma_eval"], rtol=1e-5, atol=0)
