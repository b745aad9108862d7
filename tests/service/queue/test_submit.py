"""Submitting once, twice, too often, and with a server that has no room."""

import asyncio

import pytest

from service.jobs import JobState, new_job_id
from service.queue.contract import (
    IdempotencyConflictError,
    QueueFullError,
    QueueUnreachableError,
)
from service.queue.redis_queue import RedisJobQueue
from service.queue.redis_worker import RedisWorkerQueue
from service.settings import QueueSettings
from tests.service.queue.kit import HOPELESS, MESH, make_request, submit, submit_late


async def again(queue: RedisJobQueue, key: str = "k", body: str = "b", **changes: str):
    return await queue.submit(
        new_job_id(), make_request(**changes), idempotency_key=key, body_hash=body
    )


async def test_the_same_key_and_body_bring_back_the_earlier_job(
    queue: RedisJobQueue, worker: RedisWorkerQueue
) -> None:
    first, second = await again(queue), await again(queue)
    assert (first.created, second.created) == (True, False)
    assert second.job == first.job
    [lease] = worker.claim("w", {"draft": 5}, block_ms=0)
    worker.finish(lease, [MESH], {})
    third = await again(queue)
    assert (third.created, third.job.state) == (False, JobState.SUCCEEDED)


async def test_the_same_key_with_another_body_is_a_conflict(queue: RedisJobQueue) -> None:
    await again(queue)
    with pytest.raises(IdempotencyConflictError):
        await again(queue, body="other")
    assert (await queue.stats()).waiting == 1


async def test_keys_of_different_callers_do_not_meet(queue: RedisJobQueue) -> None:
    mine = await again(queue, owner="a", key="b:k")
    theirs = await again(queue, owner="a:b", key="k")
    assert theirs.created
    assert mine.job.id != theirs.job.id


async def test_a_key_whose_job_was_deleted_makes_a_new_one(queue: RedisJobQueue) -> None:
    first = await again(queue)
    await queue.cancel(first.job.id)
    await queue.delete(first.job.id)
    second = await again(queue)
    assert second.created
    assert second.job.id != first.job.id


async def test_keys_are_forgotten_in_time(make_queue, raw, prefix: str) -> None:
    await again(make_queue(QueueSettings(idempotency_s=60)))
    [key] = raw.keys(f"{prefix}:idempotency:*")
    assert 0 < raw.pttl(key) <= 60_000


async def test_many_at_once_with_one_key_make_one_job(queue: RedisJobQueue) -> None:
    answers = await asyncio.gather(*(again(queue) for _ in range(20)))
    assert sum(answer.created for answer in answers) == 1
    assert len({answer.job.id for answer in answers}) == 1


async def test_a_repeat_of_one_submit_is_the_same_submit(queue: RedisJobQueue) -> None:
    """A client library that lost the answer sends the same command again."""
    job_id = new_job_id()
    for _ in range(2):
        submitted = await queue.submit(job_id, make_request(), idempotency_key="k", body_hash="b")
        assert (submitted.created, submitted.job.id) == (True, job_id)
    assert (await queue.stats()).waiting == 1


async def test_a_full_queue_says_when_to_come_back(make_queue, worker: RedisWorkerQueue) -> None:
    queue = make_queue(QueueSettings(max_waiting=3))
    ids = [await submit(queue) for _ in range(3)]
    with pytest.raises(QueueFullError) as full:
        await submit(queue)
    assert 1 <= full.value.retry_after_s <= 60
    [lease] = worker.claim("w", {"draft": 1}, block_ms=0)
    await submit(queue)
    with pytest.raises(QueueFullError):
        await submit(queue)
    worker.finish(lease, [], {})
    with pytest.raises(QueueFullError) as full:
        await submit(queue)
    assert full.value.retry_after_s == 1, "jobs are known to be quick by now"
    await queue.cancel(ids[2])
    await submit(queue)


async def test_a_full_queue_still_knows_its_idempotency_keys(make_queue) -> None:
    queue = make_queue(QueueSettings(max_waiting=1))
    first = await again(queue)
    assert (await again(queue)).job.id == first.job.id


async def test_expired_jobs_make_room_in_a_full_queue(make_queue, raw) -> None:
    queue = make_queue(QueueSettings(max_waiting=2))
    late = [await submit_late(queue, raw) for _ in range(2)]
    await submit(queue)
    assert [(await queue.get(job_id)).state for job_id in late] == [JobState.EXPIRED] * 2


async def test_a_server_out_of_memory_refuses_new_jobs_and_finishes_old_ones(
    queue: RedisJobQueue, worker: RedisWorkerQueue, raw, prefix: str
) -> None:
    ids = [await submit(queue, deadline_s=3600.0) for _ in range(2)]
    [running] = worker.claim("w", {"draft": 1}, block_ms=0)
    before = {key: raw.dump(key) for key in raw.keys(f"{prefix}:*")}
    raw.config_set("maxmemory", 1)
    try:
        with pytest.raises(QueueUnreachableError, match="maxmemory"):
            await queue.submit(
                new_job_id(),
                make_request(deadline_s=60.0),
                idempotency_key="k",
                body_hash="b",
            )
        assert {key: raw.dump(key) for key in raw.keys(f"{prefix}:*")} == before

        worker.finish(running, [MESH], {"gpu_seconds": 1.0})
        [second] = worker.claim("w", {"draft": 1}, block_ms=0)
        assert worker.renew("w", [second])[0].owned
        worker.fail(second, HOPELESS)
    finally:
        raw.config_set("maxmemory", 0)
    states = [(await queue.get(job_id)).state for job_id in ids]
    assert states == [JobState.SUCCEEDED, JobState.FAILED]
    assert (await again(queue)).created
