"""Who gets which job, and who keeps it: order, ageing, leases, fencing, deadlines."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.jobs import JobState, Progress
from service.queue import redis_worker
from service.queue.contract import JobFinalError, Lease, StaleLeaseError
from service.queue.redis_queue import RedisJobQueue
from service.queue.redis_worker import RedisWorkerQueue
from service.settings import QueueSettings
from tests.service.queue.kit import HOPELESS, MESH, TRY_AGAIN, listening, submit, submit_late

SHORT_LEASE = QueueSettings(lease_s=0.2)


async def test_by_priority_then_in_order_of_submit(
    queue: RedisJobQueue, worker: RedisWorkerQueue
) -> None:
    ids = {
        priority: [await submit(queue, priority=priority) for _ in range(3)]
        for priority in ("low", "normal", "high")
    }
    claimed = [lease.job.id for lease in worker.claim("w", {"draft": 20}, block_ms=0)]
    assert claimed == ids["high"] + ids["normal"] + ids["low"]


async def test_no_more_than_asked_for(queue: RedisJobQueue, worker: RedisWorkerQueue) -> None:
    ids = [await submit(queue) for _ in range(5)]
    claimed = [
        [lease.job.id for lease in worker.claim("w", {"draft": 2}, block_ms=0)] for _ in range(4)
    ]
    assert claimed == [ids[0:2], ids[2:4], ids[4:5], []]


async def test_an_old_low_job_gets_one_of_four_picks(queue: RedisJobQueue, make_worker) -> None:
    worker = make_worker(ageing_s=0.0)
    old = [await submit(queue, priority="low") for _ in range(2)]
    young = [await submit(queue, priority="high") for _ in range(8)]
    order = [worker.claim("w", {"draft": 1}, block_ms=0)[0].job.id for _ in range(10)]
    assert order == [old[0], *young[0:3], old[1], *young[3:8]]


async def test_a_young_low_job_waits_for_all_high_ones(queue: RedisJobQueue, make_worker) -> None:
    worker = make_worker(ageing_s=3600.0)
    low = await submit(queue, priority="low")
    high = [await submit(queue, priority="high") for _ in range(8)]
    assert [lease.job.id for lease in worker.claim("w", {"draft": 9}, block_ms=0)] == [*high, low]


async def test_an_idle_worker_wakes_for_a_new_job(
    queue: RedisJobQueue, worker: RedisWorkerQueue, raw, prefix: str
) -> None:
    waiting = asyncio.create_task(
        asyncio.to_thread(worker.claim, "w", {"draft": 1}, block_ms=20_000)
    )
    await listening(raw)
    job_id = await submit(queue)
    [lease] = await waiting
    assert lease.job.id == job_id
    assert raw.xlen(f"{prefix}:bell:draft") == 1


async def test_an_idle_worker_wakes_for_a_job_handed_back(
    queue: RedisJobQueue, worker: RedisWorkerQueue, raw, prefix: str
) -> None:
    job_id = await submit(queue)
    [lease] = worker.claim("a", {"draft": 1}, block_ms=0)
    waiting = asyncio.create_task(
        asyncio.to_thread(worker.claim, "b", {"draft": 1}, block_ms=20_000)
    )
    await listening(raw)
    before = raw.xrevrange(f"{prefix}:bell:draft")
    worker.release(lease)
    assert [lease.job.id for lease in await waiting] == [job_id]
    assert raw.xrevrange(f"{prefix}:bell:draft") > before


async def test_close_ends_a_waiting_claim(
    make_worker, raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_worker, "LISTEN_S", 0.1)
    worker = make_worker()
    waiting = asyncio.create_task(
        asyncio.to_thread(worker.claim, "w", {"draft": 1}, block_ms=60_000)
    )
    await listening(raw)
    worker.close()
    assert await asyncio.wait_for(waiting, 10) == []


async def test_many_claimers_and_each_job_has_one_winner(queue: RedisJobQueue, make_worker) -> None:
    ids = [await submit(queue) for _ in range(60)]
    workers = [make_worker() for _ in range(4)]
    barrier = threading.Barrier(4)

    def race(index: int) -> list[str]:
        barrier.wait()
        won: list[str] = []
        while leases := workers[index].claim(f"w{index}", {"draft": 3}, block_ms=0):
            won += [lease.job.id for lease in leases]
        return won

    with ThreadPoolExecutor(4) as pool:
        won = [job_id for part in pool.map(race, range(4)) for job_id in part]
    assert sorted(won) == sorted(ids)


async def test_an_expired_lease_is_taken_over_once_and_the_old_one_is_refused(
    make_queue, make_worker
) -> None:
    queue = make_queue(SHORT_LEASE)
    job_id = await submit(queue)
    stale_worker, *rivals = [make_worker(SHORT_LEASE) for _ in range(3)]
    [stale] = stale_worker.claim("stale", {"draft": 1}, block_ms=0)
    barrier = threading.Barrier(2)
    done = threading.Event()

    def take_over(rival: RedisWorkerQueue) -> list[Lease]:
        barrier.wait()
        won: list[Lease] = []
        while not won and not done.is_set():
            won = rival.claim(f"rival{id(rival)}", {"draft": 1}, block_ms=50)
        done.set()
        return won

    with ThreadPoolExecutor(2) as pool:
        winners = [lease for part in pool.map(take_over, rivals) for lease in part]
    [lease] = winners
    assert (lease.job.id, lease.attempt, lease.job.attempt) == (job_id, 2, 2)

    for late in (
        lambda: stale_worker.finish(stale, [MESH], {}),
        lambda: stale_worker.fail(stale, HOPELESS),
        lambda: stale_worker.canceled(stale),
        lambda: stale_worker.release(stale),
        lambda: stale_worker.progress(stale, Progress(99.0)),
    ):
        with pytest.raises(StaleLeaseError):
            late()
    assert not stale_worker.renew("stale", [stale])[0].owned
    job = await queue.get(job_id)
    assert (job.attempt, job.artifacts, job.progress.percent) == (2, (), 0.0)
    rivals[0].finish(lease, [MESH], {})


async def test_renewal_keeps_the_lease(make_queue, make_worker, raw, prefix: str) -> None:
    queue, worker = make_queue(SHORT_LEASE), make_worker(SHORT_LEASE)
    job_id = await submit(queue)
    [lease] = worker.claim("w", {"draft": 1}, block_ms=0)
    raw.zadd(f"{prefix}:leases:draft", {job_id: 1.0})  # as if its time were over
    [status] = worker.renew("w", [lease])
    assert (status.owned, status.cancel_requested, status.deadline_passed) == (True, False, False)
    assert raw.zscore(f"{prefix}:leases:draft", job_id) > raw.time()[0]
    assert worker.renew("w", []) == []


async def test_a_blocked_claim_returns_when_a_lease_runs_out(make_queue, make_worker) -> None:
    queue, worker = make_queue(SHORT_LEASE), make_worker(SHORT_LEASE)
    await submit(queue)
    worker.claim("dead", {"draft": 1}, block_ms=0)
    [lease] = worker.claim("w", {"draft": 1}, block_ms=20_000)
    assert lease.attempt == 2


async def test_three_lost_workers_end_the_job(
    queue: RedisJobQueue, worker: RedisWorkerQueue, raw, prefix: str
) -> None:
    job_id = await submit(queue)
    [lease] = worker.claim("w", {"draft": 1}, block_ms=0)
    worker.fail(lease, TRY_AGAIN)
    for attempt in (2, 3):
        [lease] = worker.claim("w", {"draft": 1}, block_ms=0)
        assert lease.job.attempt == attempt
        raw.zadd(f"{prefix}:leases:draft", {job_id: 1.0})
    assert worker.claim("w", {"draft": 1}, block_ms=0) == []
    job = await queue.get(job_id)
    assert job.state == JobState.FAILED
    assert job.error is not None
    assert (job.error.code, job.error.retryable) == ("worker_lost", False)
    assert "out_of_memory: no room" in job.error.detail


async def test_queued_past_the_deadline_expires_without_any_worker(
    queue: RedisJobQueue, raw
) -> None:
    job = await queue.get(await submit_late(queue, raw))
    assert (job.state, job.error) == (JobState.EXPIRED, None)
    await submit_late(queue, raw)
    listed = await queue.list_jobs("anonymous")
    assert [job.state for job in listed.jobs] == [JobState.EXPIRED, JobState.EXPIRED]


async def test_queued_past_the_deadline_cannot_be_canceled(queue: RedisJobQueue, raw) -> None:
    job_id = await submit_late(queue, raw)
    with pytest.raises(JobFinalError) as refused:
        await queue.cancel(job_id)
    assert refused.value.state == JobState.EXPIRED


async def test_queued_past_the_deadline_is_not_given_out(
    queue: RedisJobQueue, worker: RedisWorkerQueue, raw
) -> None:
    late = await submit_late(queue, raw)
    fine = await submit(queue, deadline_s=600.0)
    assert [lease.job.id for lease in worker.claim("w", {"draft": 5}, block_ms=0)] == [fine]
    assert (await queue.get(late)).state == JobState.EXPIRED


@pytest.mark.parametrize("given_back", [False, True])
async def test_more_jobs_past_their_deadline_than_one_sweep_takes(
    queue: RedisJobQueue, worker: RedisWorkerQueue, raw, prefix: str, given_back: bool
) -> None:
    ids = [await submit(queue, deadline_s=600.0) for _ in range(40)]
    if given_back:
        for lease in worker.claim("w", {"draft": 40}, block_ms=0):
            worker.release(lease)
    for job_id in ids:
        raw.hset(f"{prefix}:job:{job_id}", "deadline_at", "1.0")
        raw.zadd(f"{prefix}:deadlines", {job_id: 1.0})
    assert worker.claim("w", {"draft": 40}, block_ms=0) == []
    assert {(await queue.get(job_id)).state for job_id in ids} == {JobState.EXPIRED}


async def test_the_worker_hears_that_the_deadline_has_passed(
    queue: RedisJobQueue, worker: RedisWorkerQueue, raw, prefix: str
) -> None:
    job_id = await submit(queue, deadline_s=600.0)
    [lease] = worker.claim("w", {"draft": 1}, block_ms=0)
    assert not worker.renew("w", [lease])[0].deadline_passed
    raw.hset(f"{prefix}:job:{job_id}", "deadline_at", "1.0")
    assert worker.renew("w", [lease])[0].deadline_passed
    assert (await queue.get(job_id)).state == JobState.RUNNING
    worker.fail(lease, TRY_AGAIN)
    assert (await queue.get(job_id)).state == JobState.FAILED, "no time for another attempt"


@pytest.mark.parametrize("seen_by", ["claim", "get"])
async def test_a_lost_worker_past_the_deadline_ends_the_job(
    queue: RedisJobQueue, worker: RedisWorkerQueue, raw, prefix: str, seen_by: str
) -> None:
    job_id = await submit(queue, deadline_s=600.0)
    worker.claim("w", {"draft": 1}, block_ms=0)
    raw.hset(f"{prefix}:job:{job_id}", "deadline_at", "1.0")
    raw.zadd(f"{prefix}:leases:draft", {job_id: 1.0})
    if seen_by == "claim":
        assert worker.claim("w", {"draft": 1}, block_ms=0) == []
    job = await queue.get(job_id)
    assert job.error is not None
    assert (job.state, job.error.code) == (JobState.FAILED, "deadline_exceeded")


async def test_a_lost_worker_of_a_canceled_job_ends_it(
    queue: RedisJobQueue, worker: RedisWorkerQueue, raw, prefix: str
) -> None:
    job_id = await submit(queue)
    worker.claim("w", {"draft": 1}, block_ms=0)
    await queue.cancel(job_id)
    raw.zadd(f"{prefix}:leases:draft", {job_id: 1.0})
    assert (await queue.get(job_id)).state == JobState.CANCELED


async def test_more_ended_jobs_than_one_call_settles(
    queue: RedisJobQueue, worker: RedisWorkerQueue, raw, prefix: str
) -> None:
    ids = [await submit(queue) for _ in range(100)]
    worker.claim("w", {"draft": 100}, block_ms=0)
    for job_id in ids:
        raw.hset(f"{prefix}:job:{job_id}", "cancel", "1")
        raw.zadd(f"{prefix}:leases:draft", {job_id: 1.0})
    fresh = await submit(queue)
    [lease] = worker.claim("w", {"draft": 5}, block_ms=10_000)
    assert lease.job.id == fresh
    assert raw.zcard(f"{prefix}:leases:draft") == 1


async def test_jobs_survive_a_stream_that_was_removed_by_hand(
    queue: RedisJobQueue, worker: RedisWorkerQueue, raw, prefix: str
) -> None:
    ids = [await submit(queue) for _ in range(3)]
    raw.delete(f"{prefix}:jobs:draft:normal")
    leases = worker.claim("w", {"draft": 5}, block_ms=10_000)
    assert sorted(lease.job.id for lease in leases) == sorted(ids)
    for lease in leases:
        worker.finish(lease, [], {})
