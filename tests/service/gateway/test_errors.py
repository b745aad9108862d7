"""Every answer that is no success is a problem, whoever made it."""

import logging

import pytest

from service.errors import CATALOGUE
from service.queue.contract import QueueUnreachableError
from service.store.contract import StoreError, StoreFullError
from tests.service.gateway.kit import picture, problem

FILES = {"image": ("a.png", picture())}


@pytest.mark.parametrize("path", ["/nothing", "/jobs/a/b/c", "/static/nothing.js", "/jobs/"])
async def test_unknown_path(client, path):
    assert problem(await client.get(path), 404, "not_found")["instance"] == path


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/reconstruct"), ("PUT", "/jobs"), ("DELETE", "/models"), ("POST", "/livez")],
)
async def test_wrong_method(client, method, path):
    response = await client.request(method, path)
    problem(response, 405, "method_not_allowed")
    assert response.headers["allow"]


async def test_request_id_is_echoed_or_made(client):
    given = await client.get("/livez", headers={"X-Request-Id": "abc-123"})
    assert given.headers["x-request-id"] == "abc-123"
    bad = await client.get("/livez", headers={"X-Request-Id": "a b\tc"})
    assert len(bad.headers["x-request-id"]) == 32
    made = await client.get("/livez")
    assert made.headers["x-request-id"] != bad.headers["x-request-id"]
    body = problem(await client.get("/no", headers={"X-Request-Id": "r1"}), 404, "not_found")
    assert body["request_id"] == "r1"


async def test_an_error_of_our_own_is_a_500_with_its_id(gateway, caplog):
    class Broken:
        def __getattr__(self, name):
            raise ZeroDivisionError(name)

    gateway.app.state.gateway.queue = Broken()
    with caplog.at_level(logging.ERROR, "bozzetto.gateway"):
        response = await gateway.http.get("/jobs", headers={"X-Request-Id": "r2"})
    body = problem(response, 500, "internal")
    assert "ZeroDivisionError" not in response.text
    assert body["request_id"] == "r2"
    (record,) = [r for r in caplog.records if r.name == "bozzetto.gateway"]
    assert record.request_id == "r2"
    assert record.exc_info[0] is ZeroDivisionError


@pytest.mark.parametrize("error", [StoreFullError("full"), StoreError("bad disk")])
async def test_storage_fails_at_submit(gateway, error):
    def put(key, data, **_):
        raise error

    gateway.app.state.gateway.store.put = put
    body = problem(await gateway.http.post("/reconstruct", files=FILES), 507, "storage")
    assert body["retryable"] is True
    assert (await gateway.http.get("/jobs")).json()["data"] == []


async def test_storage_fails_at_the_mask(gateway):
    store = gateway.app.state.gateway.store
    real_put = store.put

    def put(key, data, **_):
        if key.endswith("mask"):
            raise StoreFullError("full")
        real_put(key, data)

    store.put = put
    files = {**FILES, "mask": ("b.png", picture())}
    problem(await gateway.http.post("/reconstruct", files=files), 507, "storage")
    assert gateway.files() == []


async def test_full_queue_leaves_no_file_behind(make_gateway):
    gateway = await make_gateway(queue={"max_waiting": 1})
    job = await gateway.submit()
    for _ in range(2):  # the second before its picture is looked at
        response = await gateway.http.post("/reconstruct", files=FILES)
        body = problem(response, 503, "queue_full")
        assert body["retryable"] is True
        assert 1 <= int(response.headers["retry-after"]) <= 60
    assert gateway.files() == [f"{job['id']}/input/0"]


async def test_files_stay_when_an_accepted_job_is_not_acknowledged(gateway):
    queue = gateway.app.state.gateway.queue
    real_submit = queue.submit

    async def submit(*args, **kwargs):
        await real_submit(*args, **kwargs)
        raise QueueUnreachableError("the answer was lost")

    queue.submit = submit
    problem(await gateway.http.post("/reconstruct", files=FILES), 503, "queue_unreachable")
    (job,) = (await gateway.http.get("/jobs")).json()["data"]
    assert gateway.files() == [f"{job['id']}/input/0"]


async def test_files_go_when_the_job_certainly_was_not_accepted(gateway):
    async def submit(*args, **kwargs):
        raise QueueUnreachableError("connection refused")

    gateway.app.state.gateway.queue.submit = submit
    problem(await gateway.http.post("/reconstruct", files=FILES), 503, "queue_unreachable")
    assert gateway.files() == []


async def test_rate_limit(make_gateway):
    gateway = await make_gateway(gateway={"rate_per_minute": 2})
    for _ in range(2):
        await gateway.submit()
    response = await gateway.http.post("/reconstruct", files=FILES)
    body = problem(response, 429, "rate_limited")
    assert body["retryable"] is True
    assert 1 <= int(response.headers["retry-after"]) <= 30
    assert (await gateway.http.get("/jobs")).status_code == 200


async def test_pages_of_other_sites_may_not_submit(make_gateway):
    gateway = await make_gateway(gateway={"cors_origins": ["https://friend.example"]})

    async def post(**headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await gateway.http.post("/reconstruct", files=FILES, headers=named)

    foreign = {"origin": "https://evil.example"}
    for headers in (foreign, {**foreign, "sec_fetch_site": "cross-site"}, {"origin": "null"}):
        problem(await post(**headers), 403, "origin_not_allowed")
    assert (await post(origin="http://gateway")).status_code == 202
    assert (await post(**foreign, sec_fetch_site="same-origin")).status_code == 202
    friend = await post(origin="https://friend.example", sec_fetch_site="cross-site")
    assert friend.status_code == 202
    assert friend.headers["access-control-allow-origin"] == "https://friend.example"
    assert "Location" in friend.headers["access-control-expose-headers"]
    assert "access-control-allow-credentials" not in friend.headers


async def test_a_preflight_needs_no_key(make_gateway):
    friend = "https://friend.example"
    gateway = await make_gateway(gateway={"cors_origins": [friend], "api_keys": ["k"]})
    asked = {"origin": friend, "access-control-request-method": "POST"}
    asked["access-control-request-headers"] = "authorization, idempotency-key"
    response = await gateway.http.options("/reconstruct", headers=asked)
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == friend
    assert "POST" in response.headers["access-control-allow-methods"]


async def test_no_cors_by_default(client):
    response = await client.get("/models", headers={"origin": "https://evil.example"})
    assert "access-control-allow-origin" not in response.headers


def test_the_catalogue_is_whole():
    for code, info in CATALOGUE.items():
        assert code.replace("_", "").isalpha()
        assert info.title
        assert info.hint.endswith(".")
        assert info.status is None or 400 <= info.status < 600
