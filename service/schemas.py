"""The wire: what the HTTP API sends. Times are RFC 3339 in UTC, sizes bytes, durations seconds."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from models.card import ParameterKind
from models.catalog import DEFAULT_MODEL, ModelCard, ParameterValue
from service.jobs import ACTIVE, Artifact, Job, JobState, Progress
from service.queue.contract import QueuePlace


def rfc3339(unix_s: float | None) -> datetime | None:
    return None if unix_s is None else datetime.fromtimestamp(unix_s, UTC)


def _write_time(value: datetime) -> str:
    return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")


Time = Annotated[datetime, PlainSerializer(_write_time, return_type=str)]


class Schema(BaseModel):
    # `model` is a word of the contract, so pydantic's reserved prefix is given up.
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class InputObject(Schema):
    sha256: str
    width: int
    height: int


class PreviewObject(Schema):
    url: str = Field(description="Gives the newest preview there is, not only this one.")
    format: str = Field(description="Media type.")
    bytes: int
    step: int = Field(description="The step that it shows.")
    points: int


class ProgressObject(Schema):
    percent: float
    stage: str
    step: int = Field(description="Network evaluations so far, while it reconstructs.")
    steps: int
    preview: PreviewObject | None = Field(
        description="The object as guessed now: while the job runs, of models that have any."
    )

    @classmethod
    def of(cls, job_id: str, progress: Progress, *, running: bool = True) -> "ProgressObject":
        preview = progress.preview if running else None
        return cls(
            percent=progress.percent,
            stage=progress.stage,
            step=progress.step,
            steps=progress.steps,
            preview=None
            if preview is None
            else PreviewObject(
                url=preview_url(job_id),
                format=preview.format,
                bytes=preview.bytes,
                step=preview.step,
                points=preview.points,
            ),
        )


class QueueObject(Schema):
    position: int = Field(description="Jobs ahead of this one; 0 is next.")
    eta_seconds: float | None = Field(description="A guess of the seconds until it ends.")


class QualityObject(Schema):
    watertight: bool
    components: int
    mean_distance: float = Field(
        description="From the points to the surface, in diameters of the bounding sphere."
    )


class ArtifactObject(Schema):
    name: str
    format: str = Field(description="Media type.")
    url: str
    bytes: int
    sha256: str
    points: int | None
    vertices: int | None
    faces: int | None
    quality: QualityObject | None = Field(description="Of meshes.")


class JobErrorObject(Schema):
    code: str
    detail: str
    retryable: bool
    hint: str | None


class Links(Schema):
    self: str
    cancel: str
    events: str


class JobObject(Schema):
    """One shape in every state."""

    id: str
    object: Literal["job"] = "job"
    status: JobState
    model: str
    input: InputObject
    params: dict[str, Any] = Field(description="What was asked for, defaults and seed filled in.")
    progress: ProgressObject
    queue: QueueObject | None = Field(description="While queued; null in lists.")
    attempt: int
    created_at: Time
    started_at: Time | None
    finished_at: Time | None
    expires_at: Time | None
    artifacts: list[ArtifactObject]
    error: JobErrorObject | None
    metrics: dict[str, float]
    links: Links

    @classmethod
    def of(cls, job: Job, place: QueuePlace | None = None) -> "JobObject":
        request = job.request
        url = job_url(job.id)
        error = job.error
        return cls(
            id=job.id,
            status=job.state,
            model=request.model,
            input=InputObject(
                sha256=request.input.sha256,
                width=request.input.width,
                height=request.input.height,
            ),
            params=_params(job),
            progress=ProgressObject.of(job.id, job.progress, running=job.state is JobState.RUNNING),
            queue=None
            if place is None
            else QueueObject(position=place.position, eta_seconds=place.eta_seconds),
            attempt=job.attempt,
            created_at=datetime.fromtimestamp(job.created_at, UTC),
            started_at=rfc3339(job.started_at),
            finished_at=rfc3339(job.finished_at),
            expires_at=rfc3339(job.expires_at),
            artifacts=[_artifact(job.id, artifact) for artifact in job.artifacts],
            error=None
            if error is None
            else JobErrorObject(
                code=error.code, detail=error.detail, retryable=error.retryable, hint=error.hint
            ),
            metrics=job.metrics,
            links=Links(self=url, cancel=f"{url}/cancel", events=f"{url}/events"),
        )


class JobList(Schema):
    object: Literal["list"] = "list"
    data: list[JobObject] = Field(description="Newest first.")
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page.")


class LicenceObject(Schema):
    code: str
    weights: str
    outputs: str
    accept: str | None = Field(
        description="Name of a licence that the operator must accept before it is served."
    )


class ParameterObject(Schema):
    name: str
    kind: ParameterKind = Field(
        description="`camera` is a string: `auto`, or a JSON object that describes one."
    )
    default: ParameterValue
    minimum: float | None
    maximum: float | None
    choices: list[str]
    description: str


class WeightObject(Schema):
    name: str
    sha256: str
    bytes: int


class ModelObject(Schema):
    id: str
    object: Literal["model"] = "model"
    family: str
    task: str
    title: str
    description: str
    licence: LicenceObject
    parameters: list[ParameterObject]
    points: int = Field(description="What the network gives before resampling.")
    resampled: bool = Field(
        description="True when num_points, or some of them, are reached by resampling."
    )
    steps: int = Field(description="Network evaluations of a default job.")
    max_images: int
    image_size: int = Field(description="Side of the square crop that the network sees, pixels.")
    memory_bytes: int
    measured_seconds: dict[str, float] = Field(description="Hardware to seconds per job.")
    outputs: list[str]
    default_outputs: list[str]
    weights: list[WeightObject]
    sources: list[str]
    default: bool = Field(description="It is the model of a submit that names none.")
    ready: bool = Field(description="A live worker serves it now.")
    reason: str | None = Field(description="Why it is not ready, where no wait will change that.")

    @classmethod
    def of(cls, card: ModelCard, *, ready: bool, reason: str | None = None) -> "ModelObject":
        return cls(
            id=card.id,
            family=card.family,
            task=card.task,
            title=card.title,
            description=card.description,
            licence=LicenceObject(
                code=card.licence.code,
                weights=card.licence.weights,
                outputs=card.licence.outputs,
                accept=card.accept or None,
            ),
            parameters=[
                ParameterObject(
                    name=item.name,
                    kind=item.kind,
                    default=item.default,
                    minimum=item.minimum,
                    maximum=item.maximum,
                    choices=list(item.choices),
                    description=item.description,
                )
                for item in card.parameters
            ],
            points=card.points,
            resampled=card.resampled,
            steps=card.steps,
            max_images=card.max_images,
            image_size=card.image_size,
            memory_bytes=card.memory_bytes,
            measured_seconds=card.measured_seconds,
            outputs=list(card.outputs),
            default_outputs=list(card.default_outputs),
            weights=[
                WeightObject(name=file.name, sha256=file.sha256, bytes=file.bytes)
                for file in card.weights
            ],
            sources=list(card.sources),
            default=card.id == DEFAULT_MODEL,
            ready=ready and reason is None,
            reason=reason,
        )


class ModelList(Schema):
    object: Literal["list"] = "list"
    data: list[ModelObject]


class ProblemItem(Schema):
    """One of several things that are wrong."""

    code: str
    detail: str
    field: str | None = None


class Problem(Schema):
    """RFC 9457, with a stable code. Sent as application/problem+json."""

    type: str
    title: str
    status: int
    detail: str
    instance: str = Field(description="The path that was asked for.")
    code: str
    retryable: bool = Field(description="May the same request work later?")
    hint: str | None
    request_id: str
    field: str | None = Field(None, description="The form field, query name or header at fault.")
    errors: list[ProblemItem] = Field(default_factory=list)


class Health(Schema):
    status: Literal["ok", "ready"]


def job_url(job_id: str) -> str:
    return f"/jobs/{job_id}"


def preview_url(job_id: str) -> str:
    return f"{job_url(job_id)}/preview.ply"


def _params(job: Job) -> dict[str, Any]:
    request = job.request
    return {
        **request.params,
        "outputs": list(request.outputs),
        "remove_background": request.remove_background,
        "target_faces": request.target_faces,
        "texture_size": request.texture_size,
        "compression": request.compression,
        "priority": request.priority,
        "deadline_s": request.deadline_s,
        "metadata": request.metadata,
    }


def _artifact(job_id: str, artifact: Artifact) -> ArtifactObject:
    quality = artifact.quality
    return ArtifactObject(
        name=artifact.name,
        format=artifact.format,
        url=f"{job_url(job_id)}/artifacts/{artifact.name}",
        bytes=artifact.bytes,
        sha256=artifact.sha256,
        points=artifact.points,
        vertices=artifact.vertices,
        faces=artifact.faces,
        quality=None
        if quality is None
        else QualityObject(
            watertight=quality.watertight,
            components=quality.components,
            mean_distance=quality.mean_distance,
        ),
    )


def poll_after_s(job: Job, place: QueuePlace | None) -> int:
    """When it is worth asking again: half of what is expected, between 1 and 30 s."""
    if job.state not in ACTIVE or place is None or place.eta_seconds is None:
        return 1
    return min(max(round(place.eta_seconds / 2), 1), 30)
