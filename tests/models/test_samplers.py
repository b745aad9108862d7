import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from models.catalog import SAMPLERS
from models.diffusion.noise import DiscreteNoise, KarrasNoise
from models.samplers import Trajectory, advance, start
from models.schedules import beta_curve, karras_sigmas
from tests.models.known_data import ONE, TWO

MAX = 20.0  # sigma, for which the data are nearly lost in noise
SHAPE = (200, 3)


def begin(sampler, steps, seed=0, shape=SHAPE, eta=0.0, sigma_min=0.01, **options):
    sigmas = karras_sigmas(steps, sigma_min, MAX)
    return start(sampler, sigmas, shape, torch.Generator().manual_seed(seed), eta=eta, **options)


def evaluate(data, way):
    advance(way, data.denoise(way.x, way.sigma))


def finish(data, way):
    while not way.done:
        evaluate(data, way)
    return way.x


def gaussian_variance(sigmas, eta):
    """What the sampler's own recursion makes of N(0.3, 0.5^2): all of its steps are linear."""
    variance = sigmas[0] ** 2
    for s, t in pairwise(sigmas):
        fresh = eta**2 * t**2 * (s**2 - t**2) / s**2
        kept = math.sqrt(t**2 - fresh) / s
        shrunk = 0.25 / (0.25 + s**2)
        variance = (shrunk + kept * (1 - shrunk)) ** 2 * variance + fresh
    return variance


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("steps", [1, 2, 3, 17])
def test_evaluations_are_counted(sampler, steps):
    way = begin(sampler, steps, shape=(4, 3))
    expected = {"heun": 2 * steps - 1, "pndm": steps + 3 * min(3, steps - 1)}.get(sampler, steps)
    assert way.evaluations == expected
    assert way.denoised is None
    levels = []
    for evaluation in range(expected):
        assert (way.evaluation, way.done) == (evaluation, False)
        levels.append(way.sigma)
        evaluate(ONE, way)
    assert way.done
    assert way.sigma == 0
    if sampler == "heun":
        inner = [sigma for sigma in way.sigmas[1:-1] for _ in range(2)]
        assert levels == [way.sigmas[0], *inner]
    elif sampler == "pndm":
        ends = list(pairwise(way.sigmas))[: min(3, steps - 1)]
        warm = [
            level
            for (high, low), half in zip(ends, way.halves, strict=True)
            for level in (high, half, half, low)
        ]
        assert levels == [*warm, *way.sigmas[len(ends) : -1]]
    else:
        assert levels == list(way.sigmas[:-1])


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_one_step_gives_the_estimate(sampler):
    way = begin(sampler, 1)
    estimate = TWO.denoise(way.x, way.sigma)
    advance(way, estimate)
    torch.testing.assert_close(way.x, estimate, rtol=0, atol=0)
    assert way.denoised is estimate


def flow_error(data, sampler, steps):
    """The largest error, on the scale of probability, where the schedule reaches sigma = 0.1."""
    way = begin(sampler, steps + 1, sigma_min=0.1, shape=(300, 1))
    way.x = way.x.double()
    before = data.cdf(way.x, MAX)
    while way.sigma > 0.1 or (sampler == "heun" and way.evaluation % 2):
        evaluate(data, way)
    return (data.cdf(way.x, 0.1) - before).abs().max().item()


@pytest.mark.parametrize("data", [ONE, TWO], ids=["gaussian", "mixture"])
@pytest.mark.parametrize(
    ("sampler", "order"), [("euler", 1), ("ddim", 1), ("heun", 2), ("dpmpp_2m", 2)]
)
def test_error_falls_with_the_samplers_order(data, sampler, order):
    errors = [flow_error(data, sampler, steps) for steps in (32, 64, 128)]
    for coarse, fine in pairwise(errors):
        assert math.log2(coarse / fine) == pytest.approx(order, abs=0.25)


def test_pndm_is_nearer_to_the_flow_than_euler():
    """No order is claimed: its steps are even in time, and the sigmas of times are not."""
    for steps in (16, 32):
        curve = DiscreteNoise(beta_curve("linear"))
        errors = []
        for name in ("euler", "pndm"):
            sigmas = curve.schedule(steps)
            halves = curve.halves(steps) if name == "pndm" else ()
            way = start(name, sigmas, SHAPE, torch.Generator().manual_seed(0), halves=halves)
            way.x = way.x.double()
            before = TWO.cdf(way.x, sigmas[0])
            while way.sigma > sigmas[-2]:
                evaluate(TWO, way)
            errors.append((TWO.cdf(way.x, sigmas[-2]) - before).abs().mean().item())
        assert errors[1] < errors[0] / 2


def test_churn_lifts_each_step_and_adds_what_that_takes():
    steps = 4
    way = begin("heun", steps, shape=(20_000, 1), churn=1.0)
    plain = begin("heun", steps, shape=(20_000, 1))
    gamma = 1 / steps
    assert way.sigma == plain.sigma * (1 + gamma)
    assert way.x.std().item() == pytest.approx(way.sigma, rel=0.02)
    levels = []
    while not way.done:
        levels.append(way.sigma)
        evaluate(TWO, way)
    lifted = [sigma * (1 + gamma) for sigma in way.sigmas[:-1]]
    corrected = list(way.sigmas[1:-1])
    assert levels[::2] == lifted
    assert levels[1::2] == corrected


def test_churn_lifts_by_no_more_than_the_square_root_of_two():
    way = begin("heun", 3, churn=1000.0)
    assert way.sigma == pytest.approx(MAX * math.sqrt(2))


@pytest.mark.parametrize("churn", [0.0, 5.0, 40.0])
def test_churn_keeps_the_samples_distribution(churn):
    way = begin("heun", 48, shape=(10_000, 1), churn=churn)
    x = finish(TWO, way)
    assert (x > -0.2).double().mean().item() == pytest.approx(0.7, abs=0.02)
    assert x[x > -0.2].std().item() == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize(
    "noise", [DiscreteNoise(beta_curve("linear")), KarrasNoise(0.01, 50.0)], ids=["betas", "karras"]
)
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 50])
def test_halves_lie_within_the_first_steps(noise, steps):
    sigmas, halves = noise.schedule(steps), noise.halves(steps)
    assert len(halves) == min(3, steps - 1)
    for high, half, low in zip(sigmas, halves, sigmas[1:], strict=False):
        assert high > half > low


def test_the_flow_of_a_gaussian_in_closed_form():
    way = begin("heun", 100)
    x = way.x.double()
    expected = 0.3 + (x - 0.3) * math.sqrt(0.25 / (0.25 + MAX**2))
    # Euler's method is 0.04 off.
    torch.testing.assert_close(finish(ONE, way).double(), expected, rtol=0, atol=2e-3)


@pytest.mark.parametrize(
    ("sampler", "eta"), [("ddpm", 0.0), ("ddim", 1.0), ("ddim", 0.5), ("ddim", 0.0)]
)
@pytest.mark.parametrize("steps", [8, 64])
def test_mean_and_variance_of_samples(sampler, eta, steps):
    way = begin(sampler, steps, shape=(10_000, 1), eta=eta)
    expected = gaussian_variance(way.sigmas, 1.0 if sampler == "ddpm" else eta)
    x = finish(ONE, way).double()
    if steps == 64:  # so many come near the data's own
        assert expected == pytest.approx(0.25, abs=0.04)
    count = x.numel()
    # Five standard errors. The mean begins at 0 in place of 0.3 and keeps the last of that.
    kept = 0.3 * math.sqrt(0.25) / MAX
    assert abs(x.mean().item() - 0.3) < kept + 5 * math.sqrt(expected / count)
    assert abs(x.var().item() / expected - 1) < 5 * math.sqrt(2 / count)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_samples_of_a_mixture_fall_to_its_parts(sampler):
    way = begin(sampler, 32, shape=(5000, 1))
    x = finish(TWO, way)
    share = (x > -0.2).double().mean().item()
    assert share == pytest.approx(0.7, abs=0.03)
    assert x[x > -0.2].std().item() == pytest.approx(0.2, abs=0.02)
    assert x[x < -0.2].std().item() == pytest.approx(0.1, abs=0.02)


def test_ddim_without_eta_is_euler():
    by_ddim, by_euler = (finish(TWO, begin(name, 16)) for name in ("ddim", "euler"))
    torch.testing.assert_close(by_ddim, by_euler, rtol=1e-5, atol=1e-6)


def test_ddpm_is_ddim_with_eta_of_one():
    by_ddpm = finish(TWO, begin("ddpm", 16))
    assert torch.equal(by_ddpm, finish(TWO, begin("ddim", 16, eta=1.0)))
    assert not torch.equal(by_ddpm, finish(TWO, begin("ddim", 16)))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_seed_gives_one_sample(sampler):
    first, again, other = (finish(TWO, begin(sampler, 5, seed=seed)) for seed in (7, 7, 8))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_half_precision_is_integrated_in_float32(sampler):
    way, exact = begin(sampler, 8), begin(sampler, 8)
    while not way.done:
        estimate = TWO.denoise(way.x, way.sigma).bfloat16()
        advance(way, estimate)
        advance(exact, estimate.float())
    assert way.x.dtype == torch.float32
    assert torch.equal(way.x, exact.x)


def arithmetic(x, sigma):
    """The Gaussian's denoiser, without functions whose last bit depends on the place in memory."""
    noise = sigma[:, None, None] ** 2
    return (0.3 * noise + x * 0.25) / (0.25 + noise)


def test_rows_of_a_batch_equal_each_alone():
    """All samplers, of different numbers of steps, joining and leaving one batch."""
    plans = [(name, 3 + 4 * i + j) for j in range(2) for i, name in enumerate(SAMPLERS)]
    alone = []
    for seed, (name, steps) in enumerate(plans):
        way = begin(name, steps, seed=seed)
        while not way.done:
            advance(way, arithmetic(way.x[None], torch.tensor([way.sigma]))[0])
        alone.append(way)

    together = [begin(name, steps, seed=seed) for seed, (name, steps) in enumerate(plans)]
    joined = 1  # a new one each turn
    while not all(way.done for way in together):
        running = [way for way in together[:joined] if not way.done]
        joined += 1
        if not running:
            continue
        x = torch.stack([way.x for way in running])
        denoised = arithmetic(x, torch.tensor([way.sigma for way in running]))
        for way, row in zip(running, denoised, strict=True):
            advance(way, row)

    for one, other in zip(alone, together, strict=True):
        assert torch.equal(one.x, other.x)
        assert one.evaluation == other.evaluation


def test_only_added_noise_draws_from_the_generator():
    for name, eta, draws in [
        ("euler", 0.0, 0),
        ("ddim", 0.0, 0),
        ("ddpm", 0.0, 4),
        ("ddim", 0.3, 4),
        ("heun", 0.0, 0),
        ("pndm", 0.0, 0),
    ]:
        way = begin(name, 5, eta=eta)
        finish(ONE, way)
        expected = torch.Generator().manual_seed(0)
        for _ in range(1 + draws):  # none in the last step, which ends without noise
            torch.randn(SHAPE, generator=expected)
        assert torch.equal(way.generator.get_state(), expected.get_state()), (name, eta)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sampler": "Euler"}, "got 'Euler'"),
        ({"sigmas": (1.0,)}, "two or more"),
        ({"sigmas": (math.nan, 0.0)}, "finite"),
        ({"sigmas": (1.0, 2.0, 0.0)}, "got 2.0 after 1.0"),
        ({"shape": (0, 3)}, r"got \[0, 3\]"),
        ({"shape": (1, 5, 3)}, r"got \[1, 5, 3\]"),
        ({"eta": 0.5}, "got 0.5 for euler"),
        ({"sampler": "ddim", "eta": 1.5}, "got 1.5"),
        ({"sampler": "ddim", "eta": math.nan}, "got nan"),
        ({"churn": 1.0}, "got 1.0 for euler"),
        ({"sampler": "heun", "churn": -1.0}, "got -1.0"),
        ({"sampler": "heun", "churn": math.nan}, "got nan"),
        ({"floor": 0.1}, "pndm's alone"),
        ({"halves": (0.5,)}, "pndm's alone"),
        ({"sampler": "pndm", "floor": 1.5}, "got 1.5"),
        ({"sampler": "pndm", "sigmas": (2.0, 1.0, 0.0), "halves": (0.5,)}, r"got \(0.5,\)"),
    ],
)
def test_start_refuses(changes, message):
    good = {
        "sampler": "euler",
        "sigmas": (1.0, 0.0),
        "shape": (5, 3),
        "generator": torch.Generator(),
    }
    with pytest.raises(ValueError, match=message):
        start(**{**good, **changes})


def test_no_evaluation_after_the_last():
    way = begin("euler", 1)
    finish(ONE, way)
    with pytest.raises(ValueError, match="all 1 evaluations"):
        advance(way, way.x)


def test_an_estimate_of_another_shape_changes_nothing():
    way = begin("dpmpp_2m", 3)
    kept = replace(way)
    with pytest.raises(ValueError, match=r"\[200, 3\] expected, got \[1, 200, 3\]"):
        advance(way, way.x[None])
    assert isinstance(kept, Trajectory)
    assert (way.evaluation, way.memory) == (0, ())
    assert way.x is kept.x
