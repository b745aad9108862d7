"""Several models on one server: whose jobs a worker gets, and that no model holds up another."""

import asyncio

import pytest

from service.jobs import JobState
from service.queue.contract import QueueFullError, QueuePlace, WorkerInfo
from service.queue.keys import Keys
from service.queue.redis_queue import RedisJobQueue
from service.queue.redis_worker import RedisWorkerQueue
from service.settings import QueueSettings
from tests.service.queue.kit import TRY_AGAIN, listening, submit, submit_late


def beat(
    worker: RedisWorkerQueue, name: str, models: tuple[str, ...], state: str = "ready"
) -> None:
    worker.heartbeat(WorkerInfo(name, state, models, "cpu", seen_at=0.0))  # type: ignore[arg-type]


async def test_a_worker_gets_jobs_of_its_own_models_only(
    queue: RedisJobQueue, worker: RedisWorkerQueue
) -> None:
    a, b = await submit(queue, model="a"), await submit(queue, model="b")
    assert [lease.job.id for lease in worker.claim("w", {"a": 9}, block_ms=0)] == [a]
    assert worker.claim("w", {"a": 9}, block_ms=0) == []
    assert (await queue.get(b)).state == JobState.QUEUED
    assert [lease.job.id for lease in worker.claim("x", {"a": 9, "b": 9}, block_ms=0)] == [b]


async def test_a_name_that_begins_another_is_another_model(
    queue: RedisJobQueue, worker: RedisWorkerQueue
) -> None:
    await submit(queue, model="bozzetto-xs")
    assert worker.claim("w", {"bozzetto": 9, "bozzetto-x": 9}, block_ms=0) == []


@pytest.mark.parametrize("left_by", ["death", "release", "failure"])
async def test_a_job_left_behind_goes_to_a_worker_of_its_model(
    queue: RedisJobQueue, worker: RedisWorkerQueue, raw, prefix: str, left_by: str
) -> None:
    job_id = await submit(queue, model="b")
    [lease] = worker.claim("first", {"b": 1}, block_ms=0)
    if left_by == "death":
        raw.zadd(f"{prefix}:leases:b", {job_id: 1.0})
    elif left_by == "release":
        worker.release(lease)
    else:
        worker.fail(lease, TRY_AGAIN)
    assert worker.claim("of a", {"a": 9}, block_ms=0) == []
    [again] = worker.claim("of b", {"a": 9, "b": 9}, block_ms=0)
    assert (again.job.id, again.attempt) == (job_id, lease.attempt + 1)


async def test_models_take_turns_each_by_its_own_priorities(
    queue: RedisJobQueue, worker: RedisWorkerQueue
) -> None:
    a = [await submit(queue, model="a", priority=p) for p in ("low", "high", "normal", "high")]
    b = [await submit(queue, model="b", priority=p) for p in ("low", "normal")]
    leases = worker.claim("w", {"a": 9, "b": 9}, block_ms=0)
    assert [lease.job.id for lease in leases] == [a[1], b[1], a[3], b[0], a[2], a[0]]


async def test_a_long_queue_does_not_starve_another_model(
    queue: RedisJobQueue, worker: RedisWorkerQueue
) -> None:
    for _ in range(50):
        await submit(queue, model="a", priority="high")
    b = [await submit(queue, model="b", priority="low") for _ in range(3)]
    leases = worker.claim("w", {"a": 2, "b": 2}, block_ms=0)
    assert [lease.job.request.model for lease in leases] == ["a", "b", "a", "b"]
    assert [lease.job.id for lease in leases[1::2]] == b[:2]


async def test_no_room_for_a_model_leaves_its_dead_workers_jobs_to_others(
    queue: RedisJobQueue, worker: RedisWorkerQueue, raw, prefix: str
) -> None:
    job_id = await submit(queue, model="a")
    worker.claim("dead", {"a": 1}, block_ms=0)
    raw.zadd(f"{prefix}:leases:a", {job_id: 1.0})
    assert worker.claim("w", {"a": 0, "b": 5}, block_ms=0) == []
    assert [lease.job.id for lease in worker.claim("x", {"a": 1}, block_ms=0)] == [job_id]


def test_a_claim_of_nothing_is_a_mistake(worker: RedisWorkerQueue) -> None:
    with pytest.raises(ValueError, match="model"):
        worker.claim("w", {}, block_ms=0)


async def test_an_idle_worker_hears_the_bell_of_each_of_its_models(
    queue: RedisJobQueue, worker: RedisWorkerQueue, raw
) -> None:
    for model in ("b", "a"):
        waiting = asyncio.create_task(
            asyncio.to_thread(worker.claim, "w", {"a": 1, "b": 1}, block_ms=20_000)
        )
        await listening(raw)
        await submit(queue, model="c")
        job_id = await submit(queue, model=model)
        [lease] = await waiting
        assert lease.job.id == job_id


async def test_the_bound_is_of_each_model(make_queue) -> None:
    queue = make_queue(QueueSettings(max_waiting=2))
    for _ in range(2):
        await submit(queue, model="nobody serves it")
    with pytest.raises(QueueFullError):
        await submit(queue, model="nobody serves it")
    await submit(queue, model="draft")


async def test_place_and_pace_are_of_the_model(
    queue: RedisJobQueue, worker: RedisWorkerQueue, raw, prefix: str
) -> None:
    beat(worker, "w1", ("slow",))
    for model, seconds in (("slow", 100), ("quick", 1)):
        await submit(queue, model=model)
        [lease] = worker.claim("w1", {model: 1}, block_ms=0)
        raw.hset(f"{prefix}:job:{lease.job.id}", "started_at", raw.time()[0] - seconds)
        worker.finish(lease, [], {})
    slow = [await submit(queue, model="slow") for _ in range(3)][-1]
    quick = await submit(queue, model="quick")
    assert await queue.place(quick) == QueuePlace(0, None), "nobody serves it"

    beat(worker, "w2", ("quick", "slow"))
    place = await queue.place(quick)
    assert place is not None
    assert place.position == 0
    assert place.eta_seconds is not None
    assert 0.5 < place.eta_seconds < 30

    place = await queue.place(slow)
    assert place is not None
    assert place.eta_seconds is not None
    assert (place.position, place.eta_seconds > 190) == (2, True), "two workers, two rounds"
    beat(worker, "w2", ("quick", "slow"), "draining")
    assert await queue.place(quick) == QueuePlace(0, None)


async def test_stats_tell_the_models_apart(queue: RedisJobQueue, worker: RedisWorkerQueue) -> None:
    for model in ("a", "a", "b"):
        await submit(queue, model=model)
    worker.claim("w", {"a": 1}, block_ms=0)
    beat(worker, "w1", ("a", "c"))
    beat(worker, "w2", ("a",), "busy")
    beat(worker, "w3", ("b",), "starting")
    stats = await queue.stats()
    assert {name: (of.waiting, of.running) for name, of in stats.models.items()} == {
        "a": (1, 1),
        "b": (1, 0),
    }
    assert (stats.waiting, stats.running) == (2, 1)
    assert stats.served == {"a", "c"}
    assert [stats.serving(model) for model in "abc"] == [2, 0, 1]
    assert stats.of("c").waiting == 0


async def test_jobs_of_the_time_of_one_queue_can_end(
    queue: RedisJobQueue, worker: RedisWorkerQueue, raw, prefix: str
) -> None:
    late, canceled = await submit_late(queue, raw), await submit(queue)
    for job_id in (late, canceled):
        raw.hdel(f"{prefix}:job:{job_id}", "model")
    assert worker.claim("w", {"other": 1}, block_ms=0) == []
    assert (await queue.cancel(canceled)).state == JobState.CANCELED
    assert (await queue.delete(late)).state == JobState.EXPIRED
    await queue.delete(canceled)


def test_a_hash_tag_in_the_prefix_holds_all_keys_in_one_slot() -> None:
    keys = Keys("{b}")
    made = (keys.stream("m", "low"), keys.bell("m"), keys.job("1"), keys.events("1"))
    assert all(key.startswith("{b}:") for key in (*keys.vector, *made))
