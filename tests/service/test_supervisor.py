import asyncio
import os
import sys

import pytest

from service import supervisor
from service.supervisor import CANNOT_START, MAX_CRASHES, ChildProcess


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(supervisor, "BACK_OFF_S", (0.0,) * MAX_CRASHES)


def child(code: str, *arguments: object) -> ChildProcess:
    return ChildProcess((sys.executable, "-c", code, *map(str, arguments)), os.environ)


NOTE = "import sys; open(sys.argv[1], 'a').write('x'); "


async def test_a_crash_loop_ends(tmp_path):
    log = tmp_path / "starts"

    assert await child(NOTE + "sys.exit(5)", log).run() == 5
    assert len(log.read_text()) == MAX_CRASHES


async def test_what_cannot_start_is_not_tried_again(tmp_path):
    log = tmp_path / "starts"

    assert await child(NOTE + f"sys.exit({CANNOT_START})", log).run() == CANNOT_START
    assert len(log.read_text()) == 1


async def test_stop_ends_the_child(tmp_path):
    log = tmp_path / "starts"
    worker = child(NOTE + "import time; time.sleep(600)", log)
    running = asyncio.create_task(worker.run())
    async with asyncio.timeout(30):
        while not log.exists():  # noqa: ASYNC110  another process writes it
            await asyncio.sleep(0.01)
        worker.stop()
        assert await running == -15
    assert len(log.read_text()) == 1


async def test_stop_during_a_pause_starts_no_other(tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor, "BACK_OFF_S", (600.0,) * MAX_CRASHES)
    log = tmp_path / "starts"
    worker = child(NOTE + "sys.exit(4)", log)
    running = asyncio.create_task(worker.run())
    async with asyncio.timeout(30):
        while not log.exists():  # noqa: ASYNC110  another process writes it
            await asyncio.sleep(0.01)
        worker.stop()
        assert await running in (4, -15)
    assert len(log.read_text()) == 1
