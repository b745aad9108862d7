"""The object as it is guessed while its job runs: what callers see of it, and for how long."""

import json

import pytest

from service.jobs import JobError
from tests.service.gateway.kit import Harness, problem

FIRST, SECOND = b"ply first", b"ply second"


def url_of(job) -> str:
    return f"/jobs/{job['id']}/preview.ply"


async def shown(gateway: Harness, job):
    return (await gateway.http.get(job["links"]["self"])).json()["progress"]["preview"]


async def test_a_running_job_shows_the_newest_preview(gateway):
    job = await gateway.submit()
    lease = gateway.claim()
    gateway.preview(lease, FIRST)

    assert await shown(gateway, job) == {
        "url": url_of(job),
        "format": "model/ply",
        "bytes": len(FIRST),
        "step": 1,
        "points": 2048,
    }
    first = await gateway.http.get(url_of(job))
    assert (first.status_code, first.content) == (200, FIRST)
    assert first.headers["content-type"] == "model/ply"
    assert first.headers["cache-control"] == "no-store"
    assert first.headers["x-content-type-options"] == "nosniff"
    same = {"If-None-Match": first.headers["etag"]}
    unchanged = await gateway.http.get(url_of(job), headers=same)
    assert (unchanged.status_code, unchanged.content) == (304, b"")

    gateway.preview(lease, SECOND, step=2)
    second = await gateway.http.get(url_of(job), headers=same)
    assert (second.status_code, second.content) == (200, SECOND)
    assert second.headers["etag"] != first.headers["etag"]
    assert (await shown(gateway, job))["step"] == 2


async def test_before_there_is_one(gateway):
    job = await gateway.submit()
    for claim in (lambda: None, gateway.claim):
        claim()
        assert await shown(gateway, job) is None
        response = await gateway.http.get(url_of(job))
        assert problem(response, 409, "not_ready")["retryable"]
        assert response.headers["retry-after"] == "1"


@pytest.mark.parametrize("end", ["succeeded", "failed", "canceled"])
async def test_a_job_that_has_ended_has_none(gateway, end):
    job = await gateway.submit()
    lease = gateway.claim()
    gateway.preview(lease, FIRST)
    match end:
        case "succeeded":
            gateway.finish(lease)
        case "failed":
            gateway.worker.fail(lease, JobError("no_foreground", "nothing", retryable=False))
        case _:
            gateway.worker.canceled(lease)

    assert (await gateway.http.get(job["links"]["self"])).json()["status"] == end
    assert await shown(gateway, job) is None
    problem(await gateway.http.get(url_of(job)), 410, "preview_gone")

    await gateway.http.delete(job["links"]["self"])
    problem(await gateway.http.get(url_of(job)), 404, "not_found")


async def test_a_job_that_is_tried_again_starts_without(gateway):
    job = await gateway.submit()
    lease = gateway.claim()
    gateway.preview(lease, FIRST)
    gateway.worker.release(lease)

    assert await shown(gateway, job) is None
    problem(await gateway.http.get(url_of(job)), 409, "not_ready")


async def test_a_file_that_has_just_been_removed(gateway):
    job = await gateway.submit()
    lease = gateway.claim()
    gateway.preview(lease, FIRST)
    gateway.store.delete_prefix(f"{job['id']}/{lease.attempt}")

    problem(await gateway.http.get(url_of(job)), 409, "not_ready")


async def test_others_jobs_have_none_either(make_gateway):
    gateway = await make_gateway(gateway={"api_keys": ["mine-0123456789", "other-0123456789"]})
    mine, other = ({"Authorization": f"Bearer {name}-0123456789"} for name in ("mine", "other"))
    gateway.http.headers.update(mine)
    job = await gateway.submit()
    gateway.preview(gateway.claim(), FIRST)

    assert (await gateway.http.get(url_of(job))).status_code == 200
    problem(await gateway.http.get(url_of(job), headers=other), 404, "not_found")


async def test_events_carry_it_as_the_job_does(gateway):
    job = await gateway.submit()
    lease = gateway.claim()
    gateway.preview(lease, FIRST)
    told = (await gateway.http.get(job["links"]["self"])).json()["progress"]

    gateway.finish(lease)
    text = (await gateway.http.get(job["links"]["events"])).text
    (line,) = [line for line in text.splitlines() if '"percent"' in line]
    # The job has ended since: its history says what was, but offers nothing that is gone.
    assert json.loads(line.removeprefix("data: ")) == {**told, "preview": None}
    assert "key" not in text
