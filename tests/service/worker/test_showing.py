"""What a worker shows of the objects that it is still making, on a real queue and store."""

import threading

import pytest

from geometry.ply import read_points
from service.jobs import JobState, Preview
from service.store.contract import Flush, StoreFullError
from service.store.local import LocalStore
from tests.fakes_model import FINISH_SEED, FakeModel
from tests.polling import eventually
from tests.service.worker.test_worker import PATIENCE_S, Bench


def stepwise(steps: int) -> tuple[FakeModel, list[threading.Event]]:
    """A model with previews, each of whose evaluations waits for its event."""
    go_on = [threading.Event() for _ in range(steps)]
    model = FakeModel(steps=steps, previews=True)
    model.before_step = lambda states: go_on[states[0].step].wait(PATIENCE_S)
    return model, go_on


def names_of(folder) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_running_job_shows_the_object_as_it_is_guessed(redis_url, tmp_path):
    model, go_on = stepwise(3)
    with Bench(redis_url, tmp_path, model, preview_every_s=1e-9) as bench:
        job_id = bench.submit(outputs=("points.ply",))
        shown: list[Preview] = []
        for step in (1, 2):
            go_on[step - 1].set()
            told = bench.wait(job_id, lambda job: job.progress.preview not in (None, *shown))
            preview = told.progress.preview
            data = bench.store.get(preview.key)
            assert (preview.step, preview.points, preview.bytes) == (step, 2048, len(data))
            cloud = read_points(data)
            assert (len(cloud), cloud.colors is not None, cloud.normals) == (2048, True, None)
            assert len(data) < 32_000
            shown.append(preview)
        go_on[2].set()
        job = bench.wait(job_id)

    assert job.state == JobState.SUCCEEDED
    assert names_of(tmp_path / "store" / job_id) == ["0", "mask.png", "points.ply"]


@pytest.mark.parametrize("end", ["canceled", "failed", "queued"])
def test_however_a_job_ends_its_preview_goes(redis_url, tmp_path, end):
    model, go_on = stepwise(2)
    options = {"drain_s": 0} if end == "queued" else {}
    with Bench(redis_url, tmp_path, model, **options) as bench:
        job_id = bench.submit(seed=FINISH_SEED if end == "failed" else 1)
        go_on[0].set()
        bench.wait(job_id, lambda job: job.progress.preview)
        if end == "canceled":
            bench.call(lambda queue: queue.cancel(job_id))
        elif end == "queued":
            bench.worker.drain()
        if end != "failed":
            (held,) = bench.worker._held.all()
            eventually(lambda: held.stop)
        go_on[1].set()
        job = bench.wait(job_id, lambda job: job.state != JobState.RUNNING)

    assert job.state == end
    assert names_of(tmp_path / "store" / job_id) == ["0"]


class PreviewsFail(LocalStore):
    def put(self, key: str, data: bytes, *, flush: Flush = "now") -> None:
        if key.endswith("/preview.ply"):
            raise StoreFullError(f"no space for {key}")
        super().put(key, data, flush=flush)


def test_a_preview_that_cannot_be_stored_fails_no_job(redis_url, tmp_path):
    store, model = PreviewsFail(tmp_path / "store"), FakeModel(steps=3, previews=True)
    with Bench(redis_url, tmp_path, model, store=store) as bench:
        job = bench.wait(bench.submit())

    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 1)


def test_an_attempt_that_lost_its_job_shows_no_more(redis_url, tmp_path, monkeypatch):
    model, go_on = stepwise(2)
    with Bench(redis_url, tmp_path, model) as bench:
        monkeypatch.setattr(bench.worker._keeper, "renew", lambda: None)
        job_id = bench.submit(outputs=("points.ply",))
        go_on[0].set()
        bench.wait(job_id, lambda job: job.progress.preview)
        again = bench.wait(job_id, lambda job: job.attempt == 2)
        assert again.progress.preview is None
        monkeypatch.undo()
        go_on[1].set()
        job = bench.wait(job_id)

    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 2)
    assert names_of(tmp_path / "store" / job_id) == ["0", "mask.png", "points.ply"]
