"""Training of `gecco-mini` and `colored-mini`: EDM's loss, as GECCO has it, in view space."""

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from models.diffusion.gecco_transformer import log_uniform
from models.diffusion.view_network import COLORED, POINTS, ViewNet
from models.diffusion.view_space import to_view
from models.encoders.own import IMAGE_SIZE, OwnEncoder
from training.losses import true_camera

_COLOR_WEIGHT = 0.5  # of the loss: colours are learnt much sooner than places
_NETWORKS = {"gecco-mini": POINTS, "colored-mini": COLORED}


@dataclass(frozen=True, slots=True)
class ViewTraining:
    n_points: int = 256  # of one noisy cloud
    draws: int = 2  # noisy clouds of each picture, which is encoded once for all of them
    half: bool = True  # bfloat16, where that is faster
    encoder: str = "models/weights/draft/weights.safetensors"


class ViewObjective:
    """Of points alone or, where the network has six channels, of points with their colours."""

    image_size = IMAGE_SIZE

    def __init__(self, preset: str, config: ViewTraining) -> None:
        self.config = config
        self.net = ViewNet(_NETWORKS[preset])
        self.n_points = config.n_points * config.draws
        self.encoder = OwnEncoder(load_file(Path(config.encoder)), torch.device("cpu"))

    def loss(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        config, net = self.config, self.net
        rgba = batch["picture"].float().div(255).permute(0, 3, 1, 2)
        self.encoder.net.to(rgba.device)
        target = self._targets(batch)
        share = torch.rand(len(target), device=target.device)
        sigma = log_uniform(share, net.config.sigma_min, net.config.sigma_max)
        # Spread evenly over the batch, but not by the order of its pictures.
        sigma = sigma[torch.randperm(len(sigma), device=sigma.device)]
        noisy = target + sigma.view(-1, 1, 1) * torch.randn_like(target)
        with torch.autocast(rgba.device.type, torch.bfloat16, enabled=config.half):
            features, plain = (
                item.float().repeat_interleave(config.draws, dim=0)
                for item in net.encode(rgba, self.encoder(rgba))
            )
            denoised = net(noisy, sigma, features, plain).float()
        weight = (1 + 1 / sigma.square())[:, None]  # EDM's, of data of variance 1
        errors = (denoised - target).square().mean(dim=1) * weight  # [B, channels]
        place, color = errors[:, :3].mean(), errors[:, 3:]
        parts = {"loss": place, "below_1": errors[sigma < 1, :3].mean()}
        if color.shape[1]:
            parts["color"] = color.mean()
            parts["loss"] = place + _COLOR_WEIGHT * parts["color"]
        return parts["loss"], {name: float(value.detach()) for name, value in parts.items()}

    def _targets(self, batch: dict[str, Tensor]) -> Tensor:
        """Standardised clouds [B * draws, n_points, channels]."""
        target = to_view(batch["points"].float(), true_camera(batch["camera"]))
        if self.net.config.channels > 3:
            target = torch.cat([target, batch["colors"].float() / 127.5 - 1], dim=-1)
        return (target / self.net.spread).view(-1, self.config.n_points, self.net.config.channels)
