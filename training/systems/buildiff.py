"""Training of BuilDiff: first the auto-encoder, then both diffusions under its frozen codes."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from kernels.chamfer import chamfer_distance, nearest_pairs
from models.diffusion.buildiff import NETWORKS, BaseStage, BuildiffNet, UpsamplerStage, shown
from models.diffusion.buildiff_encoder import AutoEncoder, as_input
from training.objectives import Batch

FOOTPRINT_WEIGHT = 0.001


@dataclass(frozen=True, slots=True)
class AutoEncoderTraining:
    """`consistency`: weight of the distance between the codes of two views of a picture."""

    network: str = "mini"
    consistency: float = 1.0


class AutoEncoderObjective:
    n_points = 1  # the streams give some; none is used

    def __init__(self, config: AutoEncoderTraining) -> None:
        self.config = config
        network = NETWORKS[config.network].autoencoder
        self.net = AutoEncoder(network)
        self.image_size = network.image_size

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        rgba = pictures(batch)
        with torch.autocast(rgba.device.type, torch.bfloat16):
            code, other = self.net(torch.cat([rgba, varied(rgba)])).chunk(2)
            picture = self.net.decoder(code)
        reconstruction = F.mse_loss(picture.float(), as_input(rgba))
        consistency = F.mse_loss(code.float(), other.float())
        loss = reconstruction + self.config.consistency * consistency
        parts = {"loss": loss, "reconstruction": reconstruction, "consistency": consistency}
        return loss, {name: float(value.detach()) for name, value in parts.items()}


@dataclass(frozen=True, slots=True)
class BuildiffTraining:
    """Attributes:
    draws: noisy clouds of each picture, for the base.
    dense: share of the pictures from which the upsampler learns; its clouds are four times larger.
    jitter: standard deviation of what is added to the upsampler's low-resolution points, in its
        own unit: what it is given later is a sample, not a truth.
    drop: share of clouds that are told of no picture, for guidance.
    """

    network: str = "mini"
    draws: int = 2
    dense: float = 0.25
    jitter: float = 0.04
    drop: float = 0.1


class BuildiffObjective:
    """Noise as the loss, and for the base the footprint's regulariser."""

    def __init__(self, config: BuildiffTraining) -> None:
        self.config = config
        network = NETWORKS[config.network]
        self.net = BuildiffNet(network)
        self.net.autoencoder.eval().requires_grad_(False)
        self.base, self.upsampler = BaseStage(self.net), UpsamplerStage(self.net)
        self.image_size = network.autoencoder.image_size
        self.n_points = max(network.base_points * config.draws, network.points)

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        with torch.no_grad(), torch.autocast(batch["picture"].device.type, torch.bfloat16):
            code = self.net.autoencoder(pictures(batch)).float()
        points = batch["points"].float() * self.net.config.unit
        error, footprint = self._base_loss(points, code)
        some = max(1, round(self.config.dense * len(points)))
        dense = self._upsampler_loss(points[:some], code[:some])
        loss = error + FOOTPRINT_WEIGHT * footprint + dense
        parts = {"loss": loss, "base": error, "footprint": footprint, "upsampler": dense}
        return loss, {name: float(value.detach()) for name, value in parts.items()}

    def _base_loss(self, points: Tensor, code: Tensor) -> tuple[Tensor, Tensor]:
        size, draws = self.net.config.base_points, self.config.draws
        target = points[:, : size * draws].reshape(-1, size, 3)
        code = self._dropped(code.repeat_interleave(draws, dim=0))
        y, t, kept, noise = noised(target, self.base.noise.sigmas)
        eps = self.net.base_noise(y, t, code)
        guess = (y - (1 - kept).sqrt() * eps) / kept.sqrt()
        weight = footprint_weight(t, self.net.config.base_times)
        apart = footprint_distance(guess, target)
        return F.mse_loss(eps, noise), (weight * apart).mean()

    def _upsampler_loss(self, points: Tensor, code: Tensor) -> Tensor:
        """Of the new points alone: what is said of the others is never used."""
        config = self.net.config
        target = points[:, : config.points]
        y, t, _, noise = noised(target, self.upsampler.noise.sigmas)
        low = target[:, : config.base_points]
        low = low + self.config.jitter * torch.randn_like(low)
        y = torch.cat([low, y[:, config.base_points :]], dim=1)
        eps = self.net.dense_noise(y, t, self._dropped(code))
        return F.mse_loss(eps[:, config.base_points :], noise[:, config.base_points :])

    def _dropped(self, code: Tensor) -> Tensor:
        return shown(code, torch.rand(len(code), device=code.device) < self.config.drop)


def noised(target: Tensor, sigmas: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Clouds [B, N, 3] at random times of a table of sigmas [T].

    Returns:
        y: [B, N, 3] with variance kept, `t` [B], `kept` [B, 1, 1] the product of 1 - beta, and the
        noise [B, N, 3]. The times are evenly spread over the batch.
    """
    B, device = len(target), target.device
    even = (torch.randperm(B, device=device) + torch.rand(B, device=device)) / B
    t = (even * len(sigmas)).long().clamp(max=len(sigmas) - 1)
    kept = (1 / (1 + sigmas.to(device)[t].square())).float().view(-1, 1, 1)
    noise = torch.randn_like(target)
    return kept.sqrt() * target + (1 - kept).sqrt() * noise, t, kept, noise


def footprint_weight(t: Tensor, times: int) -> Tensor:
    """1, 3/4, 1/2 and 1/4 in the quarters of the times, and 0 at the last: [B] of t [B]."""
    weight = 1 - torch.div(4 * t, times, rounding_mode="floor") / 4
    return weight.masked_fill(t == times - 1, 0.0)


def footprint_distance(guess: Tensor, target: Tensor) -> Tensor:
    """Chamfer distance [B], squared and both ways, of two clouds [B, N, 3] as seen from above."""
    flat = guess.new_tensor([1.0, 0.0, 1.0])
    return chamfer_distance(nearest_pairs(guess * flat, target * flat))


def varied(rgba: Tensor) -> Tensor:
    """Pictures [B, 4, S, S] turned by a random number of right angles, never none, and with other
    hues, saturations and brightness."""
    B, device = len(rgba), rgba.device
    turns = 1 + torch.randint(3, (B,), device=device)
    turned = torch.stack(
        [picture.rot90(int(k), (1, 2)) for picture, k in zip(rgba, turns, strict=True)]
    )
    grey = torch.full((3, 3), 1 / 3, device=device)
    cross = rgba.new_tensor([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / 3**0.5
    angle = 0.3 * torch.randn(B, 1, 1, device=device)
    value, saturation = (0.7 + 0.6 * torch.rand(2, B, 1, 1, device=device)).unbind()
    away = torch.eye(3, device=device) - grey
    # A turn about the grey axis (Rodrigues), of what differs from grey
    matrix = grey + saturation * (torch.cos(angle) * away + torch.sin(angle) * cross)
    colors = torch.einsum("bij,bjhw->bihw", value * matrix, turned[:, :3]).clamp(0, 1)
    return torch.cat([colors, turned[:, 3:]], dim=1)


def pictures(batch: Batch) -> Tensor:
    """[B, 4, S, S] in 0..1."""
    return batch["picture"].float().div(255).permute(0, 3, 1, 2)
