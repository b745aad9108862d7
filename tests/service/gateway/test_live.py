"""What only a real server shows: bodies that stream, event streams, clients that leave."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest
import pytest_asyncio

from models.catalog import DEFAULT_MODEL
from service.jobs import Progress
from service.queue.redis_worker import RedisWorkerQueue
from service.settings import QueueSettings
from tests.polling import eventually_async
from tests.service.gateway.kit import picture
from tests.service.gateway.live import MAX_BYTES

HEAD = "POST /reconstruct HTTP/1.1\r\nHost: gateway\r\n"


def start(redis_url, root):
    return subprocess.Popen(
        [sys.executable, "-m", "tests.service.gateway.live", redis_url, str(root)],
        stdout=subprocess.PIPE,
        text=True,
    )


def stop(process, how=signal.SIGTERM):
    if process.poll() is None:
        process.send_signal(how)
    code = process.wait(timeout=20)
    process.stdout.close()
    return code


@pytest.fixture(scope="module")
def port(_redis_server, tmp_path_factory) -> Iterator[int]:
    process = start(_redis_server.url, tmp_path_factory.mktemp("live"))
    yield int(process.stdout.readline())
    stop(process)


@pytest.fixture
def worker(redis_url) -> Iterator[RedisWorkerQueue]:
    made = RedisWorkerQueue.from_url(redis_url, QueueSettings())
    yield made
    made.close()


@pytest_asyncio.fixture
async def http(port, redis_url) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
        yield client


@dataclass
class Event:
    id: str | None = None
    kind: str | None = None
    data: object = None
    retry: str | None = None


class Events:
    """The event stream of one connection, one event or comment at a time."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines: AsyncIterator[str] = response.aiter_lines()

    async def next(self) -> Event | str | None:
        event, seen = Event(), False
        async for line in self._lines:
            if line.startswith(":"):
                await anext(self._lines)
                return line
            if not line:
                if seen:
                    return event
                continue
            seen = True
            name, _, value = line.partition(": ")
            match name:
                case "id":
                    event.id = value
                case "event":
                    event.kind = value
                case "data":
                    event.data = json.loads(value)
                case "retry":
                    event.retry = value
                case _:
                    raise AssertionError(line)
        return None

    async def next_event(self) -> Event | None:
        while True:
            event = await self.next()
            if event is None or (isinstance(event, Event) and event.kind):
                return event

    async def rest(self) -> list[Event]:
        events = []
        while (event := await self.next_event()) is not None:
            events.append(event)
        return events


@asynccontextmanager
async def follow(http, job, **headers):
    async with (
        asyncio.timeout(20),  # keep-alive comments would keep a stream that never ends open
        http.stream("GET", job["links"]["events"], headers=headers) as response,
    ):
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-cache"
        yield Events(response)


async def submit(http):
    response = await http.post("/reconstruct", files={"image": ("a.png", picture())})
    assert response.status_code == 202, response.text
    return response.json()


async def open_streams(http):
    text = (await http.get("/metrics")).text
    (line,) = [line for line in text.splitlines() if line.startswith("bozzetto_event_streams ")]
    return float(line.split()[1])


async def claim(worker):
    return (await asyncio.to_thread(worker.claim, "w1", {DEFAULT_MODEL: 1}, block_ms=5_000))[0]


async def test_events_of_a_whole_life(http, worker):
    job = await submit(http)
    async with follow(http, job) as events:
        assert (await events.next()).retry == "1000"
        queued = await events.next_event()
        assert (queued.kind, queued.data["state"]) == ("state", "queued")
        lease = await claim(worker)
        running = await events.next_event()
        assert (running.kind, running.data["state"]) == ("state", "running")
        worker.progress(lease, Progress(50.0, "reconstruct", 1, 2))
        progress = await events.next_event()
        assert progress.kind == "progress"
        assert progress.data["percent"] == 50.0
        assert progress.data["stage"] == "reconstruct"
        worker.finish(lease, [], {})
        rest = await events.rest()
    assert [event.kind for event in rest] == ["state", "done"]
    ids = [queued.id, running.id, progress.id, *(event.id for event in rest)]
    assert len(set(ids)) == 5

    async with follow(http, job) as events:
        assert [event.id for event in await events.rest()] == ids
    async with follow(http, job, **{"Last-Event-ID": progress.id}) as events:
        assert [event.id for event in await events.rest()] == ids[3:]
    async with follow(http, job, **{"Last-Event-ID": "no such id"}) as events:
        assert [event.id for event in await events.rest()] == ids


async def test_keep_alive_and_a_client_that_leaves(http):
    job = await submit(http)
    assert await open_streams(http) == 0
    async with follow(http, job) as events:
        while not isinstance(await events.next(), str):
            continue
        assert await open_streams(http) == 1

    async def none_open():
        return await open_streams(http) == 0

    await eventually_async(none_open)


async def raw(port, data):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    await writer.drain()
    return reader, writer


async def answer(reader):
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)).decode()
    status = int(head.split()[1])
    length = next(
        int(line.split(":")[1]) for line in head.lower().splitlines() if "content-length" in line
    )
    return status, head, json.loads(await reader.readexactly(length))


@pytest.mark.parametrize("kind", ["image/png", "multipart/form-data; boundary=x"])
async def test_cap_while_the_body_still_streams(port, http, kind):
    reader, writer = await raw(
        port, f"{HEAD}Content-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    )
    part = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
    pieces = [part, *[bytes(50_000)] * (MAX_BYTES // 50_000 + 1)]
    for piece in pieces:
        writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        await writer.drain()
    # The body has not ended: no last chunk was sent.
    status, head, body = await answer(reader)
    assert status == 413
    assert body["code"] == "body_too_large"
    assert "connection: close" in head.lower()
    writer.close()
    assert (await http.get("/livez")).status_code == 200


async def test_cap_by_the_stated_length_before_any_of_the_body(port):
    reader, writer = await raw(
        port,
        f"{HEAD}Content-Type: image/png\r\nContent-Length: {MAX_BYTES + 1}\r\n"
        "Expect: 100-continue\r\n\r\n".encode(),
    )
    status, _, body = await answer(reader)
    assert status == 413
    assert body["code"] == "body_too_large"
    writer.close()


async def answers(http, status):
    """How many submits have been answered with this status."""
    start = f'bozzetto_http_requests_total{{method="POST",route="/reconstruct",status="{status}"}} '
    lines = (await http.get("/metrics")).text.splitlines()
    return sum(float(line.removeprefix(start)) for line in lines if line.startswith(start))


async def test_a_client_that_leaves_in_the_middle_of_its_upload(port, http):
    before = await answers(http, 400)
    _, writer = await raw(
        port, f"{HEAD}Content-Type: image/png\r\nContent-Length: 1000\r\n\r\nabc".encode()
    )
    writer.close()
    await writer.wait_closed()

    async def counted():
        return await answers(http, 400) == before + 1

    await eventually_async(counted)
    assert (await http.get("/jobs")).json()["data"] == []


async def test_a_client_that_leaves_while_it_waits(port, http):
    before = await answers(http, 202)
    data = picture()
    _, writer = await raw(
        port,
        f"{HEAD}Content-Type: image/png\r\nPrefer: wait=60\r\n"
        f"Content-Length: {len(data)}\r\n\r\n".encode()
        + data,
    )

    async def submitted():
        return (await http.get("/jobs")).json()["data"]

    await eventually_async(submitted)
    assert await answers(http, 202) == before
    writer.close()

    async def ended():
        return await answers(http, 202) == before + 1

    await eventually_async(ended)


async def test_submits_side_by_side(http):
    async with asyncio.timeout(20):
        jobs = await asyncio.gather(*(submit(http) for _ in range(30)))
    assert len({job["id"] for job in jobs}) == 30


async def test_the_process_ends_in_good_time_with_streams_and_waits_open(
    redis_url, tmp_path, worker
):
    process = start(redis_url, tmp_path)
    port = int(process.stdout.readline())
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as http:
        job = await submit(http)
        waiting = asyncio.create_task(
            http.post(
                "/reconstruct",
                files={"image": ("a.png", picture())},
                headers={"Prefer": "wait=60"},
            )
        )

        async def both():
            return len((await http.get("/jobs")).json()["data"]) == 2

        await eventually_async(both)
        async with follow(http, job) as events:
            assert (await events.next_event()).kind == "state"
            os.kill(process.pid, signal.SIGTERM)
            assert await events.rest() == []
        assert (await waiting).status_code == 202
    code = await asyncio.to_thread(process.wait, 20)
    assert code in {0, -signal.SIGTERM}
    stop(process)
