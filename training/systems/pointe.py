"""Training of `pointe-mini`: the squared error of what is predicted, of base and upsampler at once.

The published networks predict the noise, and learn how much of it a step of the ancestral sampler
adds; Karras' sampler, which serves both, has no use for the latter. Ours predicts the velocity.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from models.diffusion.pointe import NETWORKS, PointENet, own_tokens
from models.diffusion.pointe_network import CHANNELS, PointTransformer
from models.diffusion.pointe_sampling import Times, base_betas, upsampler_betas
from models.diffusion.view_space import to_view
from models.encoders.own import IMAGE_SIZE, OwnEncoder
from training.losses import true_camera

ENCODER = "models/weights/draft/weights.safetensors"


@dataclass(frozen=True, slots=True)
class PointETraining:
    points: int = 128  # of a noisy cloud of the base
    draws: int = 4  # noisy clouds of the base for each picture, which is encoded once for all
    known: int = 128  # points that the upsampler is given
    added: int = 128  # and those it adds
    drop: float = 0.1  # share of clouds that see no picture, for guidance
    encoder: str = ENCODER


class PointEObjective:
    image_size = IMAGE_SIZE

    def __init__(self, config: PointETraining) -> None:
        self.config = config
        self.net = PointENet(NETWORKS["mini"])
        self.n_points = max(config.points * config.draws, config.known + config.added)
        self.encoder = OwnEncoder(load_file(Path(config.encoder)), torch.device("cpu"))
        self.base_times = Times(base_betas())
        self.upsampler_times = Times(upsampler_betas())

    def loss(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        config, net = self.config, self.net
        rgba = batch["picture"].float().div(255).permute(0, 3, 1, 2)
        self.encoder.net.to(rgba.device)
        view = to_view(batch["points"].float(), true_camera(batch["camera"]))
        points = torch.cat([view, batch["colors"].float()], dim=-1)
        clouds = points[:, : config.points * config.draws].reshape(-1, config.points, CHANNELS)
        known = points[:, : config.known]
        added = points[:, config.known : config.known + config.added]
        with torch.autocast(rgba.device.type, torch.bfloat16):
            description = self.encoder(rgba)
        tokens = own_tokens(rgba, description)
        with torch.autocast(rgba.device.type, torch.bfloat16):
            shown = tokens.repeat_interleave(config.draws, dim=0)
            base = self._error(net.base, self.base_times, clouds, shown, None)
            upsampler = self._error(net.upsample, self.upsampler_times, added, tokens, known)
        loss = base + upsampler
        parts = {"loss": loss, "base": base, "upsampler": upsampler}
        return loss, {name: float(value.detach()) for name, value in parts.items()}

    def _error(
        self,
        net: PointTransformer,
        times: Times,
        clouds: Tensor,
        tokens: Tensor,
        known: Tensor | None,
    ) -> Tensor:
        """Mean over times that are spread evenly over the rows."""
        R, device = len(clouds), clouds.device
        share = (torch.randperm(R, device=device) + torch.rand(R, device=device)) / R
        t = (share * len(times.betas)).long().clamp(max=len(times.betas) - 1)
        signal, spread = times.shares(t)
        scaled, noise = net.channels.scaled(clouds), torch.randn_like(clouds)
        y = signal * scaled + spread * noise
        velocity = net.config.predicts == "velocity"
        target = signal * noise - spread * scaled if velocity else noise
        hidden = torch.rand(R, device=device) < self.config.drop
        seen = torch.where(hidden.view(-1, 1, 1), 0.0, tokens)
        out: Tensor = net(y, t, net.picture(seen), known)
        return (out.float() - target).square().mean()
