"""Result files: validated by content hash, in ranges where asked."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header
from starlette.responses import Response, StreamingResponse

from service.errors import ConflictError, GoneError, NotFoundError
from service.gateway.dependencies import GatewayParts, OwnJob
from service.gateway.describe import problems
from service.gateway.headers import ByteRange, byte_range, etag_matches
from service.jobs import ACTIVE, Artifact, Job
from service.store.contract import ObjectMissingError, Store

PIECE_BYTES = 1_048_576
ALWAYS_MADE = frozenset({"mask.png"})

router = APIRouter(tags=["jobs"])

_FILE = {"content": {"application/octet-stream": {"schema": {"type": "string"}}}}


@router.head("/jobs/{job_id}/artifacts/{name}", include_in_schema=False)
@router.get(
    "/jobs/{job_id}/artifacts/{name}",
    response_class=Response,
    responses={
        200: {"description": "the whole file", **_FILE},
        206: {"description": "the range that was asked for", **_FILE},
        304: {"description": "If-None-Match names this very file"},
        **problems(401, 404, 409, 410, 416, 503, 507),
    },
)
async def get_artifact(
    job: OwnJob,
    name: str,
    gateway: GatewayParts,
    if_none_match: Annotated[str | None, Header()] = None,
    if_range: Annotated[str | None, Header()] = None,
    range_header: Annotated[str | None, Header(alias="Range")] = None,
) -> Response:
    """One file of a job that has succeeded. Its ETag is its sha256."""
    artifact = _find(job, name)
    etag = f'"{artifact.sha256}"'
    headers = {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, max-age=3600",
        "Content-Disposition": f'attachment; filename="{artifact.name}"',
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "X-Content-Type-Options": "nosniff",
    }
    if etag_matches(if_none_match, etag):
        return Response(status_code=304, headers=headers)
    wanted = None
    if if_range is None or if_range.strip() == etag:
        wanted = byte_range(range_header, artifact.bytes)
    part = wanted or ByteRange(0, artifact.bytes)
    headers["Content-Length"] = str(part.length)
    if wanted is not None:
        last = part.start + part.length - 1
        headers["Content-Range"] = f"bytes {part.start}-{last}/{artifact.bytes}"
    first = await _first_piece(gateway.store, artifact, part)
    return StreamingResponse(
        _pieces(gateway.store, artifact.key, part, first),
        status_code=200 if wanted is None else 206,
        media_type=artifact.format,
        headers=headers,
    )


def _find(job: Job, name: str) -> Artifact:
    for artifact in job.artifacts:
        if artifact.name == name:
            return artifact
    if job.state in ACTIVE and (name in job.request.outputs or name in ALWAYS_MADE):
        raise ConflictError(f"the job is still {job.state}", code="not_ready", retry_after_s=1)
    raise NotFoundError(
        f"the job has no artifact {name[:64]}", hint="The job's `artifacts` lists its files."
    )


async def _first_piece(store: Store, artifact: Artifact, part: ByteRange) -> bytes:
    """Read before the answer begins, so that a missing file still can be told."""
    length = min(part.length, PIECE_BYTES)
    try:
        return await asyncio.to_thread(store.read_range, artifact.key, part.start, length)
    except ObjectMissingError:
        raise GoneError("the file is no longer kept") from None


async def _pieces(store: Store, key: str, part: ByteRange, piece: bytes) -> AsyncIterator[bytes]:
    sent = 0
    while piece:
        yield piece
        sent += len(piece)
        if sent >= part.length:
            return
        length = min(part.length - sent, PIECE_BYTES)
        piece = await asyncio.to_thread(store.read_range, key, part.start + sent, length)
