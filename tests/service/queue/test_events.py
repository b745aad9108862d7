"""A job's history: replay, live, and its end."""

import asyncio
from itertools import pairwise

import pytest

from service.jobs import Progress
from service.queue import redis_queue
from service.queue.contract import JobEvent
from service.queue.keys import Keys
from service.queue.redis_queue import RedisJobQueue
from service.queue.redis_worker import RedisWorkerQueue
from tests.polling import eventually_async
from tests.service.queue.kit import MESH, submit


async def collect(queue: RedisJobQueue, job_id: str, after: str | None = None) -> list[JobEvent]:
    async with asyncio.timeout(30):
        return [event async for event in queue.events(job_id, after)]


def short(events: list[JobEvent]) -> list[object]:
    return [event.data.get("state", event.data.get("step")) for event in events]


async def run(queue: RedisJobQueue, worker: RedisWorkerQueue, steps: int) -> str:
    job_id = await submit(queue)
    [lease] = worker.claim("w", {"draft": 1}, block_ms=0)
    for step in range(1, steps + 1):
        worker.progress(lease, Progress(100 * step / steps, "reconstruct", step, steps))
    worker.finish(lease, [MESH], {})
    return job_id


async def test_the_whole_history_then_the_end(
    queue: RedisJobQueue, worker: RedisWorkerQueue
) -> None:
    job_id = await run(queue, worker, steps=2)
    events = await collect(queue, job_id)
    assert [event.kind for event in events] == [
        "state", "state", "progress", "progress", "state", "done",
    ]  # fmt: skip
    assert short(events) == ["queued", "running", 1, 2, "succeeded", "succeeded"]
    half = {"percent": 50, "stage": "reconstruct", "step": 1, "steps": 2, "preview": None}
    assert events[2].data == half


async def test_replay_starts_after_the_last_event_seen(
    queue: RedisJobQueue, worker: RedisWorkerQueue
) -> None:
    job_id = await run(queue, worker, steps=3)
    events = await collect(queue, job_id)
    for seen in range(len(events)):
        assert await collect(queue, job_id, events[seen].id) == events[seen + 1 :]


@pytest.mark.parametrize("after", ["", "nonsense", "1-2-3", "-", "9" * 40, "1'0"])
async def test_an_id_that_is_none_replays_everything(
    queue: RedisJobQueue, worker: RedisWorkerQueue, after: str
) -> None:
    job_id = await run(queue, worker, steps=1)
    assert len(await collect(queue, job_id, after)) == 5


async def test_an_id_of_the_future_ends_at_once(
    queue: RedisJobQueue, worker: RedisWorkerQueue
) -> None:
    job_id = await run(queue, worker, steps=1)
    assert await collect(queue, job_id, "9999999999999999-0") == []


async def test_a_follower_sees_each_event_as_it_happens(
    queue: RedisJobQueue, worker: RedisWorkerQueue
) -> None:
    job_id = await submit(queue)
    async with asyncio.timeout(30):
        events = queue.events(job_id)
        assert (await anext(events)).data == {"state": "queued"}
        [lease] = worker.claim("w", {"draft": 1}, block_ms=0)
        assert (await anext(events)).data == {"state": "running"}
        worker.progress(lease, Progress(50.0, "reconstruct", 1, 2))
        assert (await anext(events)).kind == "progress"
        worker.finish(lease, [], {})
        assert [event.kind async for event in events] == ["state", "done"]


async def test_news_come_by_the_call_and_not_by_looking_again(
    queue: RedisJobQueue, worker: RedisWorkerQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_queue, "LOOK_AGAIN_S", 1e6)
    job_id = await submit(queue)
    followers = [asyncio.create_task(collect(queue, job_id)) for _ in range(5)]
    [lease] = worker.claim("w", {"draft": 1}, block_ms=0)
    await asyncio.sleep(0)
    worker.finish(lease, [], {})
    for events in await asyncio.gather(*followers):
        assert short(events) == ["queued", "running", "succeeded", "succeeded"]


async def test_followers_come_and_go_on_one_connection(
    queue: RedisJobQueue, worker: RedisWorkerQueue, raw, prefix: str
) -> None:
    ids = [await submit(queue) for _ in range(30)]
    followers = [asyncio.create_task(collect(queue, job_id)) for job_id in ids for _ in (0, 1)]
    channels = {Keys(prefix).events(job_id) for job_id in ids}

    async def all_followed() -> bool:
        return set(raw.pubsub_channels(f"{prefix}:*")) == channels

    await eventually_async(all_followed)
    assert len([c for c in raw.client_list() if int(c["sub"])]) == 1
    for follower in followers[::2]:
        follower.cancel()
    for lease in worker.claim("w", {"draft": 30}, block_ms=0):
        worker.finish(lease, [], {})
    for events in await asyncio.gather(*followers[1::2]):
        assert events[-1].kind == "done"

    async def none_followed() -> bool:
        return not raw.pubsub_channels(f"{prefix}:*")

    await eventually_async(none_followed)


async def test_following_goes_on_after_the_connections_were_cut(
    queue: RedisJobQueue, worker: RedisWorkerQueue, raw
) -> None:
    job_id = await submit(queue)
    async with asyncio.timeout(30):
        events = queue.events(job_id)
        await anext(events)
        [lease] = worker.claim("w", {"draft": 1}, block_ms=0)
        raw.client_kill_filter(_type="pubsub")
        raw.client_kill_filter(_type="normal", skipme=True)
        worker.finish(lease, [], {})
        assert short([event async for event in events]) == ["running", "succeeded", "succeeded"]


async def test_expiry_by_deadline_is_an_event_too(
    queue: RedisJobQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_queue, "LOOK_AGAIN_S", 0.05)
    job_id = await submit(queue, deadline_s=0.1)
    assert short(await collect(queue, job_id)) == ["queued", "expired", "expired"]


async def test_history_is_bounded_and_long_ones_are_read_whole(
    queue: RedisJobQueue, worker: RedisWorkerQueue
) -> None:
    events = await collect(queue, await run(queue, worker, steps=400))
    assert len(events) == 404
    events = await collect(queue, await run(queue, worker, steps=1_000))
    assert 512 <= len(events) <= 650
    assert events[-1].kind == "done"
    parts = [tuple(map(int, event.id.split("-"))) for event in events]
    assert all(earlier < later for earlier, later in pairwise(parts))


async def test_a_job_that_goes_away_meanwhile_ends_the_story(
    queue: RedisJobQueue, raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_queue, "LOOK_AGAIN_S", 0.05)
    events = queue.events(await submit(queue))
    async with asyncio.timeout(30):
        assert (await anext(events)).data == {"state": "queued"}
        raw.flushall()
        assert [event async for event in events] == []
