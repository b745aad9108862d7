"""The table of models. Standard library only, so that the gateway lists models without torch."""

from models.card import (
    CAMERA,
    CANDIDATES,
    DEFAULT_OUTPUTS,
    GUIDANCE_SCALE,
    LABEL,
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
from models.cards.buildiff import BUILDIFF_MINI
from models.cards.colored_shape import COLORED_MINI
from models.cards.dit3d import DIT3D_MINI
from models.cards.dpm import DPM_MINI
from models.cards.gecco import GECCO_MINI
from models.cards.pc2 import CCD3DR_MINI, PC2_MINI
from models.cards.pointe import POINTE_MINI
from models.errors import UnknownModelError

__all__ = [
    "BOZZETTO_XS",
    "BUILDIFF_MINI",
    "CAMERA",
    "CANDIDATES",
    "CATALOG",
    "CCD3DR_MINI",
    "COLORED_MINI",
    "DEFAULT_MODEL",
    "DEFAULT_OUTPUTS",
    "DIT3D_MINI",
    "DPM_MINI",
    "DRAFT",
    "GECCO_MINI",
    "GUIDANCE_SCALE",
    "LABEL",
    "NUM_POINTS",
    "OUTPUTS",
    "PARAMETERS",
    "PC2_MINI",
    "POINTE_MINI",
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

_CARDS = (
    BOZZETTO_XS,
    DRAFT,
    PC2_MINI,
    CCD3DR_MINI,
    BUILDIFF_MINI,
    DIT3D_MINI,
    COLORED_MINI,
    POINTE_MINI,
    GECCO_MINI,
    DPM_MINI,
)
CATALOG: dict[str, ModelCard] = {card.id: card for card in _CARDS}
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
