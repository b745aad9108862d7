"""Weights that were drawn at random: for speed they are as good as trained ones."""

from dataclasses import replace
from typing import assert_never

import torch
from torch import Tensor, nn

from models.cards.buildiff import BUILDIFF_MINI
from models.cards.dit3d import DIT3D_MINI
from models.cards.dpm import DPM_MINI
from models.cards.gecco import GECCO_MINI
from models.cards.pc2 import PC2_MINI
from models.cards.pointe import POINTE_MINI
from models.catalog import ModelCard
from models.encoders.own import IMAGE_SIZE, OWN_PREFIX
from models.feedforward.draft import DraftConfig, DraftNet
from models.published import SYSTEMS


def _published(card: ModelCard, system: str, network: str, title: str) -> ModelCard:
    known = SYSTEMS[system]
    return replace(
        card,
        id=title,
        network=network,
        weights=(),
        parameters=known.parameters,
        points=known.points,
        steps=known.steps,
        image_size=known.image_size,
    )


# The published sizes, by what tables call them.
PUBLISHED = {
    card.id: card
    for card in (
        _published(PC2_MINI, "pc2", "published", "PC², ViT-S/16"),
        replace(BUILDIFF_MINI, id="BuilDiff", network="paper", weights=()),
        _published(DIT3D_MINI, "dit3d", "S/4", "DiT-3D S/4"),
        _published(POINTE_MINI, "pointe", "base40M", "Point-E base40M and upsampler"),
        _published(GECCO_MINI, "gecco", "taskonomy", "GECCO, Taskonomy"),
        _published(DPM_MINI, "dpm", "flow", "DPM, flow"),
    )
}


def untrained(card: ModelCard) -> dict[str, Tensor]:
    """Tensors as `models.registry.build` takes them for `card`, the same each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tensors = _network(card).state_dict()
        if card.network not in ("mini", "paper"):
            return tensors
        encoder = DraftNet(DraftConfig(image_size=IMAGE_SIZE)).state_dict()
    return encoder | {OWN_PREFIX + name: value for name, value in tensors.items()}


def _network(card: ModelCard) -> nn.Module:
    match card.family:
        case "layered_depth":
            return DraftNet(DraftConfig(image_size=card.image_size))
        case "point_diffusion":
            from models.diffusion.network import CONFIGS, BozzettoNet

            return BozzettoNet(CONFIGS[card.id])
        case "pc2":
            from models.diffusion.pc2 import Pc2Net, config_of

            return Pc2Net(config_of(card.network))
        case "ccd3dr":
            from models.diffusion.ccd3dr import Ccd3drNet
            from models.diffusion.pc2 import config_of

            return Ccd3drNet(config_of(card.network))
        case "buildiff":
            from models.diffusion.buildiff import NETWORKS as BUILDIFF
            from models.diffusion.buildiff import BuildiffNet

            return BuildiffNet(BUILDIFF[card.network])
        case "dit3d":
            from models.diffusion.dit3d import PicturedNet, parsed
            from models.diffusion.dit3d_network import Dit3dNet

            config = parsed(card.network)
            return PicturedNet(config) if config.pictures else Dit3dNet(config)
        case "pointe":
            from models.diffusion.pointe import NETWORKS as POINTE
            from models.diffusion.pointe import PointENet

            return PointENet(POINTE[card.network])
        case "colored_shape" | "gecco":
            return _of_views(card)
        case "dpm":
            from models.diffusion.dpm import network
            from models.diffusion.dpm_network import DpmNet

            return DpmNet(network(card.network))
        case _:
            assert_never(card.family)


def _of_views(card: ModelCard) -> nn.Module:
    from models.diffusion.gecco import NETWORKS, GeccoConfig, GeccoNet
    from models.diffusion.view_network import COLORED, ViewNet

    config = COLORED if card.family == "colored_shape" else NETWORKS[card.network]
    return GeccoNet(config) if isinstance(config, GeccoConfig) else ViewNet(config)
