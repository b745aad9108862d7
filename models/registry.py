"""From a card to a model on a device."""

from typing import assert_never, cast

import torch
from torch import Tensor

from models.catalog import ModelCard
from models.checkpoints import load_tensors
from models.contract import Reconstructor
from models.errors import WeightsError

# What sizes that no network has make torch and the networks' own code raise.
UNBUILDABLE = (ArithmeticError, LookupError, MemoryError, RuntimeError, TypeError, ValueError)


def load(card: ModelCard, device: torch.device) -> Reconstructor:
    """The model with its published weights.

    Raises:
        WeightsError: a weight file is missing or is not the pinned one.
    """
    return build(card, load_tensors(card), device)


def build(card: ModelCard, tensors: dict[str, Tensor], device: torch.device) -> Reconstructor:
    """The model with the weights `tensors`. Each family is imported when it is first needed.

    Raises:
        WeightsError: the tensors do not fit the network, or what was converted here makes none.
    """
    try:
        return _build(card, tensors, device)
    except (torch.OutOfMemoryError, torch.AcceleratorError):
        raise  # the device's trouble, and not for good
    except UNBUILDABLE as error:
        if not card.folder:
            raise
        # Its network came out of a file.
        shown = card.network[:200]
        raise WeightsError(f"{card.id}: {shown!r} makes no network: {error}") from error


def _build(card: ModelCard, tensors: dict[str, Tensor], device: torch.device) -> Reconstructor:
    match card.family:
        case "layered_depth":
            from models.feedforward.draft import load_draft

            # A model takes its own kinds of conditioning and state only, which it made itself.
            return cast(Reconstructor, load_draft(card, tensors, device))
        case "point_diffusion":
            from models.diffusion.bozzetto import load_bozzetto

            return cast(Reconstructor, load_bozzetto(card, tensors, device))
        case "dpm":
            from models.diffusion.dpm import load_dpm

            return cast(Reconstructor, load_dpm(card, tensors, device))
        case "colored_shape":
            from models.diffusion.colored_shape import load_colored_shape

            return cast(Reconstructor, load_colored_shape(card, tensors, device))
        case "gecco":
            from models.diffusion.gecco import load_gecco

            return cast(Reconstructor, load_gecco(card, tensors, device))
        case "buildiff":
            from models.diffusion.buildiff import load_buildiff

            return cast(Reconstructor, load_buildiff(card, tensors, device))
        case "pointe":
            from models.diffusion.pointe import load_pointe

            return cast(Reconstructor, load_pointe(card, tensors, device))
        case "pc2":
            from models.diffusion.pc2 import load_pc2

            return cast(Reconstructor, load_pc2(card, tensors, device))
        case "ccd3dr":
            from models.diffusion.ccd3dr import load_ccd3dr

            return cast(Reconstructor, load_ccd3dr(card, tensors, device))
        case "dit3d":
            from models.diffusion.dit3d import load_dit3d

            return cast(Reconstructor, load_dit3d(card, tensors, device))
        case _:
            assert_never(card.family)
