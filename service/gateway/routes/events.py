"""A job's history and what happens next, as server-sent events."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent

from service.gateway.clouds import CloudSource
from service.gateway.dependencies import Gateway, GatewayParts, OwnJob
from service.gateway.describe import problems
from service.gateway.following import open_events, until_draining
from service.jobs import Job, progress_from_json
from service.queue.contract import (
    JobEvent,
    JobGoneError,
    JobNotFoundError,
    QueueUnreachableError,
)
from service.schemas import ProgressObject

router = APIRouter(tags=["jobs"])

RECONNECT_MS = 1_000


@router.get(
    "/jobs/{job_id}/events",
    response_class=EventSourceResponse,
    responses=problems(401, 404, 410, 503),
)
async def follow_job(
    job: OwnJob,
    gateway: GatewayParts,
    last_event_id: Annotated[
        str | None, Header(max_length=64, description="Only what came after this id.")
    ] = None,
    clouds: Annotated[
        bool, Query(description="Also send `cloud` events: the previews, 30 kB each at most.")
    ] = False,
) -> AsyncIterator[ServerSentEvent]:
    """`state` and `progress` events, with ids; `done` is the last one.

    `cloud` events have no id and are not repeated to those who come back: the next one is better.
    """
    source = CloudSource(gateway.store) if clouds and not job.final else None
    yield ServerSentEvent(retry=RECONNECT_MS)
    try:
        with gateway.metrics.event_streams.track_inprogress():
            async with open_events(gateway.queue, job.id, last_event_id) as events:
                async for event in until_draining(gateway, events):
                    yield ServerSentEvent(id=event.id, event=event.kind, data=_shown(job, event))
                    if source and event.kind == "progress" and event.data.get("preview"):
                        cloud = await _newest(gateway, source, job.id)
                        if cloud is not None:
                            yield ServerSentEvent(event="cloud", data=cloud)
    except (JobNotFoundError, JobGoneError, QueueUnreachableError):
        # The answer has begun, so no error can be told; the client comes back and gets it then.
        return


def _shown(job: Job, event: JobEvent) -> dict[str, Any]:
    """An event's data as the job object shows them; the replay of a final job has no previews."""
    if event.kind != "progress":
        return event.data
    progress = progress_from_json(event.data)
    return ProgressObject.of(job.id, progress, running=not job.final).model_dump()


async def _newest(gateway: Gateway, source: CloudSource, job_id: str) -> dict[str, Any] | None:
    """An old event may be told when much newer previews are there: the job knows."""
    job = await gateway.queue.get(job_id)
    return await asyncio.to_thread(source.newest, job)
