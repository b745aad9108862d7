"""Previews on a real store: as often as is due, off the engine's thread, and never in the way."""

import threading
from typing import cast

import numpy as np
import pytest

from geometry.ply import read_points
from geometry.point_cloud import PointCloud
from service.jobs import InputInfo, Job, JobRequest, JobState, Preview, Progress
from service.queue.contract import Lease, WorkerQueue
from service.store.contract import ObjectMissingError, StoreFullError
from service.store.local import LocalStore
from service.worker.held import HeldJob
from service.worker.previews import Previews
from service.worker.reporter import Reporter
from tests.polling import eventually

KEY = "job/1/preview.ply"


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class SlowStore(LocalStore):
    """Waits in `put` until it may go on."""

    def __init__(self, root) -> None:
        super().__init__(root)
        self.begun, self.may = threading.Event(), threading.Event()

    def put(self, key, data, *, flush="now"):
        self.begun.set()
        assert self.may.wait(20)
        super().put(key, data, flush=flush)


class FullStore(LocalStore):
    def put(self, key, data, *, flush="now"):
        raise StoreFullError("scripted")


class Notes:
    """The only thing of a queue that a reporter uses."""

    def __init__(self) -> None:
        self.told: list[Progress] = []

    def progress(self, lease, progress) -> None:
        self.told.append(progress)


@pytest.fixture
def store(tmp_path) -> LocalStore:
    return LocalStore(tmp_path)


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def reporter(notes):
    reporter = Reporter(cast("WorkerQueue", notes))
    thread = threading.Thread(target=reporter.run)
    thread.start()
    yield reporter
    reporter.stop()
    thread.join(20)


def hold(name="job") -> HeldJob:
    request = JobRequest("draft", {}, (), InputInfo("", 1, 1), ())
    return HeldJob(Lease(Job(name, request, JobState.RUNNING, 0.0), 1, "0-0"))


def cloud(height: float) -> PointCloud:
    colors = np.full((3, 3), 7, np.uint8)
    return PointCloud(np.full((3, 3), height, np.float32), colors)


def test_a_preview_is_stored_and_then_reported(store, reporter, notes):
    held, previews = hold(), Previews(store, reporter, 0.4)
    said = Progress(20.0, "reconstruct", 1, 9)
    reporter.say(held, said)
    previews.show(held, 1, cloud(0.25))

    preview = eventually(lambda: notes.told[-1].preview if notes.told else None)
    data = store.get(KEY)
    assert preview == Preview(KEY, "model/ply", len(data), 1, 3)
    assert notes.told[-1] == Progress(20.0, "reconstruct", 1, 9, preview)
    assert read_points(data).positions[0, 0] == 0.25

    reporter.say(held, Progress(30.0, "reconstruct", 2, 9))
    eventually(lambda: notes.told[-1].step == 2)
    assert notes.told[-1].preview == preview


def test_no_more_often_than_is_due(store, reporter):
    clock = Clock()
    held, other, previews = hold(), hold("other"), Previews(store, reporter, 0.4, clock)
    assert previews.due(held)
    previews.show(held, 1, cloud(0.1))
    assert previews.due(other)
    clock.now += 0.39
    assert not previews.due(held)
    clock.now += 0.02
    eventually(lambda: previews.due(held))  # once the first one is written

    previews.show(held, 2, cloud(0.2))
    eventually(lambda: read_points(store.get(KEY)).positions[0, 0] == np.float32(0.2))


def test_none_at_all_when_turned_off(store, reporter):
    assert not Previews(store, reporter, every_s=0).due(hold())


def test_a_slow_store_holds_up_nobody_and_gets_fewer(tmp_path, reporter):
    clock, store = Clock(), SlowStore(tmp_path)
    held, previews = hold(), Previews(store, reporter, 0.4, clock)
    previews.show(held, 1, cloud(0.1))
    assert store.begun.wait(20)
    clock.now += 60
    assert not previews.due(held)
    store.may.set()
    eventually(lambda: previews.due(held))


def test_what_is_being_written_at_the_end_does_not_stay(tmp_path, reporter):
    store = SlowStore(tmp_path)
    held, previews = hold(), Previews(store, reporter, 0.4)
    previews.show(held, 1, cloud(0.1))
    assert store.begun.wait(20)
    closing = threading.Thread(target=previews.close, args=(held,))
    closing.start()
    store.may.set()
    closing.join(20)

    assert not closing.is_alive()
    with pytest.raises(ObjectMissingError):
        store.get(KEY)


def test_what_has_not_begun_at_the_end_is_not_written(tmp_path, reporter):
    store = SlowStore(tmp_path)
    first, second, previews = hold("first"), hold("second"), Previews(store, reporter, 0.4)
    previews.show(first, 1, cloud(0.1))
    assert store.begun.wait(20)
    previews.show(second, 1, cloud(0.1))
    previews.close(second)
    store.may.set()
    previews._pool.shutdown(wait=True)

    assert store.get("first/1/preview.ply")
    with pytest.raises(ObjectMissingError):
        store.get("second/1/preview.ply")


def test_a_store_that_fails_is_logged_and_asked_no_more(tmp_path, reporter, notes, caplog):
    clock, held = Clock(), hold()
    previews = Previews(FullStore(tmp_path), reporter, 0.4, clock)
    reporter.say(held, Progress(20.0, "reconstruct", 1, 9))
    previews.show(held, 1, cloud(0.1))
    eventually(lambda: "no more previews: scripted" in caplog.text)
    previews._pool.shutdown(wait=True)
    clock.now += 60

    assert not previews.due(held)
    assert previews.due(hold("other"))
    assert all(progress.preview is None for progress in notes.told)
    previews.close(held)


def test_after_the_end_of_the_job_nothing_is_reported(store, reporter, notes):
    held = hold()
    reporter.say(held, Progress(20.0, "reconstruct", 1, 9))
    reporter.forget(held)
    reporter.show(held, Preview(KEY, "model/ply", 1, 1, 1))
    later = hold("later")
    reporter.say(later, Progress(1.0, "decode"))
    eventually(lambda: any(progress.stage == "decode" for progress in notes.told))

    assert all(progress.preview is None for progress in notes.told)
