"""From a card to a model on a device."""

from typing import assert_never, cast

import torch
from torch import Tensor

from models.catalog import ModelCard
from models.checkpoints import load_tensors
from models.contract import Reconstructor


def load(card: ModelCard, device: torch.device) -> Reconstructor:
    """The model with its published weights.

    Raises:
        WeightsError: a weight file is missing or is not the pinned one.
    """
    return build(card, load_tensors(card), device)


def build(card: ModelCard, tensors: dict[str, Tensor], device: torch.device) -> Reconstructor:
    """The model with the weights `tensors`. Each family is imported when it is first needed.

    Raises:
        WeightsError: the tensors do not fit the network.
    """
    match card.family:
        case "layered_depth":
            from models.feedforward.draft import load_draft

            # A model takes its own kinds of conditioning and state only, which it made itself.
            return cast(Reconstructor, load_draft(card, tensors, device))
        case "point_diffusion":
            from models.diffusion.bozzetto import load_bozzetto

            return cast(Reconstructor, load_bozzetto(card, tensors, device))
        case _:
            assert_never(card.family)
