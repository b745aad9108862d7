"""A whole worker in this process, on a real queue, with a scripted model."""

import asyncio
import dataclasses
import hashlib
import io
import json
import struct
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from models import catalog
from models.catalog import DRAFT, WeightFile
from models.errors import WeightsError
from service.jobs import InputInfo, JobRequest, JobState, new_job_id
from service.queue.redis_queue import RedisJobQueue
from service.queue.redis_worker import RedisWorkerQueue
from service.settings import QueueSettings, Settings, WorkerSettings
from service.store.contract import Flush, StoreFullError
from service.store.local import LocalStore
from service.worker.main import DONE, Worker
from tests.fakes_model import CRASH_SEED, ENDLESS_SEED, NAN_SEED, FakeModel
from tests.models.pictures import compose

QUEUE = QueueSettings(lease_s=2.0)
PATIENCE_S = 30.0


def png(rgba) -> bytes:
    data = io.BytesIO()
    Image.fromarray(rgba).save(data, "PNG")
    return data.getvalue()


DISC = png(compose("disc", size=96).rgba)
BLANK = png(np.full((96, 96, 4), 255, np.uint8))


class Bench:
    """A running worker, and the caller's side of its queue."""

    def __init__(self, url: str, folder, model: FakeModel | None = None, **options) -> None:
        self.url = url
        self.store = options.pop("store", None) or LocalStore(folder / "store")
        self.model = model or FakeModel()
        load = options.pop("load_model", lambda card, device: self.model)
        settings = Settings(queue=QUEUE, worker=WorkerSettings(device="cpu", **options))
        self.queue = RedisWorkerQueue.from_url(url, QUEUE)
        self.worker = Worker(settings, self.queue, self.store, load_model=load)
        self.code: int | None = None
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        self.code = self.worker.run(warm=False)

    def __enter__(self) -> "Bench":
        self.thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.worker.drain()
        self.thread.join(PATIENCE_S)
        self.queue.close()
        assert not self.thread.is_alive(), "the worker does not end"

    def call(self, action):
        """`action(JobQueue)` on a connection of its own."""

        async def run():
            queue = RedisJobQueue.from_url(self.url, QUEUE)
            try:
                return await action(queue)
            finally:
                await queue.close()

        return asyncio.run(run())

    def submit(self, picture=DISC, *, seed=1, outputs=("points.ply", "mesh.glb"), **fields) -> str:
        job_id = new_job_id()
        self.store.put(f"{job_id}/input/0", picture)
        request = JobRequest(
            model=fields.pop("model", "draft"),
            params=DRAFT.resolve({"seed": seed, "num_points": 512}),
            outputs=outputs,
            input=InputInfo(hashlib.sha256(picture).hexdigest(), 96, 96),
            images=(f"{job_id}/input/0",),
            **fields,
        )
        self.call(lambda queue: queue.submit(job_id, request))
        return job_id

    def get(self, job_id):
        return self.call(lambda queue: queue.get(job_id))

    def wait(self, job_id, until=lambda job: job.final):
        end = time.monotonic() + PATIENCE_S
        while not until(job := self.get(job_id)):
            assert time.monotonic() < end, f"still {job.state}, {job.progress}"
            time.sleep(0.02)
        return job


@pytest.fixture
def bench(redis_url, tmp_path) -> Iterator[Bench]:
    with Bench(redis_url, tmp_path) as bench:
        yield bench


def gated() -> tuple[FakeModel, threading.Event, threading.Event]:
    """A model that says when an evaluation begins and waits until it may."""
    begun, may = threading.Event(), threading.Event()

    def hold(states):
        begun.set()
        assert may.wait(PATIENCE_S)

    return FakeModel(before_step=hold), begun, may


def test_a_job_becomes_files(bench):
    job = bench.wait(bench.submit(outputs=("points.ply", "mesh.glb", "preview.png")))

    assert job.state == JobState.SUCCEEDED
    assert job.progress.percent == 100
    files = {artifact.name: artifact for artifact in job.artifacts}
    assert list(files) == ["points.ply", "mesh.glb", "preview.png", "mask.png"]
    for artifact in files.values():
        data = bench.store.get(artifact.key)
        assert artifact.key.startswith(f"{job.id}/")
        assert (len(data), hashlib.sha256(data).hexdigest()) == (artifact.bytes, artifact.sha256)
    assert files["points.ply"].points == 512
    assert files["mesh.glb"].faces
    assert files["mesh.glb"].format == "model/gltf-binary"
    mask = Image.open(io.BytesIO(bench.store.get(files["mask.png"].key)))
    assert (mask.mode, mask.size) == ("L", (96, 96))
    assert {"queue_seconds", "run_seconds", "gpu_seconds", "batch_size_mean"} <= set(job.metrics)


def test_a_file_says_where_it_comes_from(bench):
    job = bench.wait(bench.submit(seed=42))

    glb = bench.store.get(next(a.key for a in job.artifacts if a.name == "mesh.glb"))
    length = struct.unpack_from("<I", glb, 12)[0]
    extras = json.loads(glb[20 : 20 + length])["asset"]["extras"]
    assert (extras["model"], extras["seed"], extras["job"]) == ("draft", 42, job.id)
    assert extras["params"] == {"num_points": 512}
    assert extras["generator"].startswith("bozzetto ")


def test_progress_is_told_step_by_step(redis_url, tmp_path):
    model = FakeModel(steps=3)
    go_on = [threading.Event() for _ in range(3)]
    model.before_step = lambda states: go_on[states[0].step].wait(PATIENCE_S)
    with Bench(redis_url, tmp_path, model) as bench:
        job_id = bench.submit()
        for step, event in enumerate(go_on, start=1):
            event.set()
            if step < 3:
                told = bench.wait(job_id, lambda job, step=step: job.progress.step == step).progress
                assert (told.stage, told.steps) == ("reconstruct", 3)
        bench.wait(job_id)

        async def history(queue):
            return [event.data async for event in queue.events(job_id)]

        percents = [data["percent"] for data in bench.call(history) if "percent" in data]
    assert len(percents) >= 2
    assert percents == sorted(percents)


def test_a_blank_picture_has_no_foreground(bench):
    job = bench.wait(bench.submit(BLANK))

    assert (job.state, job.attempt) == (JobState.FAILED, 1)
    assert (job.error.code, job.error.retryable) == ("no_foreground", False)
    assert "plain background" in job.error.hint


def test_a_mask_finds_what_the_colours_do_not(bench):
    rgba = np.zeros((96, 96, 4), np.uint8)
    rgba[..., 3] = 255
    rgba[20:70, 30:60, :3] = 255
    bench.store.put("some/mask", png(rgba))

    job = bench.wait(bench.submit(BLANK, mask="some/mask"))

    assert job.state == JobState.SUCCEEDED


def test_bytes_that_are_no_picture(bench):
    job = bench.wait(bench.submit(DISC[:200]))

    assert (job.error.code, job.error.retryable) == ("input_rejected", False)


@pytest.mark.parametrize("seed", [NAN_SEED, CRASH_SEED])
def test_one_bad_job_leaves_the_others_alone(bench, seed):
    ids = [bench.submit(seed=its_seed, outputs=("points.ply",)) for its_seed in (1, seed, 2)]
    good, bad, also_good = map(bench.wait, ids)

    assert (good.state, also_good.state) == (JobState.SUCCEEDED, JobState.SUCCEEDED)
    assert (bad.state, bad.error.code, bad.attempt) == (JobState.FAILED, "internal", 1)
    assert "scripted" not in bad.error.detail


@pytest.fixture
def other(monkeypatch) -> str:
    """A second model in the catalogue."""
    monkeypatch.setitem(catalog.CATALOG, "other", dataclasses.replace(DRAFT, id="other"))
    return "other"


def load_only_draft(card, device) -> FakeModel:
    if card.id != "draft":
        raise WeightsError(f"no weights of {card.id}")
    return FakeModel()


@pytest.fixture
def only(monkeypatch) -> None:
    """A catalogue of draft alone."""
    for name in catalog.CATALOG.keys() - {"draft"}:
        monkeypatch.delitem(catalog.CATALOG, name)


def test_a_worker_serves_all_that_it_can_load(redis_url, tmp_path, monkeypatch, only):
    missing = WeightFile("none", "0" * 64, 1)
    foreign = dataclasses.replace(DRAFT, id="other", weights=(missing,))
    monkeypatch.setitem(catalog.CATALOG, "other", foreign)
    monkeypatch.setitem(catalog.CATALOG, "third", dataclasses.replace(DRAFT, id="third"))
    with Bench(redis_url, tmp_path) as bench:
        waiting = bench.submit(model="other")
        assert bench.wait(bench.submit()).state == JobState.SUCCEEDED
        served = bench.call(lambda queue: queue.stats()).served
        assert bench.get(waiting).attempt == 0

    assert served == {"draft", "third"}


def test_a_model_is_loaded_by_its_first_job(redis_url, tmp_path, only, other):
    asked = []

    def load(card, device) -> FakeModel:
        asked.append(card.id)
        return FakeModel(card)

    with Bench(redis_url, tmp_path, load_model=load) as bench:
        assert bench.wait(bench.submit()).state == JobState.SUCCEEDED
        assert asked == ["draft"]
        for _ in range(2):
            assert bench.wait(bench.submit(model=other)).state == JobState.SUCCEEDED
    assert asked == ["draft", other]


def test_a_model_that_turns_out_not_to_load_is_served_no_more(redis_url, tmp_path, only, other):
    with Bench(redis_url, tmp_path, load_model=load_only_draft) as bench:
        job_id = bench.submit(model=other)
        job = bench.wait(job_id)
        assert job.state == JobState.FAILED  # no other worker could take it
        assert job.error is not None
        assert job.error.code == "model_load_failed"
        end = time.monotonic() + PATIENCE_S
        while bench.call(lambda queue: queue.stats()).served != {"draft"}:
            assert time.monotonic() < end
        assert bench.wait(bench.submit()).state == JobState.SUCCEEDED


@pytest.mark.parametrize("names", [("draft", "other"), ("other",)])
def test_a_named_model_that_cannot_be_loaded_stops_the_worker(redis_url, tmp_path, other, names):
    bench = Bench(redis_url, tmp_path, load_model=load_only_draft, models=names)
    with pytest.raises(WeightsError, match=other):
        bench.worker.run(warm=False)
    assert not bench.call(lambda queue: queue.stats()).workers
    bench.queue.close()


def test_no_model_at_all_stops_the_worker(redis_url, tmp_path, monkeypatch, other):
    monkeypatch.delitem(catalog.CATALOG, "draft")
    bench = Bench(redis_url, tmp_path, load_model=load_only_draft)
    with pytest.raises(WeightsError):
        bench.worker.run(warm=False)
    bench.queue.close()


def test_a_full_model_takes_no_slot_of_another(redis_url, tmp_path, other):
    with Bench(redis_url, tmp_path, max_batch=1, models=("draft", other)) as bench:
        endless, next_one = (bench.submit(model=other, seed=ENDLESS_SEED) for _ in range(2))
        bench.wait(endless, lambda job: job.progress.stage == "reconstruct")
        for seed in range(3):
            assert bench.wait(bench.submit(seed=seed)).state == JobState.SUCCEEDED
        assert bench.get(next_one).state == JobState.QUEUED
        for job_id in (endless, next_one):
            bench.call(lambda queue, job_id=job_id: queue.cancel(job_id))
        assert bench.wait(endless).state == JobState.CANCELED


def test_a_job_of_another_model_is_left_alone(redis_url, tmp_path):
    with Bench(redis_url, tmp_path, models=("draft",)) as bench:
        foreign = bench.submit(model="other")
        assert bench.wait(bench.submit()).state == JobState.SUCCEEDED
        job = bench.get(foreign)

    assert (job.state, job.attempt) == (JobState.QUEUED, 0)


class FullStore(LocalStore):
    def put(self, key: str, data: bytes, *, flush: Flush = "now") -> None:
        if "/input/" not in key:
            raise StoreFullError(f"no space for {key}")
        super().put(key, data, flush=flush)


def test_a_full_disk_is_tried_again_and_then_said(redis_url, tmp_path):
    with Bench(redis_url, tmp_path, store=FullStore(tmp_path)) as bench:
        job = bench.wait(bench.submit())

    assert (job.state, job.error.code, job.error.retryable) == (JobState.FAILED, "storage", True)
    assert job.attempt == QUEUE.max_attempts


def test_cancel_while_running_stops_between_steps(redis_url, tmp_path):
    model, begun, may = gated()
    model.steps = 10**9
    with Bench(redis_url, tmp_path, model) as bench:
        job_id, other = bench.submit(seed=5), bench.submit(seed=6)
        assert begun.wait(PATIENCE_S)
        asked = bench.call(lambda queue: queue.cancel(job_id))
        assert (asked.state, asked.cancel_requested) == (JobState.RUNNING, True)
        may.set()
        job = bench.wait(job_id)
        bench.call(lambda queue: queue.cancel(other))
        bench.wait(other)

    assert job.state == JobState.CANCELED
    assert not job.artifacts
    assert job.progress.percent < 100


def test_a_deadline_that_passes_while_running(redis_url, tmp_path):
    model, begun, may = gated()
    model.steps = 10**9
    with Bench(redis_url, tmp_path, model) as bench:
        job_id = bench.submit(deadline_s=1.0)
        assert begun.wait(PATIENCE_S)
        may.set()
        job = bench.wait(job_id)

    assert (job.state, job.error.code) == (JobState.FAILED, "deadline_exceeded")


def test_a_drain_finishes_what_runs(redis_url, tmp_path):
    model, begun, may = gated()
    with Bench(redis_url, tmp_path, model) as bench:
        job_id = bench.submit()
        assert begun.wait(PATIENCE_S)
        bench.worker.drain()
        may.set()
        bench.thread.join(PATIENCE_S)
        assert bench.code == DONE
        assert bench.get(job_id).state == JobState.SUCCEEDED
        stats = bench.call(lambda queue: queue.stats())

    assert not stats.workers


def test_a_drain_without_time_hands_back_uncounted(redis_url, tmp_path):
    model, begun, may = gated()
    with Bench(redis_url, tmp_path, model, drain_s=0) as bench:
        job_id = bench.submit()
        assert begun.wait(PATIENCE_S)
        bench.worker.drain()
        job = bench.wait(job_id, lambda job: job.state == JobState.QUEUED)
        assert job.attempt == 0
        may.set()

    with Bench(redis_url, tmp_path) as bench:
        job = bench.wait(job_id)
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 1)


def test_jobs_of_many_callers_share_evaluations(redis_url, tmp_path):
    model, begun, may = gated()
    model.steps = 100
    with Bench(redis_url, tmp_path, model, max_batch=4) as bench:
        first = bench.submit(seed=11, outputs=("points.ply",))
        assert begun.wait(PATIENCE_S)
        others = [bench.submit(seed=seed, outputs=("points.ply",)) for seed in (12, 13, 14)]
        for job_id in others:
            bench.wait(job_id, lambda job: job.progress.stage == "encode")
        may.set()
        jobs = [bench.wait(job_id) for job_id in (first, *others)]

    assert {job.state for job in jobs} == {JobState.SUCCEEDED}
    assert max(map(len, model.batches)) == 4
    assert max(job.metrics["batch_size_mean"] for job in jobs) > 3


def test_a_worker_may_claim_again_what_it_lost(redis_url, tmp_path, monkeypatch):
    """Its renewals fail for longer than a lease, and it is itself the next to claim the job."""
    model, begun, may = gated()
    with Bench(redis_url, tmp_path, model) as bench:
        monkeypatch.setattr(bench.worker._keeper, "renew", lambda: None)
        job_id = bench.submit()
        assert begun.wait(PATIENCE_S)
        bench.wait(job_id, lambda job: job.attempt == 2)
        monkeypatch.undo()
        may.set()
        job = bench.wait(job_id)
        bench.worker.drain()
        bench.thread.join(PATIENCE_S)

        assert (job.state, job.attempt, bench.code) == (JobState.SUCCEEDED, 2, DONE)
        assert all(bench.store.get(artifact.key) for artifact in job.artifacts)
        names = sorted(path.name for path in (tmp_path / "store" / job_id).iterdir())
        assert names == ["2", "input"]
