from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from service.gateway.app import create_app
from service.queue.redis_queue import RedisJobQueue
from service.queue.redis_worker import RedisWorkerQueue
from service.settings import (
    GatewaySettings,
    ModelSettings,
    QueueSettings,
    Settings,
    UploadSettings,
)
from service.store.local import LocalStore
from tests.service.gateway.kit import Harness, MakeGateway


def make_settings(root: Path, **sections: dict[str, Any]) -> Settings:
    """Defaults, and what a test changes: `gateway=`, `models=`, `queue=`, `uploads=` as dicts."""
    gateway = dict(sections.get("gateway", {}))
    if "api_keys" in gateway:
        gateway["api_keys"] = tuple(SecretStr(key) for key in gateway["api_keys"])
    return Settings(
        data_dir=root,
        gateway=GatewaySettings(**gateway),
        models=ModelSettings(**sections.get("models", {})),
        queue=QueueSettings(**sections.get("queue", {})),
        uploads=UploadSettings(**sections.get("uploads", {})),
    )


@pytest_asyncio.fixture
async def make_gateway(redis_url: str, tmp_path: Path) -> AsyncIterator[MakeGateway]:
    made: list[Harness] = []

    async def make(**sections: dict[str, Any]) -> Harness:
        settings = make_settings(tmp_path, **sections)
        root = tmp_path / "store"
        queue = RedisJobQueue.from_url(redis_url, settings.queue)
        store = LocalStore(root)
        app = create_app(settings, queue, store)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        client = httpx.AsyncClient(transport=transport, base_url="http://gateway", timeout=20)
        worker = RedisWorkerQueue.from_url(redis_url, settings.queue)
        made.append(Harness(app, client, queue, worker, store, root))
        return made[-1]

    yield make
    for harness in made:
        await harness.http.aclose()
        await harness.queue.close()
        harness.worker.close()


@pytest_asyncio.fixture
async def gateway(make_gateway: MakeGateway) -> Harness:
    """A gateway with default settings."""
    return await make_gateway()


@pytest.fixture
def client(gateway: Harness) -> httpx.AsyncClient:
    return gateway.http
