"""The object as it is guessed while its job runs: one address, newer content each time."""

import asyncio
import hashlib
from typing import Annotated

from fastapi import APIRouter, Header
from starlette.responses import Response

from service.errors import ConflictError, GoneError
from service.gateway.dependencies import GatewayParts, OwnJob
from service.gateway.describe import problems
from service.gateway.headers import etag_matches
from service.jobs import Job, JobState, Preview
from service.store.contract import ObjectMissingError

RETRY_S = 1

router = APIRouter(tags=["jobs"])

_PLY = {"content": {"model/ply": {"schema": {"type": "string", "format": "binary"}}}}


@router.get(
    "/jobs/{job_id}/preview.ply",
    response_class=Response,
    responses={
        200: {"description": "the newest preview", **_PLY},
        304: {"description": "If-None-Match names the newest one"},
        **problems(401, 404, 409, 410, 503, 507),
    },
)
async def get_preview(
    job: OwnJob, gateway: GatewayParts, if_none_match: Annotated[str | None, Header()] = None
) -> Response:
    """The object as it is guessed now: a small cloud with colours, as binary PLY.

    Only while the job runs; its `progress.preview` says when there is one. The ETag is the
    content's sha256 and changes with each preview.
    """
    preview = _find(job)
    data = await _read(gateway, preview)
    etag = f'"{hashlib.sha256(data).hexdigest()}"'
    headers = {"ETag": etag, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    if etag_matches(if_none_match, etag):
        return Response(status_code=304, headers=headers)
    return Response(data, media_type=preview.format, headers=headers)


def _find(job: Job) -> Preview:
    if job.final:
        raise GoneError(f"the job is {job.state}", code="preview_gone")
    if job.state is JobState.RUNNING and job.progress.preview is not None:
        return job.progress.preview
    raise _not_yet(f"the job is {job.state}, and has no preview yet")


async def _read(gateway: GatewayParts, preview: Preview) -> bytes:
    try:
        return await asyncio.to_thread(gateway.store.get, preview.key)
    except ObjectMissingError:
        raise _not_yet("the job is about to end, or to be tried again") from None


def _not_yet(detail: str) -> ConflictError:
    return ConflictError(
        detail,
        code="not_ready",
        hint="links.events tells when there is one; not every model has any.",
        retry_after_s=RETRY_S,
    )
