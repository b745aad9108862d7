"""A job and its life: states, legal transitions, and the JSON it is stored as. No I/O."""

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any, Literal

SCHEMA_VERSION = 1

# Bounds of what every job can ask for, inclusive.
TARGET_FACES = (100, 200_000)
TEXTURE_SIZE = (256, 4_096)  # pixels

Priority = Literal["low", "normal", "high"]
RemoveBackground = Literal["auto", "always", "never"]
Compression = Literal["none", "quantized", "meshopt"]
ParameterValue = int | float | str


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"


ACTIVE = frozenset({JobState.QUEUED, JobState.RUNNING})
TERMINAL = frozenset(JobState) - ACTIVE


@dataclass(frozen=True, slots=True)
class InputInfo:
    """The picture as it came: sha256 of its bytes, size in pixels after the EXIF turn."""

    sha256: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class JobRequest:
    """What the caller asked for, with every default filled in. Never changes after submit."""

    model: str
    params: dict[str, ParameterValue]
    outputs: tuple[str, ...]
    input: InputInfo
    images: tuple[str, ...]  # store keys, in the caller's order
    mask: str | None = None  # store key
    remove_background: RemoveBackground = "auto"
    target_faces: int | None = None
    texture_size: int | None = None  # pixels; None keeps colours per vertex
    compression: Compression = "none"
    priority: Priority = "normal"
    deadline_s: float | None = None  # counted from created_at
    callback_url: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    owner: str = "anonymous"


@dataclass(frozen=True, slots=True)
class Preview:
    """The object as it was guessed after `step`: a small cloud, there only while the job runs.

    `key` is its place in the store, never shown to clients; a newer preview overwrites it.
    """

    key: str
    format: str  # media type
    bytes: int
    step: int
    points: int


@dataclass(frozen=True, slots=True)
class Progress:
    """`step` and `steps` count network evaluations, in the stage that makes any."""

    percent: float = 0.0
    stage: str = "queued"
    step: int = 0
    steps: int = 0
    preview: Preview | None = None


@dataclass(frozen=True, slots=True)
class Quality:
    """What a mesh is like. `mean_distance` is from the cloud to it, in diameters of the cloud."""

    watertight: bool
    components: int
    mean_distance: float


@dataclass(frozen=True, slots=True)
class Artifact:
    """One result file. `key` is its place in the store, never shown to clients."""

    name: str
    key: str
    format: str  # media type
    bytes: int
    sha256: str
    points: int | None = None
    vertices: int | None = None
    faces: int | None = None
    quality: Quality | None = None  # of meshes


@dataclass(frozen=True, slots=True)
class JobError:
    """Why a job failed: the same slugs as the HTTP errors, plus no_foreground, out_of_memory,
    worker_lost, deadline_exceeded, model_load_failed, internal."""

    code: str
    detail: str
    retryable: bool
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """The whole record. Times are Unix seconds of the queue server's clock."""

    id: str
    request: JobRequest
    state: JobState
    created_at: float
    attempt: int = 0
    progress: Progress = field(default_factory=Progress)
    started_at: float | None = None
    finished_at: float | None = None
    expires_at: float | None = None
    artifacts: tuple[Artifact, ...] = ()
    error: JobError | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    cancel_requested: bool = False

    @property
    def final(self) -> bool:
        return self.state in TERMINAL

    @property
    def deadline_at(self) -> float | None:
        limit = self.request.deadline_s
        return None if limit is None else self.created_at + limit


def new_job_id() -> str:
    """Time-ordered and unguessable: 48 bits of milliseconds, 80 random bits, as 32 hex digits."""
    return f"{int(time.time() * 1000):012x}{secrets.token_hex(10)}"


def progress_from_json(raw: Mapping[str, Any]) -> Progress:
    """From parsed JSON; fields of a newer version are ignored."""
    known = {name: raw[name] for name in Progress.__slots__ if name in raw}
    if (shown := known.get("preview")) is not None:
        known["preview"] = Preview(**{name: shown[name] for name in Preview.__slots__})
    return Progress(**known)


def artifact_from_json(raw: Mapping[str, Any]) -> Artifact:
    """From parsed JSON; fields of a newer version are ignored."""
    known = {name: raw[name] for name in Artifact.__slots__ if name in raw}
    if (quality := known.get("quality")) is not None:
        known["quality"] = Quality(**{name: quality[name] for name in Quality.__slots__})
    return Artifact(**known)


def request_to_json(request: JobRequest) -> str:
    return json.dumps({"v": SCHEMA_VERSION, **asdict(request)}, separators=(",", ":"))


def request_from_json(text: str) -> JobRequest:
    """Fields of a newer version are ignored, so that a rolling upgrade can mix versions."""
    raw = json.loads(text)
    known = {name: raw[name] for name in JobRequest.__slots__ if name in raw}
    known["input"] = InputInfo(**{name: known["input"][name] for name in InputInfo.__slots__})
    known["outputs"] = tuple(known["outputs"])
    known["images"] = tuple(known["images"])
    return JobRequest(**known)


__all__ = [
    "ACTIVE",
    "TARGET_FACES",
    "TERMINAL",
    "TEXTURE_SIZE",
    "Artifact",
    "Compression",
    "InputInfo",
    "Job",
    "JobError",
    "JobRequest",
    "JobState",
    "Preview",
    "Priority",
    "Progress",
    "Quality",
    "RemoveBackground",
    "artifact_from_json",
    "new_job_id",
    "progress_from_json",
    "replace",
    "request_from_json",
    "request_to_json",
]
