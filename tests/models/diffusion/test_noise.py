from itertools import pairwise

import pytest
import torch

from models.diffusion.noise import DiscreteNoise, KarrasNoise, clean, scale
from models.samplers import start
from models.schedules import beta_curve

BETAS = beta_curve("linear", 50, 1e-4, 0.1)
COSINE = beta_curve("cosine", 50)


@pytest.mark.parametrize("betas", [BETAS, COSINE])
def test_every_sigma_of_the_table_has_its_own_time(betas):
    noise = DiscreteNoise(betas)
    assert noise.times(noise.sigmas).tolist() == list(range(50))
    assert noise.times(noise.sigmas.float().double()).tolist() == list(range(50))


def test_other_sigmas_have_the_nearest_time():
    noise = DiscreteNoise(BETAS)
    high, low = noise.sigmas[21], noise.sigmas[20]
    middle = (high * low).sqrt()
    between = torch.stack([low * 1.001, middle * 0.999, middle * 1.001, high * 0.999])
    assert noise.times(between).tolist() == [20, 20, 21, 21]
    outside = torch.tensor([0.0, 1e-9, 1e9], dtype=torch.float64)
    assert noise.times(outside).tolist() == [0, 0, 49]


@pytest.mark.parametrize("spacing", ["leading", "linspace", "trailing"])
@pytest.mark.parametrize("steps", [1, 3, 7, 50, 51, 1000])
def test_schedules_visit_the_table(spacing, steps):
    noise = DiscreteNoise(BETAS, spacing)
    sigmas = noise.schedule(steps)
    assert len(sigmas) == min(steps, 50) + 1
    assert sigmas[-1] == 0
    assert all(high > low for high, low in pairwise(sigmas))
    assert set(sigmas[:-1]) <= set(noise.sigmas.tolist())


@pytest.mark.parametrize("noise", [DiscreteNoise(BETAS), KarrasNoise(0.02, 4.0)])
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 9, 60])
def test_pndm_takes_each_schedule(noise, steps):
    """`start` refuses halves that do not lie in their steps, and a floor above the last sigma."""
    way = start(
        "pndm",
        noise.schedule(steps),
        (4, 3),
        torch.Generator(),
        halves=noise.halves(steps),
        floor=noise.floor,
    )
    taken = len(way.sigmas) - 1
    assert way.evaluations == taken + 3 * min(3, taken - 1)


def test_scale_and_clean_undo_the_noise():
    noise = DiscreteNoise(BETAS)
    sigma = noise.sigmas[[0, 25, 49]]
    x_0, n = torch.randn(3, 20, 3), torch.randn(3, 20, 3)
    kept = torch.tensor(BETAS, dtype=torch.float64).neg().add(1).cumprod(0)[[0, 25, 49]]
    kept = kept.view(-1, 1, 1).float()
    y = kept.sqrt() * x_0 + (1 - kept).sqrt() * n
    x = y / scale(sigma)
    torch.testing.assert_close(x, x_0 + sigma.float().view(-1, 1, 1) * n, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(clean(x, sigma, n), x_0, rtol=1e-3, atol=1e-3)
