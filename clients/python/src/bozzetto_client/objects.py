"""What the server sends, as frozen dataclasses. Fields of a newer server are ignored, and what an
older one does not send has a neutral default. Sizes are bytes, durations seconds, times UTC."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeVar

T = TypeVar("T")

FINAL_STATES: Final = frozenset({"succeeded", "failed", "canceled", "expired"})


@dataclass(frozen=True, slots=True)
class Quality:
    """How good a mesh is. `mean_distance` from the cloud's points to it, in bounding-sphere
    diameters of the cloud."""

    watertight: bool
    components: int
    mean_distance: float

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Quality:
        return cls(**_known(cls, raw))


@dataclass(frozen=True, slots=True)
class Artifact:
    """One result file. `format` is its media type."""

    name: str
    format: str
    url: str
    bytes: int
    sha256: str
    points: int | None = None
    vertices: int | None = None
    faces: int | None = None
    quality: Quality | None = None

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Artifact:
        return cls(**_known(cls, raw, quality=Quality.of))


@dataclass(frozen=True, slots=True)
class Preview:
    """The object as it was guessed after `step`; `url` always gives the newest one."""

    url: str
    format: str
    bytes: int
    step: int
    points: int

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Preview:
        return cls(**_known(cls, raw))


@dataclass(frozen=True, slots=True)
class Progress:
    """`step` and `steps` count network evaluations, in the stage that makes any."""

    percent: float = 0.0
    stage: str = ""
    step: int = 0
    steps: int = 0
    preview: Preview | None = None

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Progress:
        return cls(**_known(cls, raw, preview=Preview.of))


@dataclass(frozen=True, slots=True)
class QueuePlace:
    """Jobs ahead of it (0 is next), and a guess of the seconds until it ends."""

    position: int
    eta_seconds: float | None = None

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> QueuePlace:
        return cls(**_known(cls, raw))


@dataclass(frozen=True, slots=True)
class JobFailure:
    """Why a job failed. `retryable`: may another submit succeed?"""

    code: str
    detail: str
    retryable: bool = False
    hint: str | None = None

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> JobFailure:
        return cls(**_known(cls, raw))


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it was when asked. `status`: queued, running, succeeded, failed, canceled, expired.

    `queue` is None unless queued. `expires_at` is when its files are removed.
    """

    id: str
    status: str
    model: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    input: Mapping[str, Any] = field(default_factory=dict)
    progress: Progress = field(default_factory=Progress)
    queue: QueuePlace | None = None
    attempt: int = 0
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    expires_at: datetime | None = None
    artifacts: tuple[Artifact, ...] = ()
    error: JobFailure | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Job:
        return cls(
            **_known(
                cls,
                raw,
                progress=Progress.of,
                queue=QueuePlace.of,
                created_at=datetime.fromisoformat,
                started_at=datetime.fromisoformat,
                finished_at=datetime.fromisoformat,
                expires_at=datetime.fromisoformat,
                artifacts=lambda items: tuple(map(Artifact.of, items)),
                error=JobFailure.of,
            )
        )

    @property
    def final(self) -> bool:
        """It has ended, well or not."""
        return self.status in FINAL_STATES

    @property
    def succeeded(self) -> bool:
        return self.status == "succeeded"

    def artifact(self, name: str) -> Artifact | None:
        return next((item for item in self.artifacts if item.name == name), None)


@dataclass(frozen=True, slots=True)
class JobPage:
    """Newest first. Send `next_cursor` as `cursor` for the next page; None: this is the last."""

    jobs: tuple[Job, ...]
    next_cursor: str | None = None

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> JobPage:
        return cls(tuple(map(Job.of, raw["data"])), raw.get("next_cursor"))

    def __iter__(self) -> Iterator[Job]:
        return iter(self.jobs)

    def __len__(self) -> int:
        return len(self.jobs)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A field of a submit that the model knows, and its bounds."""

    name: str
    kind: str  # integer, number, string, camera
    default: int | float | str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    description: str = ""

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Parameter:
        return cls(**_known(cls, raw, choices=tuple))


@dataclass(frozen=True, slots=True)
class Licence:
    code: str = ""
    weights: str = ""
    outputs: str = ""
    accept: str | None = None

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Licence:
        return cls(**_known(cls, raw))


@dataclass(frozen=True, slots=True)
class Model:
    """A model's card. `ready`: a worker serves it now; `reason`: why none ever will, as things
    are. `measured_seconds`: by hardware."""

    id: str
    title: str = ""
    description: str = ""
    family: str = ""
    task: str = ""
    licence: Licence = field(default_factory=Licence)
    parameters: tuple[Parameter, ...] = ()
    points: int = 0
    resampled: bool = False
    steps: int = 0
    max_images: int = 1
    image_size: int = 0
    memory_bytes: int = 0
    measured_seconds: Mapping[str, float] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    default_outputs: tuple[str, ...] = ()
    default: bool = False
    ready: bool = False
    reason: str | None = None

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Model:
        return cls(
            **_known(
                cls,
                raw,
                licence=Licence.of,
                parameters=lambda items: tuple(map(Parameter.of, items)),
                outputs=tuple,
                default_outputs=tuple,
            )
        )

    def parameter(self, name: str) -> Parameter | None:
        return next((item for item in self.parameters if item.name == name), None)


def models_of(raw: Mapping[str, Any]) -> tuple[Model, ...]:
    return tuple(map(Model.of, raw["data"]))


def _known(
    cls: type[Any], raw: Mapping[str, Any], **converters: Callable[[Any], Any]
) -> dict[str, Any]:
    """The values of the dataclass's fields; null stays None and is not converted."""
    known = {item.name: raw[item.name] for item in dataclasses.fields(cls) if item.name in raw}
    return {
        name: converters[name](value) if name in converters and value is not None else value
        for name, value in known.items()
    }
