"""What is left of a job after its end, and for how long."""

import pytest

from service.jobs import JobState
from service.queue.contract import JobGoneError, JobNotFoundError
from service.queue.keys import GONE_S, Keys
from service.queue.redis_queue import RedisJobQueue
from service.queue.redis_worker import RedisWorkerQueue
from service.settings import QueueSettings
from tests.polling import eventually_async
from tests.service.queue.kit import MESH, submit

BRIEF = QueueSettings(retention_s=1.0)


async def finished(queue: RedisJobQueue, worker: RedisWorkerQueue, **changes: object) -> str:
    job_id = await submit(queue, **changes)
    [lease] = worker.claim("w", {"draft": 1}, block_ms=0)
    worker.finish(lease, [MESH], {})
    return job_id


async def test_a_final_job_is_gone_after_its_retention(make_queue, make_worker) -> None:
    queue, worker = make_queue(BRIEF), make_worker(BRIEF)
    job_id = await finished(queue, worker, owner="me")
    kept = await submit(queue, owner="me")

    async def gone() -> bool:
        try:
            await queue.get(job_id)
        except JobGoneError:
            return True
        return False

    await eventually_async(gone)
    for call in (queue.get, queue.cancel, queue.delete, queue.place):
        with pytest.raises(JobGoneError):
            await call(job_id)
    with pytest.raises(JobGoneError):
        await anext(queue.events(job_id))
    assert [job.id for job in (await queue.list_jobs("me")).jobs] == [kept]
    assert worker.reap() == [job_id]
    assert worker.reap() == []


async def test_the_memory_of_a_gone_job_fades_too(
    queue: RedisJobQueue, worker: RedisWorkerQueue, raw, prefix: str
) -> None:
    keys = Keys(prefix)
    job_id = await finished(queue, worker)
    retention_ms = QueueSettings().retention_s * 1000
    assert 0 < raw.pttl(keys.job(job_id)) <= retention_ms
    assert 0 < raw.pttl(keys.events(job_id)) <= retention_ms
    assert retention_ms < raw.pttl(keys.gone(job_id)) <= retention_ms + GONE_S * 1000
    raw.delete(keys.job(job_id), keys.events(job_id))
    with pytest.raises(JobGoneError):
        await queue.get(job_id)
    raw.delete(keys.gone(job_id))
    with pytest.raises(JobNotFoundError):
        await queue.get(job_id)


async def test_thousands_of_jobs_leave_nothing_behind_but_their_memory(
    make_queue, make_worker, raw, prefix: str
) -> None:
    queue, worker = make_queue(), make_worker()
    for _ in range(100):
        await finished(queue, worker, owner="me")
    for member in raw.zrange(f"{prefix}:retained", 0, -1):  # as if the retention were over
        raw.zadd(f"{prefix}:retained", {member: 1.0})
        raw.delete(Keys(prefix).job(member.split()[0]), Keys(prefix).events(member.split()[0]))
    assert len(worker.reap(1000)) == 100
    left = {key for key in raw.keys(f"{prefix}:*") if ":gone:" not in key}
    assert left == {
        f"{prefix}:{name}"
        for name in ("jobs:draft:normal", "pace:draft", "bell:draft", "order", "models")
    }


async def test_submits_clean_up_by_themselves(
    queue: RedisJobQueue, worker: RedisWorkerQueue, raw, prefix: str
) -> None:
    job_id = await finished(queue, worker, owner="name with spaces")
    raw.zadd(f"{prefix}:retained", {f"{job_id} name with spaces": 1.0})
    raw.delete(Keys(prefix).job(job_id))
    await submit(queue)
    assert not raw.exists(f"{prefix}:owner:name with spaces")
    assert worker.reap() == [job_id]


async def test_a_page_at_a_time_newest_first(queue: RedisJobQueue) -> None:
    ids = [await submit(queue, owner="me") for _ in range(7)]
    await submit(queue, owner="you")
    pages, cursor = [], None
    while True:
        page = await queue.list_jobs("me", cursor=cursor, limit=3)
        pages.append([job.id for job in page.jobs])
        cursor = page.next_cursor
        if len(pages) == 1:
            await submit(queue, owner="me")  # does not move what the cursor points at
        if cursor is None:
            break
    assert pages == [ids[6:3:-1], ids[3:0:-1], ids[0:1]]


async def test_a_page_of_one_state(queue: RedisJobQueue, worker: RedisWorkerQueue) -> None:
    ids = [await submit(queue) for _ in range(120)]
    for job_id in ids[::2]:
        await queue.cancel(job_id)
    seen, cursor = [], None
    while True:
        page = await queue.list_jobs("anonymous", state=JobState.CANCELED, cursor=cursor, limit=13)
        seen += [job.id for job in page.jobs]
        cursor = page.next_cursor
        if cursor is None:
            break
        assert len(page.jobs) == 13
    assert seen == ids[::2][::-1]
    assert (await queue.list_jobs("anonymous", state=JobState.FAILED)).jobs == ()


@pytest.mark.parametrize("cursor", ["", "x", "-1", "1.5", "+inf", "9" * 30])
async def test_a_foreign_cursor_is_past_the_end(queue: RedisJobQueue, cursor: str) -> None:
    await submit(queue)
    page = await queue.list_jobs("anonymous", cursor=cursor)
    assert (page.jobs, page.next_cursor) == ((), None)
