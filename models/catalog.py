"""The table of models. Standard library only, so that the gateway lists models without torch."""

from models.card import (
    CANDIDATES,
    DEFAULT_OUTPUTS,
    GUIDANCE_SCALE,
    NUM_POINTS,
    OUTPUTS,
    PARAMETERS,
    SAMPLER,
    SAMPLERS,
    SEED,
    STEPS,
    Family,
    Licence,
    ModelCard,
    Parameter,
    ParameterValue,
    Task,
    WeightFile,
)
from models.cards.bozzetto import BOZZETTO_XS, DRAFT
from models.errors import UnknownModelError

__all__ = [
    "BOZZETTO_XS",
    "CANDIDATES",
    "CATALOG",
    "DEFAULT_MODEL",
    "DEFAULT_OUTPUTS",
    "DRAFT",
    "GUIDANCE_SCALE",
    "NUM_POINTS",
    "OUTPUTS",
    "PARAMETERS",
    "SAMPLER",
    "SAMPLERS",
    "SEED",
    "STEPS",
    "Family",
    "Licence",
    "ModelCard",
    "Parameter",
    "ParameterValue",
    "Task",
    "WeightFile",
    "get_card",
]

CATALOG: dict[str, ModelCard] = {card.id: card for card in (BOZZETTO_XS, DRAFT)}
DEFAULT_MODEL = BOZZETTO_XS.id


def get_card(model_id: str) -> ModelCard:
    """The card of `model_id`.

    Raises:
        UnknownModelError: not in the catalogue.
    """
    card = CATALOG.get(model_id)
    if card is None:
        raise UnknownModelError(model_id, tuple(CATALOG))
    return card
