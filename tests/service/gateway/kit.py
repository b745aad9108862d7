"""What the gateway's tests share: pictures, a gateway with its parts at hand, a scripted worker."""

import hashlib
import io
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from PIL import Image

from models.catalog import DEFAULT_MODEL
from service.jobs import Artifact, Preview, Progress
from service.queue.contract import Lease, WorkerInfo
from service.queue.redis_queue import RedisJobQueue
from service.queue.redis_worker import RedisWorkerQueue
from service.store.local import LocalStore

MakeGateway = Callable[..., Awaitable["Harness"]]

PIXELS = (24, 16)


def picture(kind: str = "PNG", size: tuple[int, int] = PIXELS, colour: int = 90) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (colour, 40, 200)).save(buffer, kind)
    return buffer.getvalue()


@dataclass(slots=True)
class Harness:
    """One gateway in this process, with everything behind it real but the network."""

    app: FastAPI
    http: httpx.AsyncClient
    queue: RedisJobQueue
    worker: RedisWorkerQueue
    store: LocalStore
    root: Path

    async def submit(self, data: bytes | None = None, **fields: str) -> dict[str, Any]:
        files = {"image": ("picture.png", picture() if data is None else data, "image/png")}
        response = await self.http.post("/reconstruct", files=files, data=fields)
        assert response.status_code == 202, response.text
        job: dict[str, Any] = response.json()
        return job

    def claim(self) -> Lease:
        (lease,) = self.worker.claim("w1", {DEFAULT_MODEL: 1}, block_ms=2_000)
        return lease

    def beat(self, state: str = "ready", models: tuple[str, ...] = (DEFAULT_MODEL,)) -> None:
        info = WorkerInfo("w1", state, models, "cpu", 0.0)  # type: ignore[arg-type]
        self.worker.heartbeat(info)

    def progress(self, lease: Lease, percent: float, preview: Preview | None = None) -> None:
        self.worker.progress(lease, Progress(percent, "reconstruct", 1, 2, preview))

    def preview(self, lease: Lease, data: bytes, step: int = 1) -> None:
        """Store a preview and report it, as a worker does."""
        key = f"{lease.job.id}/{lease.attempt}/preview.ply"
        self.store.put(key, data, flush="never")
        self.progress(lease, 20.0, Preview(key, "model/ply", len(data), step, points=2048))

    def finish(self, lease: Lease, data: bytes = b"0123456789", name: str = "mesh.glb") -> str:
        """Store one artifact and publish it; its sha256."""
        key = f"{lease.job.id}/{lease.attempt}/{name}"
        self.store.put(key, data)
        artifact = make_artifact(name, key, data)
        self.worker.finish(lease, [artifact], {"gpu_seconds": 0.25})
        return artifact.sha256

    def files(self) -> list[str]:
        """Keys in the store."""
        return sorted(
            str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file()
        )


def make_artifact(name: str, key: str, data: bytes) -> Artifact:
    digest = hashlib.sha256(data).hexdigest()
    return Artifact(name, key, "model/gltf-binary", len(data), digest, vertices=3, faces=1)


def problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The body of an error answer, after checks of what every one of them has."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = json.loads(response.text)
    assert body["status"] == status
    assert body["code"] == code, body
    assert body["type"] == f"urn:bozzetto:error:{code}"
    assert body["title"]
    assert body["detail"]
    assert body["hint"]
    assert body["request_id"] == response.headers["x-request-id"]
    assert isinstance(body["retryable"], bool)
    return body
