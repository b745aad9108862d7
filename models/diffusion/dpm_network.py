"""The network of DPM under its authors' keys: cloud encoder, latent flow and pointwise denoiser.

Luo and Hu, "Diffusion Probabilistic Models for 3D Point Cloud Generation", CVPR 2021. Points do not
see each other: a code of the whole cloud is all that they share.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.diffusion.dpm_flow import LatentFlow
from models.encoders.own import TOKEN_WIDTH, TOKENS

Kind = Literal["flow", "gaussian", "autoencoder", "picture"]


@dataclass(frozen=True, slots=True)
class DpmConfig:
    """Sizes and schedule.

    Attributes:
        kind: where codes come from: the flow's prior, a Gaussian one, another cloud, or a picture.
        beta_first, beta_last: the ends of a linear schedule of `times` betas.
        residual: whether a noisy point is added to the noise that is predicted for it.
        flexibility: of the authors' sampler: 0 is the posterior's deviation, 1 sqrt(beta).
        widths: of the pointwise network between its three channels.
        encoder_widths: of its four convolutions, then of the two layers of each head.
        time_gain: what beta is multiplied by before it is embedded; 1 as published.
    """

    kind: Kind = "flow"
    latent: int = 256
    times: int = 100
    beta_first: float = 1e-4
    beta_last: float = 0.02
    residual: bool = True
    flexibility: float = 0.0
    flow_depth: int = 14
    flow_hidden: int = 256
    widths: tuple[int, ...] = (128, 256, 512, 256, 128)
    encoder_widths: tuple[int, int, int, int, int, int] = (128, 128, 256, 512, 256, 128)
    time_gain: float = 1.0


class PointNet(nn.Module):
    """Clouds [B, N, 3] to the mean and log-variance of their codes, [B, C] each."""

    def __init__(self, latent: int, widths: tuple[int, int, int, int, int, int]) -> None:
        super().__init__()
        inside = 3
        for number, width in enumerate(widths[:4], start=1):
            self.add_module(f"conv{number}", nn.Conv1d(inside, width, 1))
            self.add_module(f"bn{number}", nn.BatchNorm1d(width))
            inside = width
        for head in ("m", "v"):
            self.add_module(f"fc1_{head}", nn.Linear(inside, widths[4]))
            self.add_module(f"fc_bn1_{head}", nn.BatchNorm1d(widths[4]))
            self.add_module(f"fc2_{head}", nn.Linear(widths[4], widths[5]))
            self.add_module(f"fc_bn2_{head}", nn.BatchNorm1d(widths[5]))
            self.add_module(f"fc3_{head}", nn.Linear(widths[5], latent))

    def forward(self, points: Tensor) -> tuple[Tensor, Tensor]:
        x = points.transpose(1, 2)
        for number in range(1, 5):
            x = self.get_submodule(f"bn{number}")(self.get_submodule(f"conv{number}")(x))
            x = F.relu(x) if number < 4 else x
        x = x.amax(dim=2)
        return self._head(x, "m"), self._head(x, "v")

    def mean(self, points: Tensor) -> Tensor:
        mean: Tensor = self(points)[0]
        return mean

    def _head(self, x: Tensor, head: str) -> Tensor:
        for number in (1, 2):
            x = self.get_submodule(f"fc{number}_{head}")(x)
            x = F.relu(self.get_submodule(f"fc_bn{number}_{head}")(x))
        y: Tensor = self.get_submodule(f"fc3_{head}")(x)
        return y


class ConcatSquash(nn.Module):
    """A linear layer of each point, gated and shifted by the context."""

    def __init__(self, inside: int, outside: int, context: int) -> None:
        super().__init__()
        self._layer = nn.Linear(inside, outside)
        self._hyper_bias = nn.Linear(context, outside, bias=False)
        self._hyper_gate = nn.Linear(context, outside)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """x [B, N, C] under `context` [B, 1, K]."""
        gate = torch.sigmoid(self._hyper_gate(context))
        return torch.addcmul(self._hyper_bias(context), self._layer(x), gate)


class PointwiseNet(nn.Module):
    """The noise in points x [B, N, 3] at `beta` [B] under the codes [B, C]."""

    def __init__(self, config: DpmConfig) -> None:
        super().__init__()
        widths = (3, *config.widths, 3)
        context = config.latent + 3
        self.layers = nn.ModuleList(
            ConcatSquash(inside, outside, context) for inside, outside in pairwise(widths)
        )
        self.residual = config.residual
        self.time_gain = config.time_gain

    def forward(self, x: Tensor, beta: Tensor, code: Tensor) -> Tensor:
        time = beta[:, None] * self.time_gain
        context = torch.cat([time, torch.sin(time), torch.cos(time), code], dim=1)[:, None]
        out = x
        for number, layer in enumerate(self.layers):
            out = layer(out, context)
            out = F.leaky_relu(out) if number + 1 < len(self.layers) else out
        return x + out if self.residual else out


class VarianceSchedule(nn.Module):
    """Tables of `times` + 1 entries, of which the first is padding: a time t counts from 1."""

    betas: Tensor
    alphas: Tensor
    alpha_bars: Tensor
    sigmas_flex: Tensor
    sigmas_inflex: Tensor

    def __init__(self, times: int, first: float, last: float, persistent: bool = True) -> None:
        super().__init__()
        betas = F.pad(torch.linspace(first, last, times), (1, 0))
        alphas = 1 - betas
        sums = torch.log(alphas)
        for t in range(1, times + 1):  # each rounded to float32, as published; cumsum is exacter
            sums[t] += sums[t - 1]
        alpha_bars = sums.double().exp().float()  # the posterior cancels: rounded the same anywhere
        posterior = torch.zeros_like(betas)
        posterior[1:] = (1 - alpha_bars[:-1]) / (1 - alpha_bars[1:]) * betas[1:]
        tables = {
            "betas": betas,
            "alphas": alphas,
            "alpha_bars": alpha_bars,
            "sigmas_flex": betas.sqrt(),
            "sigmas_inflex": posterior.sqrt(),
        }
        for name, table in tables.items():
            self.register_buffer(name, table, persistent)

    @property
    def times(self) -> int:
        return len(self.betas) - 1

    def deviation(self, t: int, flexibility: float) -> Tensor:
        """Of the noise that the authors' sampler adds after the time t."""
        return self.sigmas_flex[t] * flexibility + self.sigmas_inflex[t] * (1 - flexibility)


class Diffusion(nn.Module):
    def __init__(self, config: DpmConfig) -> None:
        super().__init__()
        self.net = PointwiseNet(config)
        # Half precision, in which our own weights are kept, would spoil the tables.
        persistent = config.kind != "picture"
        self.var_sched = VarianceSchedule(
            config.times, config.beta_first, config.beta_last, persistent
        )

    def noise_of(self, x: Tensor, t: Tensor, code: Tensor) -> Tensor:
        """The noise in x [B, N, 3] at the times t [B], from 1."""
        eps: Tensor = self.net(x, self.var_sched.betas[t], code)
        return eps

    def noised(self, points: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        kept = self.var_sched.alpha_bars[t].view(-1, 1, 1)
        return kept.sqrt() * points + (1 - kept).sqrt() * noise

    def loss(self, points: Tensor, t: Tensor, noise: Tensor, code: Tensor) -> Tensor:
        """Mean squared error of the predicted noise."""
        return F.mse_loss(self.noise_of(self.noised(points, t, noise), t, code), noise)

    def trajectory(
        self,
        code: Tensor,
        x: Tensor,
        noise: Sequence[Tensor],
        flexibility: float = 0.0,
        schedule: VarianceSchedule | None = None,
    ) -> list[Tensor]:
        """The authors' ancestral sampling from x [B, N, 3], pure noise, to the sample, all states.

        Args:
            noise: what each step but the last adds, in order.
            schedule: in place of the network's own.
        """
        tables = schedule or self.var_sched
        states = [x]
        for step, t in enumerate(range(tables.times, 0, -1)):
            alpha, kept = tables.alphas[t], tables.alpha_bars[t]
            eps = self.net(x, tables.betas[t].expand(len(x)), code)
            x = (x - (1 - alpha) / (1 - kept).sqrt() * eps) / alpha.sqrt()
            if t > 1:
                x = x + tables.deviation(t, flexibility) * noise[step]
            states.append(x)
        return states


class PictureHead(nn.Module):
    """Our own: the encoder's tokens [B, K, 256] to a code."""

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.narrow = nn.Linear(TOKEN_WIDTH, 40)
        self.mix = nn.Linear(40 * TOKENS, 320)
        self.code = nn.Linear(320, latent)

    def forward(self, tokens: Tensor) -> Tensor:
        hidden = F.silu(self.mix(F.silu(self.narrow(tokens)).flatten(1)))
        code: Tensor = self.code(hidden)
        return code


class DpmNet(nn.Module):
    def __init__(self, config: DpmConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = PointNet(config.latent, config.encoder_widths)
        self.diffusion = Diffusion(config)
        if config.kind == "flow":
            self.flow = LatentFlow(config.latent, config.flow_depth, config.flow_hidden)
        elif config.kind == "picture":
            self.head = PictureHead(config.latent)
            self.unseen = nn.Parameter(torch.zeros(config.latent))  # the code of no picture

    def prior(self, w: Tensor) -> Tensor:
        """Codes of the generators from normal noise w [B, C]."""
        return self.flow.codes(w) if self.config.kind == "flow" else w

    def autoencoder_loss(self, points: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """Published loss of the auto-encoder, t [B] from 1."""
        return self.diffusion.loss(points, t, noise, self.encoder.mean(points))

    def generator_loss(
        self, points: Tensor, t: Tensor, noise: Tensor, eps: Tensor, kl_weight: float = 0.001
    ) -> Tensor:
        """Published loss of both generators: `eps` [B, C] is the noise of the codes' posterior."""
        mean, log_variance = self.encoder(points)
        code = mean + torch.exp(log_variance / 2) * eps
        C = code.shape[1]
        normal = C * math.log(2 * math.pi)
        if self.config.kind == "flow":
            w, lost = self.flow(code)
            entropy = (log_variance.sum(dim=1) + C + normal) / 2
            # As published, the normal's constant is added once per channel: it has no gradient.
            likelihood = -(w.square().sum(dim=1) + C * normal) / 2 - lost[:, 0]
            apart = (-likelihood - entropy).mean()
        else:
            apart = (log_variance.exp() + mean.square() - 1 - log_variance).sum(dim=1).mean() / 2
        loss: Tensor = kl_weight * apart + self.diffusion.loss(points, t, noise, code)
        return loss


def shape_unit(points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Clouds [B, N, 3] as DPM is trained on them, with what undoes it: mean [B, 1, 3] and deviation
    [B, 1, 1], one for all three axes."""
    mean = points.mean(dim=1, keepdim=True)
    spread = points.flatten(1).std(dim=1).clamp(min=1e-6).view(-1, 1, 1)
    return (points - mean) / spread, mean, spread
