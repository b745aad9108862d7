import pytest
from prometheus_client.parser import text_string_to_metric_families

from models.catalog import DEFAULT_MODEL
from service.gateway.app import start_draining
from service.queue.redis_queue import RedisJobQueue
from tests.service.gateway.kit import picture, problem
from tests.service.queue.kit import submit

MODEL = ("model", DEFAULT_MODEL)


async def scrape(client):
    response = await client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


@pytest.fixture
def lost_queue(gateway, tmp_path):
    """The gateway's queue, on a server that is not there."""
    url = f"unix://{tmp_path}/nothing.sock"
    queue = RedisJobQueue.from_url(url, gateway.app.state.gateway.settings.queue)
    gateway.app.state.gateway.queue = queue
    return queue


async def test_alive(client):
    response = await client.get("/livez")
    assert response.status_code == 200
    assert response.json() == {"status": "ok"}


async def test_ready_needs_a_worker(gateway):
    response = await gateway.http.get("/readyz")
    body = problem(response, 503, "unready")
    assert [item["code"] for item in body["errors"]] == ["no_worker"]
    assert body["retryable"] is True
    assert int(response.headers["retry-after"]) > 0
    gateway.beat("starting")
    problem(await gateway.http.get("/readyz"), 503, "unready")
    for state in ("ready", "busy"):
        gateway.beat(state)
        response = await gateway.http.get("/readyz")
        assert response.status_code == 200
        assert response.json() == {"status": "ready"}
    gateway.worker.goodbye("w1")
    problem(await gateway.http.get("/readyz"), 503, "unready")


async def test_ready_needs_room_in_the_queue(make_gateway):
    gateway = await make_gateway(queue={"max_waiting": 1})
    gateway.beat()
    await gateway.submit()
    body = problem(await gateway.http.get("/readyz"), 503, "unready")
    assert [item["code"] for item in body["errors"]] == ["queue_full"]


async def test_one_full_model_leaves_the_service_ready(make_gateway):
    gateway = await make_gateway(queue={"max_waiting": 1})
    gateway.beat(models=(DEFAULT_MODEL, "other"))
    await gateway.submit()
    assert (await gateway.http.get("/readyz")).status_code == 200
    await submit(gateway.queue, model="other")
    body = problem(await gateway.http.get("/readyz"), 503, "unready")
    assert [item["code"] for item in body["errors"]] == ["queue_full"]
    assert ", ".join(sorted((DEFAULT_MODEL, "other"))) in body["detail"]


async def test_a_full_model_refuses_no_job_of_another(make_gateway):
    gateway = await make_gateway(queue={"max_waiting": 1})
    await submit(gateway.queue, model="other")
    await gateway.submit()
    files = {"image": ("a.png", picture())}
    problem(await gateway.http.post("/reconstruct", files=files), 503, "queue_full")


async def test_a_model_without_a_worker_takes_jobs_and_says_so(gateway):
    gateway.beat(models=("other",))
    assert (await gateway.http.get("/readyz")).status_code == 200
    assert (await gateway.http.get(f"/models/{DEFAULT_MODEL}")).json()["ready"] is False
    job = await gateway.submit()
    assert (job["status"], job["queue"]) == ("queued", {"position": 0, "eta_seconds": None})
    metrics = await scrape(gateway.http)
    assert metrics[("bozzetto_workers_serving", MODEL)] == 0
    assert metrics[("bozzetto_workers_serving", ("model", "other"))] == 1


@pytest.mark.usefixtures("lost_queue")
async def test_everything_says_so_when_the_queue_is_away(gateway):
    assert (await gateway.http.get("/livez")).status_code == 200
    body = problem(await gateway.http.get("/readyz"), 503, "unready")
    assert [item["code"] for item in body["errors"]] == ["queue_unreachable"]
    response = await gateway.http.get(f"/jobs/{'0' * 32}")
    body = problem(response, 503, "queue_unreachable")
    assert body["retryable"] is True
    assert int(response.headers["retry-after"]) > 0
    problem(await gateway.http.get("/jobs"), 503, "queue_unreachable")
    models = (await gateway.http.get("/models")).json()["data"]
    assert models
    assert not any(model["ready"] for model in models)
    metrics = await scrape(gateway.http)
    assert metrics[("bozzetto_queue_up",)] == 0
    waiting = metrics[("bozzetto_num_jobs_waiting", MODEL)]
    assert waiting != waiting  # NaN


@pytest.mark.usefixtures("lost_queue")
async def test_a_submit_without_a_queue(gateway):
    files = {"image": ("a.png", picture())}
    for _ in range(2):  # the second is refused unread
        response = await gateway.http.post("/reconstruct", files=files)
        problem(response, 503, "queue_unreachable")


async def test_draining(gateway):
    gateway.beat()
    start_draining(gateway.app)
    body = problem(await gateway.http.get("/readyz"), 503, "unready")
    assert [item["code"] for item in body["errors"]] == ["draining"]
    response = await gateway.http.post("/reconstruct", files={"image": ("a.png", picture())})
    problem(response, 503, "draining")
    assert int(response.headers["retry-after"]) > 0
    assert (await gateway.http.get("/livez")).status_code == 200


async def test_metrics(gateway):
    gateway.beat()
    job = await gateway.submit()
    await gateway.http.get(job["links"]["self"])
    await gateway.http.get(f"/jobs/{'0' * 32}")
    await gateway.http.get("/no/such/page")
    await gateway.http.post("/reconstruct", files={"image": ("a.png", b"no")})
    metrics = await scrape(gateway.http)
    assert metrics[("bozzetto_queue_up",)] == 1
    assert metrics[("bozzetto_num_jobs_waiting", MODEL)] == 1
    assert metrics[("bozzetto_num_jobs_running", MODEL)] == 0
    assert metrics[("bozzetto_workers_serving", MODEL)] == 1
    assert metrics[("bozzetto_queue_bound",)] == 1_000
    assert metrics[("bozzetto_workers_ready",)] == 1
    assert metrics[("bozzetto_workers", ("state", "ready"))] == 1
    assert metrics[("bozzetto_oldest_job_age_seconds", MODEL)] >= 0
    assert metrics[("bozzetto_upload_bytes_count",)] == 1

    def requests(method, route, status):
        labels = [("method", method), ("route", route), ("status", status)]
        return metrics[("bozzetto_http_requests_total", *labels)]

    assert requests("POST", "/reconstruct", "202") == 1
    assert requests("GET", "/jobs/{job_id}", "200") == 1
    assert requests("GET", "/jobs/{job_id}", "404") == 1
    assert requests("GET", "unmatched", "404") == 1
    assert metrics[("bozzetto_submits_total", MODEL, ("outcome", "accepted"))] == 1
    refused = ("bozzetto_submits_total", MODEL, ("outcome", "unsupported_type"))
    assert metrics[refused] == 1
    assert not any(job["id"] in str(key) for key in metrics)


async def test_models(gateway):
    listed = (await gateway.http.get("/models")).json()
    assert listed["object"] == "list"
    (draft,) = [model for model in listed["data"] if model["id"] == "draft"]
    assert draft["ready"] is False
    assert draft["licence"].keys() == {"code", "weights", "outputs", "accept"}
    assert draft["max_images"] == 1
    points = next(item for item in draft["parameters"] if item["name"] == "num_points")
    assert (points["minimum"], points["maximum"], points["default"]) == (256, 16_384, 4_096)
    assert [model["id"] for model in listed["data"] if model["default"]] == [DEFAULT_MODEL]
    gateway.beat(models=("draft",))
    one = (await gateway.http.get("/models/draft")).json()
    assert one == {**draft, "ready": True}
    problem(await gateway.http.get("/models/dali"), 404, "not_found")
