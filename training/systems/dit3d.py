"""Training of `dit3d-mini`: DiT-3D's diffusion in view space, with the frozen encoder's tokens."""

from dataclasses import dataclass, fields
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from kernels.checks import trust_values
from models.diffusion.dit3d import MINI, SPREAD, PicturedNet, betas_of
from models.diffusion.dit3d_image import Shown
from models.diffusion.noise import DiscreteNoise, scale
from models.diffusion.view_space import to_view
from models.encoders.own import IMAGE_SIZE, OwnEncoder
from training.losses import true_camera
from training.objectives import Batch


@dataclass(frozen=True, slots=True)
class Dit3dTraining:
    """Attributes:
    draws: noisy clouds of each picture, which is encoded once for all of them.
    fewest, n_points: of a cloud: as many as either in turn, so that the density does not matter.
    drop: share of clouds that are shown no picture, for guidance.
    """

    encoder: str = "models/weights/draft/weights.safetensors"
    draws: int = 3
    fewest: int = 1024
    n_points: int = 2048
    drop: float = 0.1


class Dit3dObjective:
    def __init__(self, config: Dit3dTraining) -> None:
        self.config = config
        self.n_points = config.n_points
        self.image_size = IMAGE_SIZE
        self.net = PicturedNet(MINI)
        self.noise = DiscreteNoise(betas_of(MINI))
        self.encoder: OwnEncoder | None = None  # on the device of the first batch

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """The published mean square of the noise's error, over what of the data is left at t: of
        equal weight at every t for the network, whose output is of that size."""
        shown = self._shown(batch["picture"])
        target = to_view(batch["points"].float(), true_camera(batch["camera"])) / SPREAD
        count = self.config.fewest if torch.rand(()) < 0.5 else self.config.n_points
        target = target[:, :count].repeat_interleave(self.config.draws, dim=0)
        t = torch.randint(len(self.noise.betas), (len(target),), device=target.device)
        sigma = self.noise.sigmas.to(target.device)[t]
        eps = torch.randn_like(target)
        kept = scale(sigma)
        y = (target + sigma.float().view(-1, 1, 1) * eps) * kept
        with trust_values():
            error = ((self.net(y, t, sigma, shown) - eps) / kept).square().mean(dim=(1, 2))
        late = t >= len(self.noise.betas) // 2
        loss = error.mean()
        early, noisy = (error.detach().where(half, 0).sum() for half in (~late, late))
        parts = {"loss": loss.detach(), "early": 2 * early / len(t), "late": 2 * noisy / len(t)}
        return loss, {name: float(value) for name, value in parts.items()}

    def _shown(self, picture: Tensor) -> Shown:
        """Of each draw, some of them of nothing."""
        if self.encoder is None:
            self.encoder = OwnEncoder(load_file(Path(self.config.encoder)), picture.device)
        rgba = picture.float().div(255).permute(0, 3, 1, 2)
        tokens = self.encoder(rgba).tokens
        with trust_values():
            shown: Shown = self.net.reader(tokens, rgba[:, 3:])
            nothing = self.net.reader.none()
        draws = self.config.draws
        each = {part.name: getattr(shown, part.name) for part in fields(shown)}
        shown = Shown(**{name: part.repeat_interleave(draws, 0) for name, part in each.items()})
        drop = torch.rand(len(shown.code), device=picture.device) < self.config.drop
        return shown.hidden_where(drop, nothing)
