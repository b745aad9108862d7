"""For all tests: a real Redis-protocol server for whoever asks for `redis_url`."""

from collections.abc import Iterator

import pytest
from hypothesis import settings
from redis import Redis

from service.queue.embedded import EmbeddedServer
from service.settings import QueueSettings

# A busy machine is no failure: examples have no deadline of their own.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

SERVER_FIXTURES = {"redis_url", "server"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if SERVER_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.redis)


@pytest.fixture(scope="session")
def _redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_url(_redis_server: EmbeddedServer) -> str:
    """A server with nothing in it. It lives for the session: do not stop it."""
    with Redis.from_url(_redis_server.url) as client:
        client.flushall()
    return _redis_server.url


@pytest.fixture
def queue_settings() -> QueueSettings:
    """As by default, but with a lease that a test can wait for."""
    return QueueSettings(lease_s=2.0)
