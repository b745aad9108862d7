"""Job to and from the fields of its hash, all text. Fields of a newer version are ignored."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from service.jobs import (
    Artifact,
    Job,
    JobError,
    JobState,
    Progress,
    artifact_from_json,
    progress_from_json,
    request_from_json,
)


def pair_up(flat: Sequence[str]) -> dict[str, str]:
    """A hash as a script returns it, field and value in turn, to a dict."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def decode_job(hashed: Mapping[str, str]) -> Job:
    return Job(
        id=hashed["id"],
        request=request_from_json(hashed["request"]),
        state=JobState(hashed["state"]),
        created_at=float(hashed["created_at"]),
        attempt=int(hashed["attempt"]),
        progress=progress_from_json(json.loads(hashed.get("progress", "{}"))),
        started_at=_seconds(hashed.get("started_at")),
        finished_at=_seconds(hashed.get("finished_at")),
        expires_at=_seconds(hashed.get("expires_at")),
        artifacts=tuple(map(artifact_from_json, json.loads(hashed.get("artifacts", "[]")))),
        error=_error(json.loads(hashed["error"])) if "error" in hashed else None,
        metrics=json.loads(hashed.get("metrics", "{}")),
        cancel_requested=hashed.get("cancel") == "1",
    )


def to_json(value: Progress | JobError | Sequence[Artifact] | Mapping[str, float]) -> str:
    """Non-finite numbers raise ValueError: no reader of the hash could take them."""
    if isinstance(value, Progress | JobError):
        plain: Any = asdict(value)
    elif isinstance(value, Mapping):
        plain = dict(value)
    else:
        plain = [asdict(item) for item in value]
    return json.dumps(plain, separators=(",", ":"), allow_nan=False)


def _error(raw: dict[str, Any]) -> JobError:
    return JobError(**{name: raw[name] for name in JobError.__slots__ if name in raw})


def _seconds(text: str | None) -> float | None:
    return None if text is None else float(text)
