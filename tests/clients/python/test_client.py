"""Both clients against a real service with the scripted model."""

import asyncio
import hashlib
import io
import uuid
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from bozzetto_client import (
    AsyncBozzetto,
    Bozzetto,
    Cloud,
    ConflictError,
    DoneEvent,
    InvalidRequestError,
    JobCanceledError,
    JobFailedError,
    NotFoundError,
    ProgressEvent,
    StateEvent,
    WaitTimeoutError,
)
from geometry.ply import read_points
from tests.e2e.worker_entry import LATER_SEED
from tests.fakes_model import ENDLESS_SEED

pytestmark = pytest.mark.redis


@pytest.fixture
def client(make_client: Any, house: Any) -> Any:
    return make_client(house.url)


def test_a_picture_becomes_files(client: Any, disc: bytes, tmp_path: Path) -> None:
    job = client.reconstruct(
        disc,
        outputs=["points.ply", "mesh.glb"],
        num_points=1000,
        seed=7,
        metadata={"shelf": [1, "ä"]},
        progress=False,
    )

    assert (job.status, job.params["seed"]) == ("succeeded", 7)
    assert job.params["metadata"] == {"shelf": [1, "ä"]}
    paths = client.download_all(job, tmp_path / "new" / "folder")
    assert set(paths) == {"points.ply", "mesh.glb", "mask.png"}
    assert len(read_points(paths["points.ply"].read_bytes())) == 1000
    for name, path in paths.items():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == job.artifact(name).sha256


def test_download_returns_and_writes_the_same(client: Any, disc: bytes, tmp_path: Path) -> None:
    job = client.reconstruct(disc, outputs="points.ply", progress=False)
    (tmp_path / "old.ply").write_bytes(b"old")

    data = client.download(job.id, "points.ply", tmp_path / "old.ply")
    client.download(job, "mask.png", tmp_path)

    assert (tmp_path / "old.ply").read_bytes() == data
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mask.png", "old.ply"]
    with pytest.raises(NotFoundError, match=r"no artifact mesh\.glb; it has .*points\.ply"):
        client.download(job, "mesh.glb")


@pytest.mark.parametrize("kind", ["path", "text", "file", "image", "view"])
def test_pictures_of_every_kind(kind: str, house: Any, disc: bytes, tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(disc)
    forms: dict[str, Any] = {
        "path": path,
        "text": str(path),
        "file": io.BytesIO(disc),
        "image": Image.open(io.BytesIO(disc)),
        "view": memoryview(disc),
    }
    with Bozzetto(house.url) as client:
        job = client.submit(forms[kind], outputs="points.ply", seed=1)
    assert (job.input["width"], job.input["height"]) == (96, 96)


def test_a_mask_is_sent(house: Any, tmp_path: Path) -> None:
    plain = Image.fromarray(np.full((96, 96, 3), 128, np.uint8))
    mask = np.zeros((96, 96), np.uint8)
    mask[20:70, 30:60] = 255
    with Bozzetto(house.url) as client:
        job = client.reconstruct(
            plain, mask=Image.fromarray(mask), outputs="points.ply", progress=False
        )
        used = Image.open(io.BytesIO(client.download(job, "mask.png")))
    assert np.array_equal(np.asarray(used.convert("L")) > 127, mask > 127)


def test_events_tell_the_whole_story(client: Any, disc: bytes) -> None:
    job = client.submit(disc, outputs="points.ply")

    events = list(client.follow(job))

    states = [event.status for event in events if isinstance(event, StateEvent)]
    assert states == ["queued", "running", "succeeded"]
    shown = [event.progress.percent for event in events if isinstance(event, ProgressEvent)]
    assert shown == sorted(shown)
    assert events[-1] == DoneEvent(events[-1].id, "succeeded")
    half = len(events) // 2
    later = client.follow(job.id, last_event_id=events[half].id)
    assert [event.id for event in later] == [event.id for event in events[half + 1 :]]


def test_clouds_show_the_object_as_it_forms(house: Any, disc: bytes) -> None:
    with Bozzetto(house.url) as client:
        job = client.submit(disc, outputs="points.ply", seed=LATER_SEED, model="draft")
        clouds = []
        for event in client.follow(job, clouds=True):
            if isinstance(event, Cloud):
                clouds.append(event)
                house.let_go_on()
    assert clouds
    positions, colors = clouds[0].numpy()
    assert (positions.shape, str(positions.dtype)) == ((2048, 3), "float32")
    assert colors is not None
    assert (colors.shape, str(colors.dtype)) == ((2048, 3), "uint8")
    assert 0.4 < np.linalg.norm(positions, axis=1).max() < 0.55


def test_progress_goes_to_a_function(client: Any, disc: bytes) -> None:
    seen: list[Any] = []
    job = client.wait(client.submit(disc, outputs="points.ply"), progress=seen.append)
    assert job.succeeded
    assert seen[-1].percent > 50
    assert client.wait(job, progress=seen.append) is job


def test_a_bar_ends_full(client: Any, disc: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    client.reconstruct(disc, outputs="points.ply")
    last = capsys.readouterr().err.rstrip().rsplit("\r", 1)[-1]
    assert last.startswith("succeeded")
    assert "100%" in last


def test_a_failed_job_says_why(client: Any, blank: bytes) -> None:
    with pytest.raises(JobFailedError, match="plain background") as caught:
        client.reconstruct(blank, progress=False)
    error = caught.value
    assert (error.code, error.retryable, error.job.status) == ("no_foreground", False, "failed")


def test_cancel_and_delete(client: Any, disc: bytes) -> None:
    job = client.submit(disc, seed=ENDLESS_SEED)
    with pytest.raises(ConflictError) as early:
        client.delete(job)
    assert early.value.code == "not_final"

    client.cancel(job)
    ended = client.wait(job)
    assert ended.status == "canceled"
    assert client.cancel(job).status == "canceled", "asking twice is no error"

    client.delete(job)
    with pytest.raises(NotFoundError):
        client.job(job)


def test_a_canceled_job_has_no_result(house: Any, disc: bytes) -> None:
    with Bozzetto(house.url) as client, Bozzetto(house.url) as other:

        def cancel(_: object) -> None:
            other.cancel(other.jobs(limit=1).jobs[0])

        with pytest.raises(JobCanceledError) as caught:
            client.reconstruct(disc, seed=ENDLESS_SEED, progress=cancel)
    assert (caught.value.code, caught.value.job.status) == ("job_canceled", "canceled")


def test_a_finished_job_cannot_be_canceled(client: Any, disc: bytes) -> None:
    job = client.reconstruct(disc, outputs="points.ply", progress=False)
    with pytest.raises(ConflictError) as caught:
        client.cancel(job)
    assert (caught.value.code, caught.value.status) == ("already_final", 409)


def test_waiting_has_an_end(client: Any, disc: bytes) -> None:
    job = client.submit(disc, seed=ENDLESS_SEED)
    try:
        with pytest.raises(TimeoutError) as caught:
            client.wait(job, timeout_s=0.2)
        assert isinstance(caught.value, WaitTimeoutError)
        assert not client.job(job).final
    finally:
        client.cancel(job)


def test_a_wrong_field_is_named(client: Any, disc: bytes) -> None:
    with pytest.raises(InvalidRequestError, match="256") as caught:
        client.submit(disc, num_points=3)
    error = caught.value
    assert (error.status, error.code, error.field) == (422, "invalid_field", "num_points")
    assert error.request_id
    assert not error.retryable


def test_the_same_key_is_the_same_job(client: Any, disc: bytes) -> None:
    key = uuid.uuid4().hex
    first, again = (
        client.submit(disc, outputs="points.ply", idempotency_key=key) for _ in range(2)
    )
    other, another = (client.submit(disc, outputs="points.ply") for _ in range(2))
    assert first.id == again.id
    assert len({first.id, other.id, another.id}) == 3


def test_jobs_are_paged(client: Any, disc: bytes) -> None:
    made = [client.reconstruct(disc, outputs="points.ply", progress=False).id for _ in range(3)]

    page = client.jobs(limit=2)
    rest = client.jobs(cursor=page.next_cursor, limit=1)

    assert [job.id for job in (*page, *rest)] == made[::-1]
    assert all(job.succeeded for job in client.jobs(state="succeeded"))


def test_models_and_their_bounds(client: Any) -> None:
    models = {model.id: model for model in client.models()}
    draft = client.model("draft")
    assert models["draft"] == draft
    assert draft.ready
    points = draft.parameter("num_points")
    assert points is not None
    assert (points.minimum, points.maximum) == (256, 16_384)
    assert draft.licence.outputs
    with pytest.raises(NotFoundError):
        client.model("no/such model")


def test_a_client_of_httpx_is_used_and_left_open(house: Any) -> None:
    seen: list[str] = []
    hooks = {"request": [lambda request: seen.append(request.headers["user-agent"])]}
    with httpx.Client(event_hooks=hooks) as http:
        with Bozzetto(house.url, http=http) as client:
            client.models()
        assert not http.is_closed
    assert seen[0].startswith("bozzetto-client/")


async def test_an_awaiting_client_is_given_up_in_order(house: Any, disc: bytes) -> None:
    async with AsyncBozzetto(house.url) as client:
        job = await client.submit(disc, seed=ENDLESS_SEED, outputs="points.ply")
        waiting = asyncio.create_task(client.wait(job))
        await asyncio.sleep(0.1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert not (await client.job(job)).final, "a canceled task is not a canceled job"
        await client.cancel(job)
