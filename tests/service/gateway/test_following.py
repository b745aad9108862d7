import asyncio
from typing import Any

import pytest

from service.gateway.dependencies import Gateway
from service.gateway.following import open_events, until_draining, wait_until_final
from service.gateway.limits import ApiKeys, RateLimit
from service.queue.contract import JobEvent, QueueUnreachableError
from service.settings import Settings


class Queue:
    """Gives these events, then waits for ever; notes when its readers have gone."""

    def __init__(self, *events, error=None):
        self.coming, self.error, self.open = events, error, 0

    async def events(self, job_id, after=None):
        self.open += 1
        try:
            for event in self.coming:
                yield event
            if self.error:
                raise self.error
            await asyncio.Event().wait()
        finally:
            self.open -= 1


class Request:
    """A client that stays until told to leave."""

    def __init__(self):
        self.left = asyncio.Event()

    async def receive(self):
        await self.left.wait()
        return {"type": "http.disconnect"}


def make_queue(*events, error=None) -> Any:
    return Queue(*events, error=error)


def make_request() -> Any:
    return Request()


def make_gateway(queue, tmp_path) -> Gateway:
    store: Any = None
    return Gateway(Settings(data_dir=tmp_path), queue, store, ApiKeys([]), RateLimit(0))


STATE, DONE = JobEvent("1-0", "state", {}), JobEvent("2-0", "done", {})


async def test_reading_stops_with_the_block(tmp_path):
    queue = make_queue(STATE, DONE)
    async with open_events(queue, "j") as events:
        assert await anext(events) == STATE
        assert queue.open == 1
    assert queue.open == 0


@pytest.mark.parametrize("end", ["done", "time", "left", "draining", "error"])
async def test_a_wait_ends_and_leaves_nothing_open(tmp_path, end):
    queue = make_queue(
        *([STATE, DONE] if end == "done" else [STATE]),
        error=QueueUnreachableError("away") if end == "error" else None,
    )
    gateway, request = make_gateway(queue, tmp_path), make_request()
    if end == "left":
        request.left.set()
    if end == "draining":
        gateway.draining.set()
    async with asyncio.timeout(10):
        await wait_until_final(gateway, request, "j", 0.01 if end == "time" else 60)
    assert queue.open == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_draining_cuts_a_stream_that_says_nothing(tmp_path):
    queue = make_queue(STATE)
    gateway = make_gateway(queue, tmp_path)
    seen = []
    async with asyncio.timeout(10), open_events(queue, "j") as events:
        async for event in until_draining(gateway, events):
            seen.append(event)
            asyncio.get_running_loop().call_soon(gateway.draining.set)
    assert seen == [STATE]
    assert queue.open == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_errors_of_the_queue_reach_the_stream(tmp_path):
    queue = make_queue(STATE, error=QueueUnreachableError("away"))
    gateway = make_gateway(queue, tmp_path)
    async with open_events(queue, "j") as events:
        stream = until_draining(gateway, events)
        assert await anext(stream) == STATE
        with pytest.raises(QueueUnreachableError):
            await anext(stream)
