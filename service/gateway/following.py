"""Following a job's events until something ends it: the job, the client, or this process."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.types import Receive

from service.gateway.dependencies import Gateway
from service.queue.contract import JobEvent, JobQueue


@contextlib.asynccontextmanager
async def open_events(
    queue: JobQueue, job_id: str, after: str | None = None
) -> AsyncIterator[AsyncIterator[JobEvent]]:
    """The queue's events; closed with the block, so that no subscription outlives its reader."""
    events = queue.events(job_id, after)
    try:
        yield events
    finally:
        if isinstance(events, AsyncGenerator):
            await events.aclose()


async def until_draining(
    gateway: Gateway, events: AsyncIterator[JobEvent]
) -> AsyncIterator[JobEvent]:
    """`events`, cut short when the process is about to stop: clients come back with the last id.

    Raises:
        JobNotFoundError, JobGoneError, QueueUnreachableError.
    """
    draining = asyncio.create_task(gateway.draining.wait())
    following: asyncio.Task[JobEvent | None] | None = None
    try:
        while not gateway.draining.is_set():
            following = asyncio.create_task(_next(events))
            await asyncio.wait({draining, following}, return_when=asyncio.FIRST_COMPLETED)
            event = await following if following.done() else None
            if event is None:
                return
            yield event
    finally:
        await _end(draining, following)


async def wait_until_final(gateway: Gateway, request: Request, job_id: str, seconds: float) -> None:
    """Return when the job is final, the time is over, the client has left, or we are draining.

    What goes wrong in the queue meanwhile also ends the wait; the next look at the job tells.
    """
    waits = [
        asyncio.create_task(_follow_to_end(gateway.queue, job_id)),
        asyncio.create_task(_until_disconnect(request.receive)),
        asyncio.create_task(gateway.draining.wait()),
    ]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await _end(*waits)


async def _next(events: AsyncIterator[JobEvent]) -> JobEvent | None:
    return await anext(events, None)


async def _follow_to_end(queue: JobQueue, job_id: str) -> None:
    async with open_events(queue, job_id) as events:
        async for event in events:
            if event.kind == "done":
                return


async def _until_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _end(*tasks: asyncio.Task[Any] | None) -> None:
    ended = [task for task in tasks if task is not None]
    for task in ended:
        task.cancel()
    await asyncio.gather(*ended, return_exceptions=True)
