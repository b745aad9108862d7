"""Whatever is sent, the answer is a job or a problem, and never a 500."""

import asyncio
import json
from typing import cast
from urllib.parse import quote, urlencode

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.errors import CATALOGUE
from service.gateway.app import create_app
from service.gateway.fields import JOB_FIELDS
from service.jobs import Job, JobRequest, JobState, request_from_json, request_to_json
from service.queue.contract import JobNotFoundError, JobPage, JobQueue, Submitted
from service.settings import Settings
from service.store.local import LocalStore
from tests.service.gateway.kit import picture

PICTURE = picture()
NAMES = st.sampled_from([*JOB_FIELDS, "num_points", "seed", "steps", "image", "mask"]) | st.text()
VALUES = st.one_of(
    st.text(max_size=50),
    st.integers().map(str),
    st.floats().map(str),
    st.sampled_from(["", "draft", "auto", "high", "-1", "512", "mesh.glb", "points.ply,", "1e400"]),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
        max_leaves=8,
    ).map(json.dumps),
)
FUZZ = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class YesQueue:
    """Takes every job, by way of the JSON that a real queue would store."""

    async def submit(self, job_id, request: JobRequest, *, idempotency_key=None, body_hash=""):
        assert body_hash
        request = request_from_json(request_to_json(request))
        return Submitted(Job(job_id, request, JobState.RUNNING, 1e9), created=True)

    async def get(self, job_id):
        raise JobNotFoundError(job_id)

    async def list_jobs(self, owner, *, state, cursor, limit):
        return JobPage((), None)


@pytest.fixture
def ask(tmp_path):
    queue = cast("JobQueue", YesQueue())
    app = create_app(Settings(data_dir=tmp_path), queue, LocalStore(tmp_path))

    def ask(method, url, **options):
        async def call():
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://g") as client:
                return await client.request(method, url, **options)

        return asyncio.run(call())

    return ask


def check(response):
    if response.status_code < 400:
        assert response.headers["content-type"] == "application/json"
        response.json()
        return
    assert response.status_code < 500, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == response.status_code
    assert CATALOGUE[body["code"]].status in {response.status_code, 400}


@FUZZ
@given(fields=st.dictionaries(NAMES, VALUES, max_size=4))
def test_form_fields(ask, fields):
    parts = [("image", ("a.png", PICTURE)), *((n, (None, v)) for n, v in fields.items())]
    check(ask("POST", "/reconstruct", files=parts))


@FUZZ
@given(fields=st.lists(st.tuples(NAMES, VALUES), max_size=4))
def test_query_fields(ask, fields):
    query = urlencode(fields, errors="surrogatepass")
    headers = {"content-type": "image/png"}
    check(ask("POST", f"/reconstruct?{query}", content=PICTURE, headers=headers))


@FUZZ
@given(
    body=st.binary(max_size=200),
    content_type=st.sampled_from(
        ["multipart/form-data; boundary=x", "multipart/form-data", "image/png", "image/webp", "x"]
    ),
    wrapped=st.booleans(),
)
def test_bodies(ask, body, content_type, wrapped):
    if wrapped:
        body = b'--x\r\nContent-Disposition: form-data; name="' + body + b'"\r\n\r\n1\r\n--x--\r\n'
    check(ask("POST", "/reconstruct", content=body, headers={"content-type": content_type}))


@FUZZ
@given(
    job_id=st.text(max_size=40) | st.from_regex(r"[0-9a-f]{32}", fullmatch=True),
    tail=st.sampled_from(["", "/events", "/artifacts/", "/cancel"]),
    name=st.text(max_size=20),
    query=st.dictionaries(st.sampled_from(["state", "cursor", "limit", "x"]), VALUES, max_size=3),
)
def test_paths_and_queries(ask, job_id, tail, name, query):
    artifact = quote(name, safe="") if tail == "/artifacts/" else ""
    method = "POST" if tail == "/cancel" else "GET"
    check(ask(method, f"/jobs/{quote(job_id, safe='')}{tail}{artifact}"))
    check(ask("GET", f"/jobs?{urlencode(query)}"))
    check(ask("GET", f"/models/{quote(job_id, safe='')}"))


@FUZZ
@given(
    name=st.sampled_from(["Prefer", "Idempotency-Key", "X-Request-Id", "Range", "Last-Event-ID"]),
    value=st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=300),
)
def test_header_values(ask, name, value):
    headers = [(name.encode(), value.strip().encode("latin-1")), (b"content-type", b"image/png")]
    response = ask("POST", "/reconstruct", content=PICTURE, headers=headers)
    check(response)
    assert response.headers["x-request-id"].isascii()
