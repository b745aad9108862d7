import math

import numpy as np
import pytest

from models.schedules import (
    beta_curve,
    beta_sigmas,
    checked_sigmas,
    discrete_sigmas,
    karras_sigmas,
    spaced_times,
    warm_betas,
)

NAN = math.nan


def test_karras_ends_and_middle():
    sigmas = karras_sigmas(3, 0.002, 80.0)
    middle = ((80 ** (1 / 7) + 0.002 ** (1 / 7)) / 2) ** 7
    assert sigmas == pytest.approx((80.0, middle, 0.002, 0.0), rel=1e-12)


def test_karras_with_rho_of_one_is_even():
    sigmas = karras_sigmas(5, 1.0, 5.0, rho=1.0)
    assert sigmas == pytest.approx((5, 4, 3, 2, 1, 0), rel=1e-12)


@pytest.mark.parametrize("steps", [1, 2, 64, 1000])
def test_karras_falls_to_zero(steps):
    sigmas = karras_sigmas(steps, 0.02, 4.0)
    assert len(sigmas) == steps + 1
    assert sigmas[0] == 4.0
    assert checked_sigmas(sigmas) == sigmas


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 0.02, 4.0), "got 0"),
        ((-3, 0.02, 4.0), "got -3"),
        ((8, 4.0, 4.0), "got 4.0 and 4.0"),
        ((8, 4.0, 0.02), "got 4.0 and 0.02"),
        ((8, 0.0, 4.0), "got 0.0 and 4.0"),
        ((8, NAN, 4.0), "got nan and 4.0"),
        ((8, 0.02, NAN), "got 0.02 and nan"),
        ((8, 0.02, math.inf), "got 0.02 and inf"),
        ((8, 0.02, 4.0, 0.0), "rho must be positive, got 0.0"),
        ((8, 0.02, 4.0, NAN), "rho must be positive, got nan"),
    ],
)
def test_karras_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        karras_sigmas(*arguments)


@pytest.mark.parametrize(
    "sigmas",
    [(), (0.0,), (1.0, 0.5), (1.0, 1.0, 0.0), (1.0, 2.0, 0.0), (NAN, 0.0), (1.0, NAN, 0.0)],
)
def test_a_schedule_falls_to_zero(sigmas):
    with pytest.raises(ValueError, match="expected"):
        checked_sigmas(sigmas)


def test_an_infinite_schedule_is_refused():
    with pytest.raises(ValueError, match="finite"):
        checked_sigmas((math.inf, 1.0, 0.0))


@pytest.mark.parametrize(
    ("curve", "theirs"),
    [("linear", "linear"), ("scaled_linear", "scaled_linear"), ("cosine", "squaredcos_cap_v2")],
)
@pytest.mark.parametrize("count", [10, 1000])
def test_beta_curves_equal_those_of_diffusers(curve, theirs, count):
    from diffusers import DDPMScheduler

    scheduler = DDPMScheduler(
        count, beta_start=0.00085, beta_end=0.012, beta_schedule=theirs, clip_sample=False
    )
    np.testing.assert_allclose(
        beta_curve(curve, count, 0.00085, 0.012), scheduler.betas.numpy(), rtol=2e-5
    )


@pytest.mark.parametrize("curve", ["linear", "scaled_linear", "cosine"])
def test_sigmas_of_betas_keep_signal_and_noise(curve):
    betas = beta_curve(curve)
    signal = np.cumprod(1 - np.asarray(betas, np.longdouble))
    expected = np.sqrt((1 - signal) / signal)
    np.testing.assert_allclose(beta_sigmas(betas), expected.astype(np.float64), rtol=1e-11)


@pytest.mark.parametrize("spacing", ["leading", "linspace", "trailing"])
@pytest.mark.parametrize("steps", [2, 7, 16, 50, 1000])
def test_spaced_times_equal_those_of_diffusers(spacing, steps):
    from diffusers import DDIMScheduler

    scheduler = DDIMScheduler(1000, timestep_spacing=spacing)
    scheduler.set_timesteps(steps)
    assert list(spaced_times(1000, steps, spacing)) == scheduler.timesteps.tolist()


def test_discrete_sigmas_visit_their_times():
    betas = beta_curve("linear")
    sigmas = discrete_sigmas(betas, [999, 500, 0])
    known = beta_sigmas(betas)
    assert sigmas == (known[999], known[500], known[0], 0.0)


@pytest.mark.parametrize("times", [(), (0, 5), (5, 5), (1000,), (5, -1)])
def test_discrete_sigmas_refuse(times):
    with pytest.raises(ValueError, match="expected"):
        discrete_sigmas(beta_curve("linear"), times)


@pytest.mark.parametrize("arguments", [(1,), (100, 0.0, 0.1), (100, 0.2, 0.1), (100, NAN, 0.1)])
def test_beta_curve_refuses(arguments):
    with pytest.raises(ValueError, match="got"):
        beta_curve("linear", *arguments)


def test_warm_betas_rise_and_then_stay():
    betas = warm_betas("constant", 50, 0.001, 0.02, 0.1)
    np.testing.assert_allclose(betas[:5], np.linspace(0.001, 0.02, 5))
    assert set(betas[5:]) == {0.02}
    assert len(betas) == 50


def test_warm_betas_rise_and_then_join_the_straight_line():
    betas = warm_betas("linear", 50, 0.001, 0.02, 0.3)
    np.testing.assert_allclose(betas[:15], np.linspace(0.001, 0.02, 15))
    assert betas[15:] == beta_curve("linear", 50, 0.001, 0.02)[15:]


@pytest.mark.parametrize("share", [0.0, 0.03, 1.5])
def test_warm_betas_refuse(share):
    with pytest.raises(ValueError, match=f"got {share}"):
        warm_betas("constant", 50, 0.001, 0.02, share)


@pytest.mark.parametrize("betas", [(), (0.1, 1.0), (0.0,), (NAN,)])
def test_beta_sigmas_refuse(betas):
    with pytest.raises(ValueError, match="expected"):
        beta_sigmas(betas)


@pytest.mark.parametrize("steps", [0, 11])
def test_spaced_times_refuse(steps):
    with pytest.raises(ValueError, match=f"got {steps}"):
        spaced_times(10, steps)
