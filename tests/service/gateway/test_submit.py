import asyncio
import hashlib

import pytest

from models.catalog import DEFAULT_MODEL, get_card
from service.jobs import JobError
from tests.service.gateway.kit import picture, problem


def image_part(data=None, name="picture.png"):
    return ("image", (name, picture() if data is None else data, "image/png"))


async def test_multipart(gateway):
    data = picture()
    fields = {
        "num_points": "512",
        "seed": "7",
        "outputs": "points.ply, preview.png,points.ply",
        "remove_background": "never",
        "target_faces": "1000",
        "texture_size": "512",
        "compression": "meshopt",
        "priority": "high",
        "deadline_s": "12.5",
        "metadata": '{"order": 17, "name": "Kännchen"}',
    }
    response = await gateway.http.post("/reconstruct", files=[image_part(data)], data=fields)
    assert response.status_code == 202, response.text
    job = response.json()
    assert response.headers["location"] == job["links"]["self"] == f"/jobs/{job['id']}"
    assert int(response.headers["retry-after"]) >= 1
    assert job["object"] == "job"
    assert job["status"] == "queued"
    assert job["model"] == DEFAULT_MODEL
    digest = hashlib.sha256(data).hexdigest()
    assert job["input"] == {"sha256": digest, "width": 24, "height": 16}
    assert job["params"] == {
        **get_card(DEFAULT_MODEL).resolve({"num_points": 512, "seed": 7}),
        "outputs": ["points.ply", "preview.png"],
        "remove_background": "never",
        "target_faces": 1000,
        "texture_size": 512,
        "compression": "meshopt",
        "priority": "high",
        "deadline_s": 12.5,
        "metadata": {"order": 17, "name": "Kännchen"},
    }
    assert job["queue"] == {"position": 0, "eta_seconds": None}
    wanted = {"percent": 0.0, "stage": "queued", "step": 0, "steps": 0, "preview": None}
    assert job["progress"] == wanted
    assert job["attempt"] == 0
    assert job["artifacts"] == []
    assert job["error"] is None
    assert job["started_at"] is job["finished_at"] is job["expires_at"] is None
    assert job["created_at"].endswith("Z")
    assert gateway.files() == [f"{job['id']}/input/0"]
    assert gateway.store.get(f"{job['id']}/input/0") == data
    assert (await gateway.http.get(job["links"]["self"])).json() == job


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
async def test_raw_body_with_fields_in_the_query(gateway, kind):
    data = picture(kind.upper())
    response = await gateway.http.post(
        "/reconstruct?num_points=300&metadata=%7B%7D",
        content=data,
        headers={"content-type": f"image/{kind}"},
    )
    assert response.status_code == 202, response.text
    job = response.json()
    assert job["params"]["num_points"] == 300
    assert gateway.store.get(f"{job['id']}/input/0") == data


async def test_defaults_and_a_drawn_seed(gateway):
    seeds = set()
    for _ in range(2):
        params = (await gateway.submit())["params"]
        assert params["num_points"] == 4096
        assert params["outputs"] == ["points.ply", "mesh.glb"]
        assert params["remove_background"] == "auto"
        assert params["priority"] == "normal"
        assert params["target_faces"] is params["deadline_s"] is None
        assert params["metadata"] == {}
        assert 0 <= params["seed"] < 2**31
        seeds.add(params["seed"])
    assert len(seeds) == 2


async def test_an_empty_form_field_is_as_good_as_none(gateway):
    job = await gateway.submit(num_points="", model="", outputs="", deadline_s="", priority="")
    assert job["params"]["num_points"] == 4096


async def test_a_mask_is_stored_and_must_have_the_size_of_the_picture(gateway):
    parts = [image_part(), ("mask", ("mask.png", picture(colour=3), "image/png"))]
    job = (await gateway.http.post("/reconstruct", files=parts)).json()
    assert gateway.files() == [f"{job['id']}/input/0", f"{job['id']}/input/mask"]
    lease = gateway.claim()
    assert lease.job.request.mask == f"{job['id']}/input/mask"
    assert lease.job.request.images == (f"{job['id']}/input/0",)

    parts = [image_part(), ("mask", ("mask.png", picture(size=(9, 9)), "image/png"))]
    body = problem(await gateway.http.post("/reconstruct", files=parts), 422, "invalid_field")
    assert body["field"] == "mask"
    assert len(gateway.files()) == 2


async def test_the_empty_file_input_of_a_form_is_no_mask(gateway):
    lines = [
        b"--x",
        b'Content-Disposition: form-data; name="image"; filename="a.png"',
        b"",
        picture(),
        b"--x",
        b'Content-Disposition: form-data; name="mask"; filename=""',
        b"Content-Type: application/octet-stream",
        b"",
        b"",
        b"--x--",
        b"",
    ]
    headers = {"content-type": "multipart/form-data; boundary=x"}
    body = b"\r\n".join(lines)
    response = await gateway.http.post("/reconstruct", content=body, headers=headers)
    assert response.status_code == 202, response.text
    assert gateway.claim().job.request.mask is None


BAD_FIELDS = [
    ({"model": "dali"}, "unknown_model", "model", DEFAULT_MODEL),
    ({"colour": "red"}, "unknown_field", "colour", "num_points"),
    ({"model": "draft", "steps": "4"}, "unknown_field", "steps", "known are"),
    ({"model": "draft", "sampler": "heun"}, "unknown_field", "sampler", "known are"),
    ({"model": "draft", "guidance_scale": "2"}, "unknown_field", "guidance_scale", "known are"),
    ({"model": "draft", "candidates": "4"}, "unknown_field", "candidates", "known are"),
    ({"num_points": "255"}, "invalid_field", "num_points", "256 to 16384"),
    ({"num_points": "16385"}, "invalid_field", "num_points", "256 to 16384"),
    ({"num_points": "many"}, "invalid_field", "num_points", "integer"),
    ({"num_points": "1e3"}, "invalid_field", "num_points", "integer"),
    ({"num_points": "9" * 5000}, "invalid_field", "num_points", "integer"),
    ({"seed": "-2"}, "invalid_field", "seed", "-1 to"),
    ({"outputs": "mesh.fbx"}, "invalid_field", "outputs", "mesh.glb"),
    ({"outputs": ","}, "invalid_field", "outputs", "mesh.glb"),
    ({"remove_background": "maybe"}, "invalid_field", "remove_background", "always"),
    ({"target_faces": "99"}, "invalid_field", "target_faces", "100 to 200000"),
    ({"target_faces": "200001"}, "invalid_field", "target_faces", "100 to 200000"),
    ({"target_faces": "12.5"}, "invalid_field", "target_faces", "integer"),
    ({"texture_size": "255"}, "invalid_field", "texture_size", "256 to 4096"),
    ({"texture_size": "4097"}, "invalid_field", "texture_size", "256 to 4096"),
    ({"compression": "draco"}, "invalid_field", "compression", "none, quantized, meshopt"),
    ({"priority": "urgent"}, "invalid_field", "priority", "high"),
    ({"deadline_s": "0"}, "invalid_field", "deadline_s", "0.1 to 86400"),
    ({"deadline_s": "nan"}, "invalid_field", "deadline_s", "0.1 to 86400"),
    ({"deadline_s": "inf"}, "invalid_field", "deadline_s", "0.1 to 86400"),
    ({"deadline_s": "soon"}, "invalid_field", "deadline_s", "number"),
    ({"callback_url": "https://example.org/"}, "callback_unsupported", "callback_url", "callback"),
    ({"metadata": "["}, "invalid_field", "metadata", "JSON object"),
    ({"metadata": "[]"}, "invalid_field", "metadata", "JSON object"),
    ({"metadata": "NaN"}, "invalid_field", "metadata", "JSON object"),
    ({"metadata": '{"a": 1e999}'}, "invalid_field", "metadata", "JSON object"),
    ({"metadata": '{"a": "\\ud800"}'}, "invalid_field", "metadata", "JSON object"),
    ({"metadata": '{"a": "' + "x" * 4090 + '"}'}, "invalid_field", "metadata", "4096"),
    ({"metadata": '{"a":' * 40 + "1" + "}" * 40}, "invalid_field", "metadata", "deeper"),
    ({"metadata": "[" * 4000}, "invalid_field", "metadata", "JSON object"),
]


@pytest.mark.parametrize(("fields", "code", "field", "said"), BAD_FIELDS)
async def test_bad_fields_are_named(gateway, fields, code, field, said):
    response = await gateway.http.post("/reconstruct", files=[image_part()], data=fields)
    body = problem(response, 422, code)
    assert body["field"] == field
    assert said in body["detail"]
    assert len(body["detail"]) <= 500
    assert body["retryable"] is False
    assert gateway.files() == []


async def test_fields_are_checked_in_the_query_too(gateway):
    response = await gateway.http.post(
        "/reconstruct?num_points=1", content=picture(), headers={"content-type": "image/png"}
    )
    assert problem(response, 422, "invalid_field")["field"] == "num_points"


async def test_a_field_given_twice(gateway):
    response = await gateway.http.post(
        "/reconstruct?seed=1", files=[image_part()], data={"seed": "2"}
    )
    assert problem(response, 422, "invalid_field")["field"] == "seed"
    response = await gateway.http.post(
        "/reconstruct?seed=1&seed=2", content=picture(), headers={"content-type": "image/png"}
    )
    assert problem(response, 422, "invalid_field")["field"] == "seed"


async def test_parts_of_the_wrong_kind(gateway):
    post = gateway.http.post
    body = problem(await post("/reconstruct", files=[("seed", ("a", b"1"))]), 422, "invalid_field")
    assert body["field"] == "seed"
    text_part = [("image", (None, b"not a file"))]
    body = problem(await post("/reconstruct", files=text_part), 422, "invalid_field")
    assert body["field"] == "image"
    body = problem(await post("/reconstruct", files=[("seed", (None, b"1"))]), 422, "invalid_field")
    assert body["field"] == "image"
    assert "needed" in body["detail"]


async def test_a_model_that_takes_one_picture_refuses_two(gateway):
    response = await gateway.http.post("/reconstruct", files=[image_part(), image_part()])
    body = problem(response, 422, "invalid_field")
    assert body["field"] == "image"
    assert "takes 1" in body["detail"]


async def test_too_many_parts(make_gateway):
    gateway = await make_gateway(uploads={"max_images": 2})
    parts = [image_part() for _ in range(4)]
    problem(await gateway.http.post("/reconstruct", files=parts), 400, "bad_request")


@pytest.mark.parametrize(
    ("content_type", "body", "status", "code"),
    [
        ("multipart/form-data", b"--x\r\n", 400, "bad_request"),
        ("multipart/form-data; boundary=x", b"what is this", 400, "bad_request"),
        ("multipart/form-data; boundary=x", b"--x\r\nno header\r\n\r\n--x--", 400, "bad_request"),
        ("application/json", b"{}", 415, "unsupported_type"),
        ("application/x-www-form-urlencoded", b"seed=1", 415, "unsupported_type"),
        ("image/gif", b"GIF89a", 415, "unsupported_type"),
        ("", b"x", 415, "unsupported_type"),
    ],
)
async def test_bodies_that_are_no_submit(gateway, content_type, body, status, code):
    headers = {"content-type": content_type}
    response = await gateway.http.post("/reconstruct", content=body, headers=headers)
    problem(response, status, code)


async def test_the_same_key_gives_the_same_job(gateway):
    headers = {"Idempotency-Key": "order-17"}
    first = await gateway.http.post("/reconstruct", files=[image_part()], headers=headers)
    again = await gateway.http.post("/reconstruct", files=[image_part()], headers=headers)
    assert first.status_code == again.status_code == 202
    assert first.json() == again.json()
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert gateway.files() == [f"{first.json()['id']}/input/0"]


@pytest.mark.parametrize(
    "other",
    [
        {"files": [image_part(picture(colour=1))]},
        {"files": [image_part()], "data": {"seed": "3"}},
        {"files": [image_part(), ("mask", ("m.png", picture(), "image/png"))]},
    ],
)
async def test_the_same_key_with_another_request(gateway, other):
    headers = {"Idempotency-Key": "order-17"}
    first = await gateway.http.post("/reconstruct", files=[image_part()], headers=headers)
    body = problem(
        await gateway.http.post("/reconstruct", headers=headers, **other),
        422,
        "idempotency_conflict",
    )
    assert body["field"] == "Idempotency-Key"
    assert gateway.files() == [f"{first.json()['id']}/input/0"]


@pytest.mark.parametrize("key", ["", "with space", "x" * 256])
async def test_a_key_of_the_wrong_shape(gateway, key):
    headers = {"Idempotency-Key": key}
    response = await gateway.http.post("/reconstruct", files=[image_part()], headers=headers)
    problem(response, 400, "bad_request")


async def test_prefer_wait_gives_202_when_the_time_is_over(gateway):
    response = await gateway.http.post(
        "/reconstruct", files=[image_part()], headers={"Prefer": "wait=1"}
    )
    assert response.status_code == 202
    assert response.headers["preference-applied"] == "wait=1"
    assert response.json()["status"] == "queued"


async def test_prefer_wait_gives_a_replayed_job_that_has_ended_at_once(gateway):
    headers = {"Idempotency-Key": "k", "Prefer": "wait=30"}
    await gateway.http.post("/reconstruct", files=[image_part()], headers={"Idempotency-Key": "k"})
    gateway.worker.fail(gateway.claim(), JobError("no_foreground", "blank", False, "crop"))
    response = await gateway.http.post("/reconstruct", files=[image_part()], headers=headers)
    assert response.status_code == 200
    assert "retry-after" not in response.headers
    job = response.json()
    assert job["status"] == "failed"
    assert job["error"] == {
        "code": "no_foreground",
        "detail": "blank",
        "retryable": False,
        "hint": "crop",
    }


async def test_uploads_beyond_the_slots_wait_for_one(gateway):
    gateway.app.state.gateway.upload_slots = slots = asyncio.Semaphore(1)
    await slots.acquire()
    waiting = asyncio.create_task(gateway.http.post("/reconstruct", files=[image_part()]))
    assert (await gateway.http.get("/jobs")).json()["data"] == []
    assert not waiting.done()
    slots.release()
    assert (await waiting).status_code == 202
    assert not slots.locked()
