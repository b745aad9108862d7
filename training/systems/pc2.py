"""Training of `pc2-mini` and `ccd3dr-mini`: squared error of the predicted noise, as published.

Clouds are of the upright frame and are projected with the true camera, which costs nothing; at
serving it is the encoder's guess, or a camera that comes with the picture.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from models.diffusion.ccd3dr import Ccd3drNet, centred
from models.diffusion.noise import DiscreteNoise
from models.diffusion.pc2 import NETWORKS, Pc2Net, laid_on
from models.diffusion.projection import Views, fine_maps
from models.encoders.own import OwnEncoder, divided
from models.feedforward.draft import Description
from training.losses import true_camera

ENCODER = "models/weights/draft/weights.safetensors"
_EARLY = 1.5  # power: low noise is drawn more often, for at high noise a Gaussian does as well
_CENTRE = 2.0  # weight of the centre's error, in object diameters


@dataclass(frozen=True, slots=True)
class Pc2Training:
    n_points: int = 1024  # of one noisy cloud
    draws: int = 2  # noisy clouds of each picture, which is encoded once for all of them
    drop: float = 0.1  # share of clouds that are told nothing of the picture, for guidance
    half: bool = False  # bfloat16
    encoder: str = ENCODER
    start: str = ""  # exported weights of `pc2-mini` that a run of `ccd3dr-mini` begins with


class Pc2Objective:
    def __init__(self, config: Pc2Training, *, is_centred: bool = False) -> None:
        self.config = config
        sizes = NETWORKS["mini"]
        self.net: Pc2Net = Ccd3drNet(sizes) if is_centred else Pc2Net(sizes)
        if config.start:
            start_from(self.net, Path(config.start))
        self.noise: DiscreteNoise = self.net.noise
        self.image_size = sizes.image_size
        self.n_points = config.n_points * config.draws
        self.encoder = OwnEncoder(load_file(Path(config.encoder)), torch.device("cpu"))

    def loss(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        rgba = batch["picture"].float().div(255).permute(0, 3, 1, 2).contiguous()
        self.encoder.net.to(rgba.device)
        with torch.autocast(rgba.device.type, torch.bfloat16, enabled=self.config.half):
            description = self.encoder(rgba)
            coarse = self.net.feature_model.model(description).float()
        fine = fine_maps(laid_on(rgba, self.net.config.background), rgba[:, 3:])
        views = Views.of_windows(true_camera(batch["camera"]))
        x_0 = self.net.config.unit * batch["points"].float()
        x_0 = x_0.view(-1, self.config.n_points, 3)
        given = [
            item.repeat_interleave(self.config.draws, dim=0)
            for item in (views.packed, coarse, fine)
        ]
        if not isinstance(self.net, Ccd3drNet):
            return self._denoising(x_0, given, torch.randn_like(x_0), None)
        loss, parts = self._denoising(
            centred(x_0), given, centred(torch.randn_like(x_0)), x_0.mean(dim=1)
        )
        off = self._centre_error(self.net, description, rgba[:, 3], batch["points"].float())
        return loss + _CENTRE * off, parts | {"centre": float(off.detach())}

    def _denoising(
        self, x_0: Tensor, given: list[Tensor], noise: Tensor, centre: Tensor | None
    ) -> tuple[Tensor, dict[str, float]]:
        rows, device = len(x_0), x_0.device
        # Evenly spread over the batch, in any order.
        t = (torch.randperm(rows, device=device) + torch.rand(rows, device=device)) / rows
        t = (t**_EARLY * len(self.noise.betas)).long().clamp(max=len(self.noise.betas) - 1)
        sigma = self.noise.sigmas.to(device)[t].float().view(-1, 1, 1)
        y = (x_0 + sigma * noise) * (1 + sigma.square()).rsqrt()
        drop = torch.rand(rows, device=device) < self.config.drop
        packed, coarse, fine = given
        with torch.autocast(device.type, torch.bfloat16, enabled=self.config.half):
            eps = self.net.eps(y, t, Views.unpacked(packed), coarse, fine, drop, centre).float()
        if centre is not None:
            eps = centred(eps)
        errors = (eps - noise).square().mean(dim=(1, 2))
        loss = errors.mean()
        early = errors[t < len(self.noise.betas) // 2]
        parts = {"loss": float(loss.detach()), "below_500": float(early.detach().mean())}
        return loss, parts

    @staticmethod
    def _centre_error(
        net: Ccd3drNet, description: Description, alpha: Tensor, points: Tensor
    ) -> Tensor:
        """With the guessed camera, as at serving."""
        guessed = Views.of_windows(description.layers.camera.float()).centred_at(alpha)
        found = guessed + net.correction(description, alpha)
        off: Tensor = (found - points.mean(dim=1)).square().sum(dim=1).sqrt().mean()
        return off


def start_from(net: Pc2Net, file: Path) -> None:
    """Give `net` the weights of `pc2-mini`; a head for the centre, which that lacks, keeps its own.

    Raises ValueError where the weights are others.
    """
    given = divided(load_file(file))[1]
    shared = {n for n in net.state_dict() if not n.startswith("centre_head.")}
    if given.keys() != shared:
        raise ValueError(f"{file}: no weights of pc2-mini")
    net.load_state_dict(given, strict=False)
