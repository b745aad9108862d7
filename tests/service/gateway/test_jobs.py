import asyncio

import pytest

from models.catalog import DEFAULT_MODEL
from service.jobs import JobError, new_job_id
from tests.polling import eventually, eventually_async
from tests.service.gateway.kit import picture, problem

NOWHERE = ["0" * 32, new_job_id(), "1", "..%2f..%2fetc", "A" * 32, "0" * 31 + "%00"]


@pytest.mark.parametrize("job_id", NOWHERE)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/cancel"),
        ("GET", "/events"),
        ("GET", "/artifacts/mesh.glb"),
    ],
)
async def test_unknown_job(client, job_id, method, path):
    problem(await client.request(method, f"/jobs/{job_id}{path}"), 404, "not_found")


async def test_life_of_a_job(gateway):
    first = await gateway.submit()
    url = first["links"]["self"]
    lease = gateway.claim()
    gateway.progress(lease, 40.0)
    running = (await gateway.http.get(url)).json()
    assert running.keys() == first.keys()
    assert running["status"] == "running"
    assert running["attempt"] == 1
    assert running["queue"] is None
    wanted = {"percent": 40.0, "stage": "reconstruct", "step": 1, "steps": 2, "preview": None}
    assert running["progress"] == wanted
    assert running["started_at"] >= running["created_at"]

    digest = gateway.finish(lease, b"glTF bytes")
    response = await gateway.http.get(url)
    done = response.json()
    assert done.keys() == first.keys()
    assert "retry-after" not in response.headers
    assert done["status"] == "succeeded"
    assert done["progress"]["percent"] == 100.0
    assert done["expires_at"] > done["finished_at"] >= done["started_at"]
    assert done["metrics"]["gpu_seconds"] == 0.25
    assert done["artifacts"] == [
        {
            "name": "mesh.glb",
            "format": "model/gltf-binary",
            "url": f"{url}/artifacts/mesh.glb",
            "bytes": 10,
            "sha256": digest,
            "points": None,
            "vertices": 3,
            "faces": 1,
            "quality": None,
        }
    ]


async def test_position_in_the_queue(gateway):
    jobs = [await gateway.submit() for _ in range(3)]
    assert [job["queue"]["position"] for job in jobs] == [0, 1, 2]
    gateway.claim()
    assert (await gateway.http.get(jobs[2]["links"]["self"])).json()["queue"]["position"] == 1


async def test_cancel_a_queued_job_and_again(gateway):
    job = await gateway.submit()
    response = await gateway.http.post(job["links"]["cancel"])
    assert response.status_code == 202
    assert response.json()["status"] == "canceled"
    body = problem(await gateway.http.post(job["links"]["cancel"]), 409, "already_final")
    assert "canceled" in body["detail"]


async def test_cancel_a_running_job_twice(gateway):
    job = await gateway.submit()
    lease = gateway.claim()
    for _ in range(2):
        response = await gateway.http.post(job["links"]["cancel"])
        assert response.status_code == 202
        assert response.json()["status"] == "running"
    assert gateway.worker.renew("w1", [lease])[0].cancel_requested
    gateway.worker.canceled(lease)
    assert (await gateway.http.get(job["links"]["self"])).json()["status"] == "canceled"


async def test_delete(gateway):
    job = await gateway.submit()
    url = job["links"]["self"]
    assert problem(await gateway.http.delete(url), 409, "not_final")["retryable"] is True
    gateway.finish(gateway.claim())
    assert len(gateway.files()) == 2
    response = await gateway.http.delete(url)
    assert response.status_code == 204
    assert response.content == b""
    assert gateway.files() == []
    problem(await gateway.http.delete(url), 404, "not_found")
    problem(await gateway.http.get(url), 404, "not_found")


async def test_an_expired_job_is_gone(make_gateway):
    gateway = await make_gateway(queue={"retention_s": 1.0})
    job = await gateway.submit()
    url = job["links"]["self"]
    await gateway.http.post(job["links"]["cancel"])

    async def gone():
        response = await gateway.http.get(url)
        return response if response.status_code != 200 else None

    problem(await eventually_async(gone), 410, "expired")
    problem(await gateway.http.get(f"{url}/artifacts/mesh.glb"), 410, "expired")
    problem(await gateway.http.get(f"{url}/events"), 410, "expired")
    problem(await gateway.http.post(f"{url}/cancel"), 410, "expired")


async def test_a_job_past_its_deadline_is_expired(gateway):
    job = await gateway.submit(deadline_s="0.1")

    async def expired():
        return (await gateway.http.get(job["links"]["self"])).json()["status"] == "expired"

    await eventually_async(expired)


async def test_list_by_pages_and_state(gateway):
    ids = [(await gateway.submit())["id"] for _ in range(5)]
    await gateway.http.post(f"/jobs/{ids[1]}/cancel")
    seen, query = [], {"limit": "2"}
    while True:
        page = (await gateway.http.get("/jobs", params=query)).json()
        assert page["object"] == "list"
        seen.append([job["id"] for job in page["data"]])
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == [ids[4:2:-1], ids[2:0:-1], ids[:1]]
    canceled = (await gateway.http.get("/jobs?state=canceled")).json()
    assert [job["id"] for job in canceled["data"]] == [ids[1]]
    assert (await gateway.http.get("/jobs?cursor=nonsense")).status_code == 200


@pytest.mark.parametrize(
    ("query", "field"),
    [("state=lost", "state"), ("limit=0", "limit"), ("limit=101", "limit"), ("limit=x", "limit")],
)
async def test_list_refuses_what_it_does_not_know(client, query, field):
    body = problem(await client.get(f"/jobs?{query}"), 422, "invalid_field")
    assert body["field"] == field
    assert body["errors"][0]["field"] == field


async def test_callers_see_only_their_own_jobs(make_gateway):
    gateway = await make_gateway(gateway={"api_keys": ["key-of-a", "key-of-b"]})
    alice = {"Authorization": "Bearer key-of-a"}
    bob = {"Authorization": "bearer key-of-b"}
    files = {"image": ("a.png", picture())}
    job = (await gateway.http.post("/reconstruct", files=files, headers=alice)).json()
    url = job["links"]["self"]
    assert (await gateway.http.get(url, headers=alice)).status_code == 200
    for method, path in [
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/cancel"),
        ("GET", "/events"),
        ("GET", "/artifacts/mesh.glb"),
    ]:
        problem(await gateway.http.request(method, url + path, headers=bob), 404, "not_found")
    assert (await gateway.http.get("/jobs", headers=bob)).json()["data"] == []
    assert len((await gateway.http.get("/jobs", headers=alice)).json()["data"]) == 1
    lease = gateway.claim()
    assert "key" not in lease.job.request.owner


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Bearer", "Basic key-of-a", "Bearer ké"])
async def test_without_a_right_key(make_gateway, header):
    gateway = await make_gateway(gateway={"api_keys": ["key-of-a"]})
    headers = {} if header is None else {"Authorization": header.encode()}
    files = {"image": ("a.png", picture())}
    for response in [
        await gateway.http.get("/jobs", headers=headers),
        await gateway.http.get(f"/jobs/{new_job_id()}", headers=headers),
        await gateway.http.post("/reconstruct", files=files, headers=headers),
    ]:
        problem(response, 401, "unauthorized")
        assert response.headers["www-authenticate"] == "Bearer"
    assert (await gateway.http.get("/models", headers=headers)).status_code == 200


async def test_prefer_wait_answers_when_the_job_has_ended(gateway):
    files = {"image": ("a.png", picture())}
    waiting = asyncio.create_task(
        gateway.http.post("/reconstruct", files=files, headers={"Prefer": "wait=60, x"})
    )

    def work():
        lease = eventually(lambda: gateway.worker.claim("w1", {DEFAULT_MODEL: 1}, block_ms=100))[0]
        gateway.progress(lease, 50.0)
        gateway.finish(lease)

    await asyncio.to_thread(work)
    response = await waiting
    assert response.status_code == 200
    assert response.headers["preference-applied"] == "wait=60"
    assert response.json()["status"] == "succeeded"


async def test_a_failed_job_says_why(gateway):
    job = await gateway.submit()
    error = JobError("no_foreground", "nothing but background", False, "try a plain background")
    gateway.worker.fail(gateway.claim(), error)
    failed = (await gateway.http.get(job["links"]["self"])).json()
    assert failed["status"] == "failed"
    assert failed["error"]["code"] == "no_foreground"
    assert failed["error"]["hint"] == "try a plain background"
