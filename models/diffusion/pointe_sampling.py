"""Point-E's discrete times, and its authors' sampler of learned variances."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from models.diffusion.pointe_network import Channels
from models.schedules import beta_curve, beta_sigmas

TIMES = 1024
Predict = Callable[[Tensor, Tensor], Tensor]  # x [B, N, C] and times [B] to [B, N, 2 C]


def base_betas() -> tuple[float, ...]:
    return beta_curve("cosine", TIMES)


def upsampler_betas() -> tuple[float, ...]:
    """The linear schedule of 1,000 times, spread over 1,024."""
    share = 1000 / TIMES
    return beta_curve("linear", TIMES, 1e-4 * share, 0.02 * share)


class Times:
    """Between a sigma and the discrete time at which the network is asked about it."""

    def __init__(self, betas: Sequence[float]) -> None:
        self.betas = tuple(betas)
        self.sigmas = torch.tensor(beta_sigmas(self.betas), dtype=torch.float64)
        self.kept = 1 / (1 + self.sigmas.square())  # the products of 1 - beta, falling

    def fractional(self, sigma: Tensor) -> Tensor:
        """The time [R] float64 of each sigma [R], linear between two of the products."""
        kept = self.kept.to(sigma.device)
        wanted = 1 / (1 + sigma.double().square())
        rising = kept.flip(0).contiguous()
        right = torch.searchsorted(rising, wanted).clamp(1, len(rising) - 1)
        low, high = rising[right - 1], rising[right]
        share = ((wanted - low) / (high - low)).clamp(0, 1)
        return len(rising) - right - share

    def whole(self, sigma: Tensor) -> Tensor:
        """The same [R] int64, its fraction cut off."""
        return self.fractional(sigma).long()

    def estimate(self, y: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """x_0 [B, N, C] of y = sqrt(a_t) x_0 + sqrt(1 - a_t) n with the predicted noise."""
        sigma = self.sigmas.to(y.device)[t].to(y.dtype).view(-1, 1, 1)
        return y * (1 + sigma.square()).sqrt() - sigma * eps

    def shares(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """sqrt(a_t) and sqrt(1 - a_t), each [B, 1, 1] float32.

        y is the one of x_0 and the other of the noise; the velocity, the one of the noise less the
        other of x_0.
        """
        sigma = self.sigmas.to(t.device)[t].view(-1, 1, 1)
        signal = torch.rsqrt(1 + sigma.square())
        return signal.float(), (sigma * signal).float()


@dataclass(frozen=True, slots=True)
class Respaced:
    """Some of the discrete times, with the betas that lead from one to the next."""

    times: tuple[int, ...]  # rising
    betas: tuple[float, ...]


def respaced(betas: Sequence[float], count: int) -> Respaced:
    """`count` times in even steps from the first to the last.

    Raises ValueError where there are not so many, or fewer than two.
    """
    if not 2 <= count <= len(betas):
        raise ValueError(f"2 to {len(betas)} times expected, got {count}")
    stride = (len(betas) - 1) / (count - 1)
    times = tuple(round(i * stride) for i in range(count))
    kept = 1 / (1 + torch.tensor(beta_sigmas(betas), dtype=torch.float64).square())
    chosen = [1.0, *(float(kept[time]) for time in times)]
    return Respaced(times, tuple(1 - after / before for before, after in pairwise(chosen)))


@dataclass(frozen=True, slots=True)
class Step:
    """One step of `Ancestral`: where it leads, and x_0 as it was estimated."""

    x: Tensor
    estimate: Tensor


class Ancestral:
    """The sampler of Nichol and Dhariwal 2021: the network says how much noise to add.

    Served jobs do without it: Karras' sampler needs a tenth of its steps.
    """

    def __init__(self, spacing: Respaced, channels: Channels) -> None:
        self.times = torch.tensor(spacing.times)
        self.schedule = Times(spacing.betas)
        self.channels = channels
        betas = torch.tensor(spacing.betas, dtype=torch.float64)
        kept = self.schedule.kept
        former = torch.cat([torch.ones(1, dtype=torch.float64), kept[:-1]])
        left = betas * (1 - former) / (1 - kept)
        self.log_least = torch.cat([left[1:2], left[1:]]).log()  # none is left at the first
        self.log_most = betas.log()
        self.of_estimate = betas * former.sqrt() / (1 - kept)
        self.of_x = (1 - former) * (1 - betas).sqrt() / (1 - kept)
        self.former = former

    def ddpm(
        self, predict: Predict, x: Tensor, number: int, noise: Tensor, guidance: float = 1.0
    ) -> Step:
        """x [B, N, C] one step on, from time `number` of the chosen ones.

        With guidance, `predict` gets each cloud twice, the second time not to be shown the picture.
        Only the noise of positions is guided; colours and variances are those of the picture.
        """
        eps, variance = self._predicted(predict, x, number, guidance)
        estimate = self._estimate(x, number, eps)
        mean = float(self.of_estimate[number]) * estimate + float(self.of_x[number]) * x
        share = (variance + 1) / 2
        low, high = float(self.log_least[number]), float(self.log_most[number])
        log_variance = share * high + (1 - share) * low
        added = torch.exp(0.5 * log_variance) * noise if number else 0.0
        return Step(mean + added, estimate)

    def ddim(self, predict: Predict, x: Tensor, number: int) -> Step:
        """The same without new noise (Song et al. 2021)."""
        eps, _ = self._predicted(predict, x, number, 1.0)
        estimate = self._estimate(x, number, eps)
        sigma = float(self.schedule.sigmas[number])
        # The noise is that which leads from the estimate, which may have been clipped, to x.
        eps = (x * (1 + sigma**2) ** 0.5 - estimate) / sigma
        former = float(self.former[number])
        return Step(estimate * former**0.5 + eps * (1 - former) ** 0.5, estimate)

    def _predicted(
        self, predict: Predict, x: Tensor, number: int, guidance: float
    ) -> tuple[Tensor, Tensor]:
        times = self.times[number].to(x.device)
        if guidance == 1:
            eps, variance = predict(x, times.expand(len(x))).chunk(2, dim=-1)
            return eps, variance
        both = torch.cat([x, x])
        eps, variance = predict(both, times.expand(len(both))).chunk(2, dim=-1)
        (shown, hidden), (variance, _) = eps.chunk(2), variance.chunk(2)
        position = hidden[..., :3] + guidance * (shown[..., :3] - hidden[..., :3])
        return torch.cat([position, shown[..., 3:]], dim=-1), variance

    def _estimate(self, x: Tensor, number: int, eps: Tensor) -> Tensor:
        t = torch.full((len(x),), number, device=x.device)
        return self.channels.clipped(self.schedule.estimate(x, t, eps))
