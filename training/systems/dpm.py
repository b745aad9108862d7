"""The objective of `dpm-mini`: an auto-encoder of clouds, and a picture's way to its codes."""

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from models.diffusion.dpm import NETWORKS
from models.diffusion.dpm_network import DpmNet, shape_unit
from models.encoders.own import IMAGE_SIZE, OwnEncoder
from training.objectives import Batch

WEIGHTS = Path(__file__).parents[2] / "models" / "weights" / "draft" / "weights.safetensors"


@dataclass(frozen=True, slots=True)
class DpmTraining:
    """Attributes:
    n_points: of one noisy cloud.
    draws: noisy clouds of each picture, the first half under the cloud's code, the rest under
        the picture's.
    seen: points that the cloud encoder sees.
    regression: weight of the distance between both codes.
    drop: share of clouds under a picture's code that are told of no picture, for guidance.
    late: power of the even share that a time is drawn by. Above 1, unlike the authors' even
        draw, it favours little noise: what is left of it at the end is what a small network's
        clouds are blurred by.
    """

    n_points: int = 256
    draws: int = 4
    seen: int = 512
    regression: float = 0.1
    drop: float = 0.1
    late: float = 1.5


class DpmObjective:
    """Points see each other nowhere but in the cloud encoder, so a noisy cloud can be small."""

    def __init__(self, config: DpmTraining, encoder: dict[str, Tensor] | None = None) -> None:
        """`encoder`: its tensors, instead of the published ones."""
        self.config = config
        self.net = DpmNet(NETWORKS["mini"])
        tensors = load_file(WEIGHTS) if encoder is None else encoder
        self.encoder = OwnEncoder(
            {name: value.float() for name, value in tensors.items()}, torch.device("cpu")
        )
        self.image_size = IMAGE_SIZE
        self.n_points = max(config.n_points * config.draws, config.seen)

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        config = self.config
        points, _, _ = shape_unit(batch["points"].float())
        B, device = len(points), points.device
        self.encoder.net.to(device)
        with torch.autocast(device.type, torch.bfloat16):
            rgba = batch["picture"].float().div(255).permute(0, 3, 1, 2)
            guess = self.net.head(self.encoder(rgba).tokens).float()
            # Another part of the cloud than most of what is denoised under its code.
            code = self.net.encoder.mean(points[:, -config.seen :]).float()
            drop = torch.rand(B, 1, device=device) < config.drop
            shown = torch.where(drop, self.net.unseen, guess)
            half = config.draws // 2
            codes = torch.cat([code] * half + [shown] * (config.draws - half))
            clouds = points[:, : config.n_points * config.draws]
            clouds = clouds.view(B, config.draws, -1, 3).transpose(0, 1).flatten(0, 1)
            share = torch.rand(len(clouds), device=device) ** config.late
            t = (share * self.net.config.times).long().clamp(max=self.net.config.times - 1) + 1
            noise = torch.randn_like(clouds)
            noisy = self.net.diffusion.noised(clouds, t, noise)
            eps = self.net.diffusion.noise_of(noisy, t, codes).float()
        error = (eps - noise).square().mean(dim=(1, 2))
        known, seen = error[: half * B].mean(), error[half * B :].mean()
        # Either code moves towards the other: one that no picture tells is of no use.
        apart = F.mse_loss(guess, code)
        loss = known + seen + config.regression * apart
        parts = {"loss": loss, "cloud": known, "picture": seen, "apart": apart}
        return loss, {name: float(value.detach()) for name, value in parts.items()}
