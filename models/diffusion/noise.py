"""The noise of the literature's systems, in terms of sigma.

Ours is variance exploding: x = x_0 + sigma * n. Theirs is mostly variance preserving, at discrete
times: y_t = sqrt(a_t) x_0 + sqrt(1 - a_t) n. The two are one up to a factor, y = x * scale(sigma)
with sigma_t = sqrt((1 - a_t) / a_t), and the predicted noise is the same in both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from models.samplers import warm_steps
from models.schedules import Spacing, beta_sigmas, discrete_sigmas, karras_sigmas, spaced_times


class Noise(Protocol):
    """Which sigmas a sampler visits, and how large the first x is."""

    def schedule(self, steps: int) -> tuple[float, ...]:
        """Falling, the last 0."""
        ...

    @property
    def starts_at_one(self) -> bool:
        """Whether the first y has variance 1, whatever is left of the data at the last time."""
        ...

    @property
    def churn(self) -> float:
        """Of Heun's sampler: how much noise its steps put back."""
        ...

    def halves(self, steps: int) -> tuple[float, ...]:
        """The sigmas halfway through the first steps of `schedule`, for pndm."""
        ...

    @property
    def floor(self) -> float:
        """The sigma at which pndm ends."""
        ...


class DiscreteNoise:
    """Variance-preserving noise with a table of betas."""

    starts_at_one = True
    churn = 0.0

    def __init__(self, betas: Sequence[float], spacing: Spacing = "trailing") -> None:
        self.betas = tuple(betas)
        self.spacing = spacing
        self.sigmas = torch.tensor(beta_sigmas(self.betas), dtype=torch.float64)

    def schedule(self, steps: int) -> tuple[float, ...]:
        """More steps than there are times are as many as there are."""
        count = len(self.betas)
        times = spaced_times(count, min(steps, count), self.spacing)
        return discrete_sigmas(self.betas, times)

    def halves(self, steps: int) -> tuple[float, ...]:
        """At half of the distance of times, rounded down, below each step's first time."""
        count = len(self.betas)
        steps = min(steps, count)
        times = spaced_times(count, steps, self.spacing)[: warm_steps(steps)]
        return tuple(float(self.sigmas[time - count // steps // 2]) for time in times)

    @property
    def floor(self) -> float:
        """The first time's: the published schedulers of pndm end there."""
        return float(self.sigmas[0])

    def times(self, sigma: Tensor) -> Tensor:
        """The time t of each sigma [R], int64, 0 first: the nearest on a logarithmic scale."""
        table = self.sigmas.to(sigma.device).log()
        wanted = sigma.double().log().contiguous()
        above = torch.searchsorted(table, wanted).clamp(1, len(table) - 1)
        nearer = (wanted - table[above - 1]) < (table[above] - wanted)
        return above - nearer.long()


@dataclass(frozen=True, slots=True)
class KarrasNoise:
    """Variance-exploding noise, with the schedule of Karras et al. 2022."""

    sigma_min: float
    sigma_max: float
    rho: float = 7.0
    starts_at_one: bool = False
    churn: float = 0.0
    floor: float = 0.0

    def schedule(self, steps: int) -> tuple[float, ...]:
        return karras_sigmas(steps, self.sigma_min, self.sigma_max, self.rho)

    def halves(self, steps: int) -> tuple[float, ...]:
        """What a schedule of twice the steps has there."""
        finer = karras_sigmas(2 * steps - 1, self.sigma_min, self.sigma_max, self.rho)
        return finer[1 : 2 * warm_steps(steps) : 2]


def scale(sigma: Tensor) -> Tensor:
    """What turns x into y: [R] to [R, 1, 1] float32."""
    return torch.rsqrt(1 + sigma.double().square()).float().view(-1, 1, 1)


def clean(x: Tensor, sigma: Tensor, eps: Tensor) -> Tensor:
    """x_0 of x [R, N, C] at sigma [R] with the predicted noise `eps`."""
    return x - sigma.float().view(-1, 1, 1) * eps
