"""What a route can ask for: the gateway's parts, the caller, and a job of the caller's own."""

import asyncio
import re
from dataclasses import dataclass, field
from typing import Annotated, cast

from fastapi import Depends, Request

from service.errors import NotFoundError
from service.gateway.limits import ANONYMOUS, ApiKeys, Backpressure, RateLimit, check_origin
from service.jobs import Job
from service.queue.contract import JobQueue
from service.settings import Settings
from service.store.contract import Store
from service.telemetry import GatewayMetrics

# Pictures that are decoded and stored at one time: each may take 100 MB while it lasts.
PICTURE_SLOTS = 2
# Bodies that are received at one time: each has a megabyte in memory, the rest in a file. Others
# wait unread, which their senders see as a slow connection.
UPLOAD_SLOTS = 128

_JOB_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(slots=True)
class Gateway:
    """One application's parts. `draining` is set when the process is about to stop."""

    settings: Settings
    queue: JobQueue
    store: Store
    api_keys: ApiKeys
    rate_limit: RateLimit
    metrics: GatewayMetrics = field(default_factory=GatewayMetrics)
    backpressure: Backpressure = field(default_factory=Backpressure)
    picture_slots: asyncio.Semaphore = field(
        default_factory=lambda: asyncio.Semaphore(PICTURE_SLOTS)
    )
    upload_slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(UPLOAD_SLOTS))
    draining: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class Caller:
    """`owner` is the name in the queue, `bucket` the one that rates are counted for."""

    owner: str
    bucket: str


async def get_gateway(request: Request) -> Gateway:
    return cast("Gateway", request.app.state.gateway)


GatewayParts = Annotated[Gateway, Depends(get_gateway)]


async def get_caller(request: Request, gateway: GatewayParts) -> Caller:
    """Raises UnauthorizedError, ForbiddenError."""
    if request.method not in {"GET", "HEAD"}:
        check_origin(request.headers, gateway.settings.gateway.cors_origins)
    owner = gateway.api_keys.owner(request.headers.get("authorization"))
    request.state.owner = owner
    if owner != ANONYMOUS:
        return Caller(owner, owner)
    return Caller(owner, request.client.host if request.client else ANONYMOUS)


KnownCaller = Annotated[Caller, Depends(get_caller)]


async def get_own_job(job_id: str, gateway: GatewayParts, caller: KnownCaller) -> Job:
    """The job, if it is the caller's own.

    Raises:
        NotFoundError: no such id, or another's job: the answer does not tell which.
        JobNotFoundError, JobGoneError, QueueUnreachableError.
    """
    if not _JOB_ID.fullmatch(job_id):
        raise NotFoundError(f"no job {job_id[:64]}")
    job = await gateway.queue.get(job_id)
    if job.request.owner != caller.owner:
        raise NotFoundError(f"no job {job_id}")
    return job


OwnJob = Annotated[Job, Depends(get_own_job)]
