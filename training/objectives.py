"""What is trained: a network, the batches it wants and its loss."""

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from models.diffusion.network import CONFIGS, BozzettoConfig, BozzettoNet
from models.diffusion.view_space import to_view
from models.feedforward.draft import DraftConfig, DraftNet
from training.losses import diffusion_loss, draft_loss, true_camera

Batch = dict[str, Tensor]


class Objective(Protocol):
    """A network to train. `n_points` is how many points of the surface a sample needs."""

    @property
    def net(self) -> nn.Module: ...

    @property
    def image_size(self) -> int: ...

    @property
    def n_points(self) -> int: ...

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """The loss of a batch of the dataset on the network's device, and its parts by name."""
        ...


class DraftObjective:
    def __init__(self, config: DraftConfig) -> None:
        self.n_points = 768
        self.net = DraftNet(config)
        self.image_size = config.image_size

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        with torch.autocast(batch["picture"].device.type, torch.bfloat16):
            layers = self.net(_pictures(batch))
        return draft_loss(layers, batch)


@dataclass(frozen=True, slots=True)
class DiffusionConfig:
    """How noise is drawn. `log_mean` and `log_spread` are of the natural logarithm of sigma."""

    n_points: int = 512  # of one noisy cloud
    draws: int = 1  # noisy clouds of each picture, which is encoded once for all of them
    log_mean: float = -1.2
    log_spread: float = 1.2
    sigma_min: float = 0.008
    sigma_max: float = 6.0
    drop: float = 0.1  # share of samples that see no picture, for guidance


class DiffusionObjective:
    def __init__(self, network: BozzettoConfig, config: DiffusionConfig) -> None:
        self.net = BozzettoNet(network)
        self.config = config
        self.image_size = network.encoder.image_size
        self.n_points = config.n_points * config.draws

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        config = self.config
        target = to_view(batch["points"].float(), true_camera(batch["camera"]))
        target = target.view(-1, config.n_points, 3)
        noise = torch.randn(len(target), device=target.device)
        sigma = torch.exp(config.log_mean + config.log_spread * noise)
        sigma = sigma.clamp(config.sigma_min, config.sigma_max)
        noisy = target + sigma.view(-1, 1, 1) * torch.randn_like(target)
        drop = torch.rand(len(target), device=target.device) < config.drop
        with torch.autocast(target.device.type, torch.bfloat16):
            layers, picture = self.net.encode(_pictures(batch))
            denoised = self.net(noisy, sigma, picture.repeated(config.draws), drop)
        sigma_data = self.net.config.denoiser.sigma_data
        return diffusion_loss(layers, denoised, target, sigma, sigma_data, batch)


def build(name: str, tables: dict[str, dict[str, Any]]) -> Objective:
    """The objective of a config file: the model it trains, and the file's other tables.

    Raises:
        ValueError: no such model.
        TypeError: a table holds an unknown name.
    """
    if name == "draft":
        return DraftObjective(DraftConfig(**tables.get("network", {})))
    if name in CONFIGS:
        return DiffusionObjective(CONFIGS[name], DiffusionConfig(**tables.get("diffusion", {})))
    raise ValueError(f"model must be draft or one of {', '.join(CONFIGS)}, got {name!r}")


def _pictures(batch: Batch) -> Tensor:
    return batch["picture"].float().div(255).permute(0, 3, 1, 2)
