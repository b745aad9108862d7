"""The service dies while its job is followed, and comes back at the same address."""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest

from bozzetto_client import (
    AsyncBozzetto,
    Bozzetto,
    Cloud,
    DoneEvent,
    Job,
    JobEvent,
    ProgressEvent,
    StateEvent,
)
from tests.clients.python.conftest import SERVE
from tests.e2e.processes import Program, program
from tests.e2e.worker_entry import LATER_SEED
from tests.polling import eventually

pytestmark = pytest.mark.redis


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return str(listener.getsockname()[1])


def start(port: str, folder: Path) -> AbstractContextManager[Program]:
    return program(
        *(*SERVE, port, "--data-dir", str(folder / "data")),
        GATE_DIR=str(folder),
        GATE_STEPS="3",
        BOZZETTO_QUEUE__LEASE_S="1",  # the next worker takes the job over that soon
    )


async def follow_awaiting(url: str, job: Job) -> list[JobEvent]:
    async with AsyncBozzetto(url) as client:
        return [event async for event in client.follow(job)]


def test_followers_see_the_job_to_its_end(tmp_path: Path, disc: bytes) -> None:
    port = free_port()
    with ExitStack() as stack, ThreadPoolExecutor(3) as pool:
        first = stack.enter_context(start(port, tmp_path))
        url = first.wait_line("bozzetto is ready on ").split()[-1]
        client = stack.enter_context(Bozzetto(url))
        job = client.submit(disc, seed=LATER_SEED, outputs="points.ply")

        def restart() -> None:
            eventually((tmp_path / "waiting").exists)
            first.end()
            (tmp_path / "open").touch()
            stack.enter_context(start(port, tmp_path)).wait_line("bozzetto is ready on ")

        restarted = pool.submit(restart)
        blocking = pool.submit(list[JobEvent], client.follow(job))
        awaiting = pool.submit(asyncio.run, follow_awaiting(url, job))
        restarted.result()
        for events in (blocking.result(), awaiting.result()):
            check_story(events)
        ended = client.job(job)
        assert (ended.status, ended.attempt) == ("succeeded", 2)
        assert client.download(ended, "points.ply").startswith(b"ply")


def check_story(events: list[JobEvent]) -> None:
    told = [event.id for event in events if not isinstance(event, Cloud)]
    assert len(set(told)) == len(told), "nothing is told twice"
    states = [event.status for event in events if isinstance(event, StateEvent)]
    assert (states[:2], states[-1]) == (["queued", "running"], "succeeded")
    steps = [event.progress.step for event in events if isinstance(event, ProgressEvent)]
    assert 1 in steps
    assert isinstance(events[-1], DoneEvent)
