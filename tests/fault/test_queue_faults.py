"""Dying, frozen and restarted processes around the queue: nothing accepted is lost or doubled."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from redis import Redis

from service.jobs import JobState, Progress, new_job_id
from service.queue.contract import Lease, QueueUnreachableError, StaleLeaseError
from service.queue.embedded import EmbeddedServer
from service.queue.redis_queue import RedisJobQueue
from service.queue.redis_worker import RedisWorkerQueue
from service.settings import QueueSettings
from tests.polling import eventually, eventually_async
from tests.service.queue.kit import MESH, make_request, submit

pytestmark = pytest.mark.redis

LIMITS = QueueSettings(lease_s=0.5, max_waiting=10_000)

WORKER = """
import sys
from service.queue.contract import StaleLeaseError
from service.queue.redis_worker import RedisWorkerQueue
from service.settings import QueueSettings
queue = RedisWorkerQueue.from_url(sys.argv[1], QueueSettings(lease_s=0.5))
leases = queue.claim("doomed", {"draft": 8}, block_ms=20_000)
print(len(leases), flush=True)
sys.stdin.readline()
for lease in leases:
    try:
        queue.finish(lease, [], {"by": 1.0})
    except StaleLeaseError:
        print("stale", flush=True)
    else:
        print("finished", flush=True)
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(tmp_path) as server:
        yield server


@pytest_asyncio.fixture
async def queue(server: EmbeddedServer) -> AsyncIterator[RedisJobQueue]:
    queue = RedisJobQueue.from_url(server.url, LIMITS)
    yield queue
    await queue.close()


@pytest.fixture
def worker(server: EmbeddedServer) -> Iterator[RedisWorkerQueue]:
    worker = RedisWorkerQueue.from_url(server.url, LIMITS)
    yield worker
    worker.close()


@pytest.fixture
def doomed(server: EmbeddedServer) -> Iterator[subprocess.Popen[str]]:
    """A worker process that claims, and finishes once it is told to."""
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, server.url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield process
    process.kill()
    process.communicate()


def kill_server(server: EmbeddedServer) -> None:
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    eventually(lambda: not server.alive)


def claimed(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())


def claim_all(worker: RedisWorkerQueue, count: int) -> list[Lease]:
    leases: list[Lease] = []

    def all_there() -> bool:
        leases.extend(worker.claim("heir", {"draft": 8}, block_ms=200))
        return len(leases) == count

    eventually(all_there)
    return leases


async def test_a_batch_of_a_killed_worker_is_run_by_the_next(
    queue: RedisJobQueue, worker: RedisWorkerQueue, doomed: subprocess.Popen[str]
) -> None:
    ids = [await submit(queue) for _ in range(8)]
    assert await asyncio.to_thread(claimed, doomed) in range(1, 9)
    doomed.kill()
    leases = claim_all(worker, 8)
    assert sorted(lease.job.id for lease in leases) == sorted(ids)
    for lease in leases:
        worker.finish(lease, [MESH], {})
    assert {(await queue.get(job_id)).state for job_id in ids} == {JobState.SUCCEEDED}


async def test_a_frozen_worker_wakes_too_late(
    queue: RedisJobQueue, worker: RedisWorkerQueue, doomed: subprocess.Popen[str]
) -> None:
    job_id = await submit(queue)
    assert await asyncio.to_thread(claimed, doomed) == 1
    doomed.send_signal(signal.SIGSTOP)
    [lease] = claim_all(worker, 1)
    assert lease.attempt == 2
    doomed.send_signal(signal.SIGCONT)
    said, _ = doomed.communicate("go\n", timeout=30)
    assert said.strip() == "stale"
    assert (await queue.get(job_id)).state == JobState.RUNNING
    worker.finish(lease, [MESH], {})
    job = await queue.get(job_id)
    assert (job.artifacts, job.metrics, job.attempt) == ((MESH,), {}, 2)


async def test_a_killed_server_loses_no_submitted_job(
    server: EmbeddedServer, queue: RedisJobQueue, worker: RedisWorkerQueue
) -> None:
    accepted: list[str] = []
    enough = asyncio.Event()

    async def client() -> None:
        while True:
            job_id = new_job_id()
            await queue.submit(job_id, make_request(), idempotency_key=job_id, body_hash="b")
            accepted.append(job_id)
            if len(accepted) >= 200:
                enough.set()

    async with asyncio.timeout(60):
        clients = [asyncio.create_task(client()) for _ in range(8)]
        await enough.wait()
        await asyncio.to_thread(kill_server, server)
        ends = await asyncio.gather(*clients, return_exceptions=True)
        assert all(isinstance(end, QueueUnreachableError) for end in ends)
        await asyncio.to_thread(server.start)
        for job_id in accepted:
            assert (await queue.get(job_id)).state == JobState.QUEUED
            again = await queue.submit(
                new_job_id(), make_request(), idempotency_key=job_id, body_hash="b"
            )
            assert (again.created, again.job.id) == (False, job_id)
        stats = await queue.stats()
        assert len(accepted) <= stats.waiting <= len(accepted) + 8
        done = 0
        while leases := worker.claim("w", {"draft": 100}, block_ms=0):
            for lease in leases:
                worker.finish(lease, [], {})
                done += 1
    assert done == stats.waiting


async def test_worker_and_follower_live_through_a_restart_of_the_server(
    server: EmbeddedServer, queue: RedisJobQueue
) -> None:
    limits = QueueSettings(lease_s=60)
    worker = RedisWorkerQueue.from_url(server.url, limits)
    held = threading.Event()
    stop = threading.Event()
    errors: list[BaseException] = []

    def work() -> None:
        try:
            while not stop.is_set():
                for lease in worker.claim("w", {"draft": 1}, block_ms=200):
                    worker.progress(lease, Progress(50.0, "reconstruct", 1, 2))
                    held.wait(30)
                    worker.progress(lease, Progress(90.0, "reconstruct", 2, 2))
                    worker.finish(lease, [MESH], {})
        except BaseException as error:
            errors.append(error)
            raise

    thread = threading.Thread(target=work)
    thread.start()
    try:
        running = await submit(queue)

        async def is_half_done() -> bool:
            return (await queue.get(running)).progress.percent == 50.0

        await eventually_async(is_half_done)
        waiting = await submit(queue)
        await asyncio.to_thread(kill_server, server)
        with pytest.raises(QueueUnreachableError):
            await queue.get(running)
        held.set()  # the worker's result now meets no server
        await asyncio.to_thread(server.start)
        async with asyncio.timeout(30):
            for job_id in (running, waiting):
                assert [event async for event in queue.events(job_id)][-1].kind == "done"
                job = await queue.get(job_id)
                assert (job.state, job.attempt) == (JobState.SUCCEEDED, 1)
    finally:
        held.set()
        stop.set()
        await asyncio.to_thread(thread.join)
        worker.close()
    assert not errors


async def test_a_result_is_held_only_so_long(
    server: EmbeddedServer, queue: RedisJobQueue, worker: RedisWorkerQueue
) -> None:
    await submit(queue)
    client = Redis.from_url(server.url, decode_responses=True, protocol=2)
    impatient = RedisWorkerQueue(client, LIMITS, patience_s=0.2)
    [lease] = impatient.claim("w", {"draft": 1}, block_ms=0)
    await asyncio.to_thread(kill_server, server)
    with pytest.raises(QueueUnreachableError):
        impatient.finish(lease, [], {})
    with pytest.raises(QueueUnreachableError):
        impatient.renew("w", [lease])
    impatient.progress(lease, Progress(1.0))  # best effort
    await asyncio.to_thread(server.start)
    [again] = claim_all(worker, 1)
    assert again.attempt == 2
    with pytest.raises(StaleLeaseError):
        impatient.finish(lease, [], {})
    impatient.close()


async def test_cut_connections_are_made_anew(
    server: EmbeddedServer, queue: RedisJobQueue, worker: RedisWorkerQueue
) -> None:
    with Redis.from_url(server.url) as raw:
        for _ in range(5):
            job_id = await submit(queue)
            raw.client_kill_filter(_type="normal", skipme=True)
            [lease] = worker.claim("w", {"draft": 1}, block_ms=5_000)
            raw.client_kill_filter(_type="normal", skipme=True)
            worker.finish(lease, [], {})
            raw.client_kill_filter(_type="normal", skipme=True)
            assert (await queue.get(job_id)).state == JobState.SUCCEEDED


async def test_a_server_that_stops_for_a_moment_answers_late(
    server: EmbeddedServer, queue: RedisJobQueue
) -> None:
    await submit(queue)
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)
    try:
        late = asyncio.create_task(queue.stats())
        done, _ = await asyncio.wait({late}, timeout=0.3)
        assert not done
    finally:
        os.kill(server.pid, signal.SIGCONT)
    assert (await late).waiting == 1
