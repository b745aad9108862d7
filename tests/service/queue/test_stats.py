"""Place in the queue, guesses of time, heartbeats."""

import json

from service.queue.contract import ModelQueue, QueuePlace, WorkerInfo
from service.queue.estimate import eta_seconds, retry_after_s
from service.queue.keys import WORKER_TTL_S
from service.queue.redis_queue import RedisJobQueue
from service.queue.redis_worker import RedisWorkerQueue
from tests.service.queue.kit import TRY_AGAIN, submit

INFO = WorkerInfo("w1", "ready", ("draft",), "cpu", seen_at=0.0)


def test_eta_counts_rounds_of_what_runs_side_by_side() -> None:
    assert eta_seconds(0, 2.0, workers=1, running=0) == 2.0
    assert eta_seconds(7, 2.0, workers=1, running=8) == 2.0
    assert eta_seconds(8, 2.0, workers=1, running=8) == 4.0
    assert eta_seconds(3, 2.0, workers=2, running=0) == 4.0
    assert eta_seconds(3, None, workers=2, running=0) is None
    assert eta_seconds(3, 2.0, workers=0, running=1) is None


def test_retry_after_is_bounded() -> None:
    assert retry_after_s(1000, None, running=0) == 5
    assert retry_after_s(1000, 0.001, running=8) == 1
    assert retry_after_s(1000, 2.0, running=8) == 25
    assert retry_after_s(1000, 60.0, running=1) == 60


async def test_places(queue: RedisJobQueue, worker: RedisWorkerQueue) -> None:
    first, second = await submit(queue), await submit(queue)
    low, high = await submit(queue, priority="low"), await submit(queue, priority="high")
    expected = {high: 0, first: 1, second: 2, low: 3}
    assert {job_id: await queue.place(job_id) for job_id in expected} == {
        job_id: QueuePlace(position, None) for job_id, position in expected.items()
    }
    [lease] = worker.claim("w", {"draft": 1}, block_ms=0)
    assert lease.job.id == high
    assert await queue.place(high) is None
    worker.fail(lease, TRY_AGAIN)
    assert await queue.place(high) == QueuePlace(0, None)
    assert await queue.place(low) == QueuePlace(3, None)


async def test_eta_from_what_jobs_took(
    queue: RedisJobQueue, worker: RedisWorkerQueue, raw, prefix: str
) -> None:
    worker.heartbeat(INFO)
    await submit(queue)
    [lease] = worker.claim("w1", {"draft": 1}, block_ms=0)
    raw.hset(f"{prefix}:job:{lease.job.id}", "started_at", raw.time()[0] - 10)
    worker.finish(lease, [], {})
    job_id = await submit(queue)
    place = await queue.place(job_id)
    assert place is not None
    assert place.eta_seconds is not None
    assert 9 < place.eta_seconds < 30

    [lease] = worker.claim("w1", {"draft": 1}, block_ms=0)
    worker.finish(lease, [], {})  # at once: the average moves a fifth of the way
    assert 7 < float(raw.get(f"{prefix}:pace:draft")) < 24


async def test_stats_count_and_tell_the_oldest(
    queue: RedisJobQueue, worker: RedisWorkerQueue, raw, prefix: str
) -> None:
    empty = await queue.stats()
    assert (empty.waiting, empty.running, empty.bound, empty.workers) == (0, 0, 1_000, ())
    assert empty.of("draft") == ModelQueue(0, 0, 0.0)
    job_id = await submit(queue, priority="low")
    raw.zadd(f"{prefix}:waiting:draft:low", {job_id: raw.time()[0] - 20})
    await submit(queue, priority="high")
    worker.claim("w", {"draft": 1}, block_ms=0)
    stats = await queue.stats()
    assert (stats.waiting, stats.running) == (1, 1)
    assert 19 < stats.of("draft").oldest_waiting_s < 50


async def test_heartbeats_come_and_go(
    queue: RedisJobQueue, worker: RedisWorkerQueue, raw, prefix: str
) -> None:
    worker.heartbeat(INFO)
    worker.heartbeat(WorkerInfo("w2", "starting", (), "cuda", seen_at=0.0))
    worker.heartbeat(WorkerInfo("w2", "busy", ("a", "b"), "cuda", seen_at=0.0))
    one, two = (await queue.stats()).workers
    assert (one.id, one.state, one.models, one.device) == ("w1", "ready", ("draft",), "cpu")
    assert (two.state, two.models) == ("busy", ("a", "b"))
    assert abs(one.seen_at - raw.time()[0]) < 10
    assert 0 < raw.pttl(f"{prefix}:worker:w1") <= WORKER_TTL_S * 1000

    worker.goodbye("w2")
    assert [info.id for info in (await queue.stats()).workers] == ["w1"]
    raw.zadd(f"{prefix}:workers", {"w1": raw.time()[0] - WORKER_TTL_S - 1})
    assert (await queue.stats()).workers == ()
    worker.heartbeat(WorkerInfo("w3", "ready", (), "cpu", seen_at=0.0))
    assert raw.zrange(f"{prefix}:workers", 0, -1) == ["w3"]
    assert json.loads(raw.get(f"{prefix}:worker:w3"))["id"] == "w3"


async def test_workers_of_the_past_leave_the_groups(
    queue: RedisJobQueue, worker: RedisWorkerQueue, raw, prefix: str
) -> None:
    def consumers() -> set[str]:
        return {c["name"] for c in raw.xinfo_consumers(f"{prefix}:jobs:draft:normal", "workers")}

    await submit(queue)
    worker.finish(worker.claim("idle", {"draft": 1}, block_ms=0)[0], [], {})
    await submit(queue)
    [lease] = worker.claim("dead", {"draft": 1}, block_ms=0)
    assert consumers() == {"idle", "dead"}
    worker.heartbeat(INFO)
    assert consumers() == {"dead"}, "with a job pending, its consumer stays"
    raw.zadd(f"{prefix}:leases:draft", {lease.job.id: 1.0})
    [taken] = worker.claim("w1", {"draft": 1}, block_ms=0)
    worker.heartbeat(INFO)
    assert consumers() == {"w1"}
    worker.finish(taken, [], {})
    worker.goodbye("w1")
    assert consumers() == set()
