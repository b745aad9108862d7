"""What the server sends, as the client's dataclasses."""

import dataclasses
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel

from bozzetto_client import objects
from service import schemas

JOB: dict[str, Any] = {
    "id": "a1",
    "object": "job",
    "status": "succeeded",
    "model": "draft",
    "params": {"seed": 3},
    "progress": {"percent": 100.0, "stage": "done", "step": 1, "steps": 1, "preview": None},
    "queue": None,
    "created_at": "2026-11-26T16:25:00.250Z",
    "artifacts": [
        {
            "name": "mesh.glb",
            "format": "model/gltf-binary",
            "url": "/jobs/a1/artifacts/mesh.glb",
            "bytes": 4,
            "sha256": "00",
            "faces": 2,
            "quality": {"watertight": True, "components": 1, "mean_distance": 0.002},
        }
    ],
    "error": None,
}
SAME = [
    (objects.Job, schemas.JobObject),
    (objects.Artifact, schemas.ArtifactObject),
    (objects.Quality, schemas.QualityObject),
    (objects.Progress, schemas.ProgressObject),
    (objects.Preview, schemas.PreviewObject),
    (objects.QueuePlace, schemas.QueueObject),
    (objects.JobFailure, schemas.JobErrorObject),
    (objects.Model, schemas.ModelObject),
    (objects.Parameter, schemas.ParameterObject),
    (objects.Licence, schemas.LicenceObject),
]
# Said by the class, or of use to programs that build addresses themselves.
LEFT_OUT = {"object", "links", "weights", "sources"}


@pytest.mark.parametrize(("ours", "theirs"), SAME)
def test_every_field_of_the_server_is_there(ours: type[Any], theirs: type[BaseModel]) -> None:
    names = {item.name for item in dataclasses.fields(ours)}
    assert names == set(theirs.model_fields) - (LEFT_OUT - names)


def test_a_job_with_all_its_parts() -> None:
    job = objects.Job.of(JOB)

    assert (job.final, job.succeeded, job.queue, job.error) == (True, True, None, None)
    assert job.created_at == datetime(2026, 11, 26, 16, 25, 0, 250_000, UTC)
    assert job.progress == objects.Progress(100.0, "done", 1, 1)
    mesh = job.artifact("mesh.glb")
    assert mesh is not None
    assert mesh.quality == objects.Quality(True, 1, 0.002)
    assert job.artifact("points.ply") is None


def newer(value: Any) -> Any:
    """The same with a new field in every object."""
    if isinstance(value, dict):
        return {name: newer(item) for name, item in value.items()} | {"of_tomorrow": [1]}
    return [newer(item) for item in value] if isinstance(value, list) else value


def test_fields_of_a_newer_server_are_ignored() -> None:
    fields = {name: item for name, item in newer(JOB).items() if name != "params"}
    known = {name: item for name, item in JOB.items() if name != "params"}
    assert objects.Job.of(fields) == objects.Job.of(known)


def test_an_older_server_may_leave_things_out() -> None:
    job = objects.Job.of({"id": "a1", "status": "queued"})
    assert (job.final, job.artifacts, job.progress.percent) == (False, (), 0.0)
