"""Whole trajectories against the schedulers of diffusers, from the same noise.

Theirs of DDPM, DDIM and DPM-Solver++ preserve variance: their sample is x / sqrt(1 + sigma^2).
"""

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
)

from models.samplers import advance, start
from models.schedules import beta_curve, discrete_sigmas, karras_sigmas, spaced_times
from tests.models.known_data import TWO

# diffusers makes arrays of tensors in a way that NumPy will stop to allow.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SHAPE = (100, 3)
STEPS = pytest.mark.parametrize("steps", [2, 10, 40])
KARRAS = {"use_karras_sigmas": True, "beta_schedule": "scaled_linear"}


def seeded():
    return torch.Generator().manual_seed(3)


def ours(sampler, sigmas, eta=0.0):
    """The x of every evaluation, and the sample."""
    way = start(sampler, sigmas, SHAPE, seeded(), eta=eta)
    visited = [way.x]
    while not way.done:
        advance(way, TWO.denoise(way.x, way.sigma))
        visited.append(way.x)
    return torch.stack(visited)


def theirs_exploding(scheduler, sigmas):
    """`sigmas` are those of each evaluation."""
    x = torch.randn(SHAPE, generator=seeded()) * sigmas[0]
    visited = [x]
    scheduler.set_begin_index(0)
    for time, sigma in zip(scheduler.timesteps, sigmas, strict=True):
        scheduler.scale_model_input(x, time)  # the network's input; it must be asked for
        noise = (x - TWO.denoise(x, sigma)) / sigma
        x = scheduler.step(noise, time, x).prev_sample
        visited.append(x)
    return torch.stack(visited)


def theirs_preserving(scheduler, sigmas, **options):
    generator = seeded()
    ends = [(1 + sigma**2) ** 0.5 for sigma in sigmas]
    x = torch.randn(SHAPE, generator=generator) * (sigmas[0] / ends[0])
    visited = [x * ends[0]]
    for time, sigma, now, after in zip(scheduler.timesteps, sigmas, ends, ends[1:], strict=False):
        denoised = TWO.denoise(x * now, sigma)
        x = scheduler.step(denoised, time, x, generator=generator, **options).prev_sample
        visited.append(x * after)
    return torch.stack(visited)


def close(actual, expected):
    """To 1e-4 all along the way, in units of the noise where there is more than 1 of it."""
    assert actual.shape == expected.shape
    scale = expected.std(dim=(1, 2), keepdim=True).clamp(min=1)
    torch.testing.assert_close(actual / scale, expected / scale, rtol=0, atol=1e-4)


@STEPS
def test_euler(steps):
    scheduler = EulerDiscreteScheduler(**KARRAS, sigma_min=0.02, sigma_max=40.0)
    scheduler.set_timesteps(steps)
    sigmas = karras_sigmas(steps, 0.02, 40.0)
    torch.testing.assert_close(scheduler.sigmas, torch.tensor(sigmas), rtol=1e-5, atol=0)
    close(ours("euler", sigmas), theirs_exploding(scheduler, sigmas[:-1]))


@STEPS
def test_heun(steps):
    scheduler = HeunDiscreteScheduler(**KARRAS)
    scheduler.set_timesteps(steps)
    high, low = scheduler.sigmas[0].item(), scheduler.sigmas[-2].item()
    sigmas = karras_sigmas(steps, low, high)
    each = [sigmas[0], *(sigma for sigma in sigmas[1:-1] for _ in range(2))]
    close(ours("heun", sigmas), theirs_exploding(scheduler, each))


@STEPS
def test_dpmpp_2m(steps):
    scheduler = DPMSolverMultistepScheduler(
        **KARRAS, prediction_type="sample", algorithm_type="dpmsolver++", solver_order=2
    )
    scheduler.set_timesteps(steps)
    scheduler.set_begin_index(0)
    high, low = scheduler.sigmas[0].item(), scheduler.sigmas[-2].item()
    sigmas = karras_sigmas(steps, low, high)
    close(ours("dpmpp_2m", sigmas), theirs_preserving(scheduler, sigmas))


@STEPS
@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_ddim(steps, eta):
    scheduler = DDIMScheduler(
        prediction_type="sample", timestep_spacing="trailing", clip_sample=False
    )
    scheduler.set_timesteps(steps)
    sigmas = discrete_sigmas(beta_curve("linear"), spaced_times(1000, steps))
    close(ours("ddim", sigmas, eta), theirs_preserving(scheduler, sigmas, eta=eta))


@STEPS
def test_ddpm(steps):
    scheduler = DDPMScheduler(
        prediction_type="sample", timestep_spacing="leading", clip_sample=False
    )
    scheduler.set_timesteps(steps)
    sigmas = discrete_sigmas(beta_curve("linear"), spaced_times(1000, steps, "leading"))
    close(ours("ddpm", sigmas), theirs_preserving(scheduler, sigmas))
