"""Noise schedules: which sigmas a sampler visits.

A schedule is a tuple of Python floats, falling, with 0 at its end: n steps have n + 1 of them. The
literature's discrete schedules of betas are converted to sigmas here, once, at the edge.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, assert_never

BetaCurve = Literal["linear", "scaled_linear", "cosine"]
Spacing = Literal["leading", "linspace", "trailing"]

_COSINE_OFFSET = 0.008  # Nichol and Dhariwal 2021, section 3.2
_MAX_BETA = 0.999  # the same


def karras_sigmas(
    steps: int, sigma_min: float, sigma_max: float, rho: float = 7.0
) -> tuple[float, ...]:
    """`steps` sigmas from `sigma_max` to `sigma_min`, then 0 (Karras et al. 2022, equation 5).

    One step goes from `sigma_max` to 0 at once.

    Raises:
        ValueError: steps < 1, not 0 < sigma_min < sigma_max < infinity, or rho not positive.
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    # Written so that NaN fails.
    if not 0 < sigma_min < sigma_max < math.inf:
        raise ValueError(f"0 < sigma_min < sigma_max expected, got {sigma_min} and {sigma_max}")
    if not 0 < rho < math.inf:
        raise ValueError(f"rho must be positive, got {rho}")
    high, low = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    between = ((high + i / (steps - 1) * (low - high)) ** rho for i in range(1, steps - 1))
    ends = (sigma_min, 0.0) if steps > 1 else (0.0,)
    return (sigma_max, *between, *ends)


def checked_sigmas(sigmas: Sequence[float]) -> tuple[float, ...]:
    """`sigmas` as a schedule.

    Raises:
        ValueError: fewer than two, not falling, not finite, or the last not 0.
    """
    schedule = tuple(float(sigma) for sigma in sigmas)
    if len(schedule) < 2 or schedule[-1] != 0 or not schedule[0] < math.inf:
        raise ValueError(f"two or more finite sigmas expected, the last 0, got {schedule}")
    for high, low in pairwise(schedule):
        if not high > low:  # NaN fails too
            raise ValueError(f"falling sigmas expected, got {low} after {high}")
    return schedule


def beta_curve(
    curve: BetaCurve, count: int = 1000, first: float = 1e-4, last: float = 0.02
) -> tuple[float, ...]:
    """The variance that each of `count` discrete times adds, t = 0 first.

    Args:
        first, last: the ends of `linear` (Ho et al. 2020) and `scaled_linear` (linear in the square
            root; Rombach et al. 2022). `cosine` (Nichol and Dhariwal 2021) has its own.

    Raises:
        ValueError: count < 2, or not 0 < first <= last < 1.
    """
    if count < 2:
        raise ValueError(f"count must be at least 2, got {count}")
    if not 0 < first <= last < 1:
        raise ValueError(f"0 < first <= last < 1 expected, got {first} and {last}")
    match curve:
        case "linear":
            return tuple(_mix(first, last, i / (count - 1)) for i in range(count))
        case "scaled_linear":
            low, high = math.sqrt(first), math.sqrt(last)
            return tuple(_mix(low, high, i / (count - 1)) ** 2 for i in range(count))
        case "cosine":
            kept = [_cosine_kept(i / count) for i in range(count + 1)]
            return tuple(min(1 - after / before, _MAX_BETA) for before, after in pairwise(kept))
        case _:
            assert_never(curve)


def warm_betas(
    curve: Literal["constant", "linear"], count: int, first: float, last: float, share: float
) -> tuple[float, ...]:
    """Betas that rise from `first` to `last` over the first `share` of the times.

    Args:
        curve: of the times after it: `constant` at `last` (Ho et al.'s `warm0.1` with a share of
            0.1), or what `linear` has there, as PC^2's `custom` does with a share of 0.3.

    Raises:
        ValueError: a count, first or last that `beta_curve` refuses, or fewer than two such times.
    """
    rest = beta_curve("linear", count, first, last)
    warm = int(count * share)
    if not 2 <= warm <= count:
        raise ValueError(f"a share of 2 to {count} times expected, got {share}")
    after = rest[warm:] if curve == "linear" else (last,) * (count - warm)
    return (*beta_curve("linear", warm, first, last), *after)


def _mix(a: float, b: float, t: float) -> float:
    return a + t * (b - a)


def _cosine_kept(t: float) -> float:
    return math.cos((t + _COSINE_OFFSET) / (1 + _COSINE_OFFSET) * math.pi / 2) ** 2


def beta_sigmas(betas: Sequence[float]) -> tuple[float, ...]:
    """The sigma of each discrete time, rising: sqrt((1 - a) / a), a the product of 1 - beta.

    A variance-preserving sample is x / sqrt(1 + sigma^2), x being ours.

    Raises:
        ValueError: no betas, or one not between 0 and 1.
    """
    if not betas:
        raise ValueError("at least one beta expected, got none")
    sigmas = []
    variance = 0.0  # sigma squared: grown without ever forming 1 - a, which cancels at small t
    for beta in betas:
        if not 0 < beta < 1:
            raise ValueError(f"betas between 0 and 1 expected, got {beta}")
        variance = (variance + beta) / (1 - beta)
        sigmas.append(math.sqrt(variance))
    return tuple(sigmas)


def spaced_times(count: int, steps: int, spacing: Spacing = "trailing") -> tuple[int, ...]:
    """`steps` of the discrete times count - 1 .. 0, falling.

    `trailing` starts at the noisiest time, `leading` ends at 0, `linspace` does both (Lin et al.
    2024, table 2).

    Raises:
        ValueError: not 1 <= steps <= count.
    """
    if not 1 <= steps <= count:
        raise ValueError(f"1 to {count} steps expected, got {steps}")
    match spacing:
        case "leading":
            return tuple(i * (count // steps) for i in reversed(range(steps)))
        case "linspace":
            between = max(steps - 1, 1)
            return tuple(round((count - 1) * (1 - i / between)) for i in range(steps))
        case "trailing":
            return tuple(round(count - i * count / steps) - 1 for i in range(steps))
        case _:
            assert_never(spacing)


def discrete_sigmas(betas: Sequence[float], times: Sequence[int]) -> tuple[float, ...]:
    """The schedule that visits the sigmas of `times`, falling, and then 0.

    Raises:
        ValueError: a bad beta, no times, times that do not fall, or one out of 0 .. len(betas) - 1.
    """
    known = beta_sigmas(betas)
    for time in times:
        if not 0 <= time < len(known):
            raise ValueError(f"times of 0 to {len(known) - 1} expected, got {time}")
    return checked_sigmas([*(known[time] for time in times), 0.0])
