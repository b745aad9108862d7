"""The catalogue, and which models a live worker serves."""

from fastapi import APIRouter

from models.catalog import CATALOG, ModelCard
from service.errors import NotFoundError
from service.gateway.dependencies import Gateway, GatewayParts
from service.gateway.describe import problems
from service.queue.contract import QueueUnreachableError
from service.schemas import ModelList, ModelObject

router = APIRouter(prefix="/models", tags=["models"])


@router.get("")
async def list_models(gateway: GatewayParts) -> ModelList:
    """All models of this version, served or not."""
    served = await _served(gateway)
    return ModelList(data=[_object(gateway, card, served) for card in CATALOG.values()])


@router.get("/{model_id}", responses=problems(404))
async def get_model(model_id: str, gateway: GatewayParts) -> ModelObject:
    """One model's card: licences, parameters with bounds, size, measured seconds."""
    card = CATALOG.get(model_id)
    if card is None:
        raise NotFoundError(
            f"no model {model_id[:64]}; known are {', '.join(CATALOG)}",
            hint="GET /models lists the models.",
        )
    return _object(gateway, card, await _served(gateway))


def _object(gateway: Gateway, card: ModelCard, served: frozenset[str]) -> ModelObject:
    reason = card.refusal(gateway.settings.models.accepted_licences)
    return ModelObject.of(card, ready=card.id in served, reason=reason)


async def _served(gateway: Gateway) -> frozenset[str]:
    """Without a queue no model is ready, but the catalogue still is."""
    try:
        return (await gateway.queue.stats()).served
    except QueueUnreachableError:
        return frozenset()
