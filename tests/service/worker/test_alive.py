import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from service.queue.contract import WorkerInfo
from service.queue.redis_worker import RedisWorkerQueue
from service.settings import QueueSettings, get_settings
from service.worker.alive import main


@pytest.fixture(autouse=True)
def _fresh_settings() -> Iterator[None]:
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


@pytest.fixture
def queue(
    redis_url: str, queue_settings: QueueSettings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RedisWorkerQueue]:
    monkeypatch.setenv("BOZZETTO_REDIS__URL", redis_url)
    with closing(RedisWorkerQueue.from_url(redis_url, queue_settings)) as queue:
        yield queue


def _beat(queue: RedisWorkerQueue, worker_id: str) -> None:
    queue.heartbeat(WorkerInfo(worker_id, "ready", ("draft",), "cpu", seen_at=0.0))


def test_a_beating_worker_is_alive(queue: RedisWorkerQueue) -> None:
    _beat(queue, f"{socket.gethostname()}-17-abc")
    assert main() == 0


def test_a_worker_that_left_is_not(queue: RedisWorkerQueue) -> None:
    name = f"{socket.gethostname()}-17-abc"
    _beat(queue, name)
    queue.goodbye(name)
    assert main() == 1


def test_another_machines_worker_does_not_count(queue: RedisWorkerQueue) -> None:
    _beat(queue, "elsewhere-17-abc")
    assert main() == 1


def test_without_a_queue_nothing_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BOZZETTO_REDIS__URL", raising=False)
    assert main() == 1


def test_an_unreachable_queue_is_not_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOZZETTO_REDIS__URL", "redis://127.0.0.1:1/0")
    assert main() == 1
