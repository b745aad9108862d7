"""Errors as exceptions, and files that are not what they should be."""

import copy
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageOps
from PIL.ExifTags import Base

from bozzetto_client import (
    AuthenticationError,
    ChecksumError,
    ConflictError,
    GoneError,
    InvalidRequestError,
    Job,
    JobExpiredError,
    JobFailedError,
    NotFoundError,
    PermissionDeniedError,
    ProblemItem,
    RateLimitedError,
    RetryPolicy,
    ServerError,
    UnexpectedAnswerError,
)
from bozzetto_client.errors import error_of_answer, error_of_job
from bozzetto_client.events import Cloud
from bozzetto_client.pictures import media_type, read_picture
from service.errors import CATALOGUE
from tests.clients.python.scripted import Reply, ScriptedServer, answer, problem
from tests.e2e.processes import program

KINDS = {
    400: InvalidRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    405: UnexpectedAnswerError,
    409: ConflictError,
    410: GoneError,
    413: InvalidRequestError,
    415: InvalidRequestError,
    416: InvalidRequestError,
    422: InvalidRequestError,
    429: RateLimitedError,
    500: ServerError,
    503: ServerError,
    507: ServerError,
}


@pytest.mark.parametrize("code", [code for code, info in CATALOGUE.items() if info.status])
def test_every_problem_of_the_service_has_its_kind(code: str) -> None:
    info = CATALOGUE[code]
    assert info.status is not None
    body = {
        "code": code,
        "detail": "told",
        "retryable": info.retryable,
        "hint": info.hint,
        "field": "image",
        "request_id": "r1",
        "errors": [{"code": "inner", "detail": "one"}],
    }
    error = error_of_answer(info.status, json.dumps(body).encode())
    assert type(error) is KINDS[info.status]
    assert (error.code, error.retryable, error.field) == (code, info.retryable, "image")
    assert error.errors == (ProblemItem("inner", "one"),)
    assert str(error) == f"told ({code}). {info.hint}"


@pytest.mark.redis
def test_keys_and_rates_of_a_gateway(
    redis_url: str, tmp_path: Path, make_client: Any, disc: bytes
) -> None:
    command = ("-m", "service.cli", "gateway", "--port", "0", "--data-dir", str(tmp_path))
    with program(
        *command,
        BOZZETTO_REDIS__URL=redis_url,
        BOZZETTO_GATEWAY__API_KEYS='["right"]',
        BOZZETTO_GATEWAY__RATE_PER_MINUTE="1",
    ) as gateway:
        url = gateway.wait_line("bozzetto gateway on ").split()[-1]
        with pytest.raises(AuthenticationError) as refused:
            make_client(url, api_key="wrong").submit(disc)
        client = make_client(url, api_key="right", retry=RetryPolicy(tries=1))
        job = client.submit(disc)
        with pytest.raises(RateLimitedError) as limited:
            client.submit(disc)
        assert client.cancel(job).status == "canceled"
    assert refused.value.code == "unauthorized"
    assert limited.value.retryable
    assert 0 < (limited.value.retry_after_s or 0) <= 60


def finished(data: bytes, name: str = "points.ply") -> Reply:
    artifact = {
        "name": name,
        "format": "model/ply",
        "url": "/elsewhere",
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    return answer({"id": "a1", "status": "succeeded", "artifacts": [artifact]})


def test_a_file_that_was_changed_is_not_kept(
    make_client: Any, scripted: ScriptedServer, tmp_path: Path
) -> None:
    target = tmp_path / "points.ply"
    target.write_bytes(b"the old one")
    scripted.script(finished(b"ply right"), Reply(200, b"ply wrong"))
    with pytest.raises(ChecksumError, match=r"points\.ply") as caught:
        make_client(scripted.url).download("a1", "points.ply", target)
    assert caught.value.retryable
    assert target.read_bytes() == b"the old one"
    assert list(tmp_path.iterdir()) == [target]


def test_a_download_that_breaks_is_made_again(make_client: Any, scripted: ScriptedServer) -> None:
    scripted.script(
        finished(b"ply right"), Reply(200, b"ply", promised=9), Reply(200, b"ply right")
    )
    assert make_client(scripted.url).download("a1", "points.ply") == b"ply right"


def test_a_file_that_is_gone(make_client: Any, scripted: ScriptedServer) -> None:
    scripted.script(finished(b"ply"), problem(410, "expired", retryable=False))
    with pytest.raises(GoneError) as caught:
        make_client(scripted.url).download("a1", "points.ply")
    assert (caught.value.code, caught.value.status) == ("expired", 410)


@pytest.mark.parametrize("name", ["../outside", "a/b", "..", ".", "", "c:\\x"])
def test_names_cannot_lead_out_of_the_folder(
    name: str, make_client: Any, scripted: ScriptedServer, tmp_path: Path
) -> None:
    scripted.script(finished(b"ply", name), Reply(200, b"ply"))
    with pytest.raises(UnexpectedAnswerError):
        make_client(scripted.url).download_all("a1", tmp_path / "inside")
    assert [path.name for path in tmp_path.rglob("*")] == ["inside"]


JOB = Job.of(
    {
        "id": "a1",
        "status": "failed",
        "error": {
            "code": "worker_lost",
            "detail": "it is lost",
            "retryable": True,
            "hint": "Again.",
        },
    }
)


def test_a_failed_job_is_an_error_that_can_be_copied() -> None:
    error = error_of_job(JOB)
    assert (type(error), error.code, error.retryable) == (JobFailedError, "worker_lost", True)
    assert str(error) == "job a1 failed: it is lost (worker_lost). Again."
    assert copy.copy(error).job == JOB


def test_an_expired_job_has_its_own() -> None:
    error = error_of_job(Job.of({"id": "a1", "status": "expired"}))
    assert (type(error), str(error)) == (JobExpiredError, "job a1 expired (job_expired)")


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\x89PNG\r\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"RIFF\0\0\0\0WAVE", "application/octet-stream"),
        (b"", "application/octet-stream"),
    ],
)
def test_types_by_content(data: bytes, name: str) -> None:
    assert media_type(data) == name


@pytest.mark.parametrize(
    "picture", [io.StringIO("text"), 7, None], ids=["text file", "number", "none"]
)
def test_what_is_no_picture(picture: Any) -> None:
    with pytest.raises(TypeError, match="picture"):
        read_picture(picture)


def test_a_photograph_by_way_of_pillow_stays_upright() -> None:
    exif = Image.Exif()
    exif[Base.Orientation] = 6
    photograph = io.BytesIO()
    Image.new("RGB", (40, 20)).save(photograph, "JPEG", exif=exif)
    sent = read_picture(Image.open(photograph))
    assert media_type(sent) == "image/png"
    assert ImageOps.exif_transpose(Image.open(io.BytesIO(sent))).size == (20, 40)


def test_a_cloud_is_put_back_into_place() -> None:
    raw = {
        "step": 4,
        "points": 2,
        "origin": [-0.5, 0.0, 1.0],
        "scale": 2.0,
        "positions": "AAAAAAAA//8AAP9/",  # 0 0 0, 65535 0 32767
        "colors": "AAECAwQF",
        "of_tomorrow": 1,
    }
    cloud = Cloud.of(raw)
    assert list(cloud.positions) == pytest.approx([-0.5, 0.0, 1.0, 1.5, 0.0, 2.0], abs=1e-4)
    positions, colors = cloud.numpy()
    assert colors is not None
    assert (positions.tolist(), colors.tolist()) == (
        [list(cloud.positions[:3]), list(cloud.positions[3:])],
        [[0, 1, 2], [3, 4, 5]],
    )
    with pytest.raises(ValueError, match="3 points"):
        Cloud.of(raw | {"points": 3})
