"""Jobs: submit, look, list, cancel, delete."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response

from models.catalog import DEFAULT_MODEL
from models.errors import ModelError
from service.errors import ServiceError, UnavailableError
from service.gateway.dependencies import Caller, Gateway, GatewayParts, KnownCaller, OwnJob
from service.gateway.describe import RECONSTRUCT_BODY, problems
from service.gateway.fields import Wish, read_fields
from service.gateway.following import wait_until_final
from service.gateway.headers import idempotency_key, wait_seconds
from service.gateway.problems import as_service_error
from service.gateway.submit import discard, submit
from service.gateway.uploads import UploadLimits, receive_upload
from service.jobs import JobState
from service.queue.contract import Submitted
from service.schemas import JobList, JobObject, job_url, poll_after_s

DRAIN_RETRY_S = 5

router = APIRouter(tags=["jobs"])


@router.post(
    "/reconstruct",
    status_code=202,
    response_model=JobObject,
    responses={
        200: {"model": JobObject, "description": "Prefer: wait=N, and the job has ended"},
        **problems(400, 401, 403, 413, 415, 422, 429, 503, 507),
    },
    openapi_extra=RECONSTRUCT_BODY,
)
async def reconstruct(
    request: Request,
    gateway: GatewayParts,
    caller: KnownCaller,
    prefer: Annotated[
        str | None, Header(description="`wait=N`: answer when the job has ended, N <= 60 s.")
    ] = None,
    idempotency: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description="The same key and request again give the first job back.",
        ),
    ] = None,
) -> Response:
    """Submit a picture; the answer is the job.

    Send multipart/form-data with `image` and the fields, or a raw image/png, image/jpeg or
    image/webp body with the same fields in the query.
    """
    key = idempotency_key(idempotency)
    submitted = await _submit(request, gateway, caller, key)
    job, waited = submitted.job, wait_seconds(prefer)
    request.state.job_id, request.state.model = job.id, job.request.model
    if waited and not job.final:
        await wait_until_final(gateway, request, job.id, waited)
        job = await gateway.queue.get(job.id)
    place = await gateway.queue.place(job.id) if job.state is JobState.QUEUED else None
    headers = {"Location": job_url(job.id), "Retry-After": str(poll_after_s(job, place))}
    if waited is not None:
        headers["Preference-Applied"] = f"wait={waited}"
    if not submitted.created:
        headers["Idempotent-Replayed"] = "true"
    finished = waited is not None and job.final
    if finished:
        del headers["Retry-After"]
    return _json(JobObject.of(job, place), 200 if finished else 202, headers)


@router.get("/jobs", response_model=JobList, responses=problems(401, 422, 503))
async def list_jobs(
    gateway: GatewayParts,
    caller: KnownCaller,
    state: Annotated[JobState | None, Query(description="Only jobs in this state.")] = None,
    cursor: Annotated[
        str | None, Query(max_length=200, description="`next_cursor` of the page before.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Response:
    """The caller's own jobs, newest first."""
    page = await gateway.queue.list_jobs(caller.owner, state=state, cursor=cursor, limit=limit)
    listed = JobList(data=[JobObject.of(job) for job in page.jobs], next_cursor=page.next_cursor)
    return _json(listed, 200, {})


@router.get("/jobs/{job_id}", response_model=JobObject, responses=problems(401, 404, 410, 503))
async def get_job(job: OwnJob, gateway: GatewayParts) -> Response:
    """One job, in the same shape in every state."""
    place = await gateway.queue.place(job.id) if job.state is JobState.QUEUED else None
    headers = {} if job.final else {"Retry-After": str(poll_after_s(job, place))}
    return _json(JobObject.of(job, place), 200, headers)


@router.post(
    "/jobs/{job_id}/cancel",
    status_code=202,
    response_model=JobObject,
    responses=problems(401, 403, 404, 409, 410, 503),
)
async def cancel_job(job: OwnJob, gateway: GatewayParts) -> Response:
    """Ask a job to stop: a queued one is canceled at once, a running one between two steps."""
    return _json(JobObject.of(await gateway.queue.cancel(job.id)), 202, {})


@router.delete("/jobs/{job_id}", status_code=204, responses=problems(401, 403, 404, 409, 410, 503))
async def delete_job(job: OwnJob, gateway: GatewayParts) -> Response:
    """Forget a job that has ended, and remove its pictures and results."""
    await gateway.queue.delete(job.id)
    await discard(gateway.store, job.id)
    return Response(status_code=204)


async def _submit(request: Request, gateway: Gateway, caller: Caller, key: str | None) -> Submitted:
    """Refuse what can be refused before the body is read; count how it ended."""
    model = "unknown"
    try:
        if gateway.draining.is_set():
            raise UnavailableError(
                "this gateway is shutting down", code="draining", retry_after_s=DRAIN_RETRY_S
            )
        gateway.rate_limit.take(caller.bucket)
        gateway.backpressure.check(_stated_model(request))
        limits = gateway.settings.uploads
        allowed = UploadLimits(limits.max_bytes, limits.max_images)
        async with gateway.upload_slots, receive_upload(request, allowed) as upload:
            wish = _read_fields(upload.fields)
            model = wish.card.id
            gateway.backpressure.check(model)
            submitted = await submit(gateway, wish, upload, caller.owner, key)
    except ServiceError as error:
        gateway.backpressure.note(error, model)
        gateway.metrics.submits.labels(model, error.code).inc()
        raise
    gateway.metrics.submits.labels(model, "accepted" if submitted.created else "replayed").inc()
    return submitted


def _stated_model(request: Request) -> str | None:
    """The model as far as it is known before the body is read: a form names it inside."""
    named = request.query_params.get("model")
    form = request.headers.get("content-type", "").lower().startswith("multipart/")
    return named or (None if form else DEFAULT_MODEL)


def _read_fields(fields: dict[str, str]) -> Wish:
    try:
        return read_fields(fields)
    except ModelError as error:
        raise as_service_error(error) from error


def _json(body: JobObject | JobList, status: int, headers: dict[str, str]) -> Response:
    return Response(
        body.model_dump_json(),
        status_code=status,
        media_type="application/json",
        headers={"Cache-Control": "no-store", **headers},
    )
