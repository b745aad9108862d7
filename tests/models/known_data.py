"""Data whose denoiser, and whose way from noise, are known exactly: mixtures of Gaussians."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Mixture:
    """Of one-dimensional Gaussians, each coordinate on its own."""

    weights: tuple[float, ...]
    means: tuple[float, ...]
    deviations: tuple[float, ...]

    def denoise(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        """E[x_0 | x]; sigma a number, or [B] for x [B, N, C]."""
        sigma = torch.as_tensor(sigma, dtype=x.dtype)
        noise = sigma.reshape(-1, *[1] * (x.ndim - 1))[..., None] ** 2
        weights, means, deviations = self._parts(x)
        own = deviations**2
        total = own + noise
        offset = x[..., None] - means
        logits = weights.log() - total.log() / 2 - offset**2 / (2 * total)
        guess = (means * noise + x[..., None] * own) / total
        return (logits.softmax(dim=-1) * guess).sum(dim=-1)

    def cdf(self, x: Tensor, sigma: float) -> Tensor:
        """Of the noisy data. The flow from noise to data keeps it, being monotone."""
        weights, means, deviations = self._parts(x)
        scale = (deviations**2 + sigma**2).sqrt()
        below: Tensor = torch.special.ndtr((x[..., None] - means) / scale)
        return (weights * below).sum(dim=-1)

    def _parts(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return x.new_tensor(self.weights), x.new_tensor(self.means), x.new_tensor(self.deviations)


ONE = Mixture((1.0,), (0.3,), (0.5,))
TWO = Mixture((0.3, 0.7), (-0.6, 0.4), (0.1, 0.2))
