"""For machines: alive, ready, metrics."""

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from service.gateway.dependencies import Gateway, GatewayParts
from service.gateway.describe import problems
from service.gateway.problems import problem_response
from service.queue.contract import QueueStats, QueueUnreachableError
from service.schemas import Health, ProblemItem

router = APIRouter(tags=["health"])

RETRY_S = 5


@router.get("/livez")
async def live() -> Health:
    """This process answers."""
    return Health(status="ok")


@router.get("/readyz", response_model=Health, responses=problems(503))
async def ready(request: Request, gateway: GatewayParts) -> Health | Response:
    """The queue answers, a worker serves a model that has room, and this process stays here."""
    reasons = _reasons(gateway, await _stats(gateway))
    if not reasons:
        return Health(status="ready")
    return problem_response(
        request,
        "unready",
        "; ".join(reason.detail for reason in reasons),
        errors=reasons,
        headers={"Retry-After": str(RETRY_S)},
    )


@router.get("/metrics", response_class=Response)
async def metrics(gateway: GatewayParts) -> Response:
    """Prometheus text; the queue's gauges are read now, and NaN while it does not answer."""
    text = gateway.metrics.render(await _stats(gateway))
    return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _stats(gateway: Gateway) -> QueueStats | None:
    try:
        return await gateway.queue.stats()
    except QueueUnreachableError:
        return None


def _reasons(gateway: Gateway, stats: QueueStats | None) -> list[ProblemItem]:
    reasons = []
    if gateway.draining.is_set():
        reasons.append(ProblemItem(code="draining", detail="this gateway is shutting down"))
    if stats is None:
        reasons.append(ProblemItem(code="queue_unreachable", detail="the queue does not answer"))
        return reasons
    if not stats.served:
        reasons.append(ProblemItem(code="no_worker", detail="no worker is ready"))
    elif all(stats.of(model).waiting >= stats.bound for model in stats.served):
        models = ", ".join(sorted(stats.served))
        reasons.append(
            ProblemItem(code="queue_full", detail=f"{stats.bound} jobs of each of {models} wait")
        )
    return reasons
