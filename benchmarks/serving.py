"""The whole service as a user starts it, under a raw asyncio client: latency and memory."""

import asyncio
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

import psutil

EXAMPLES = Path(__file__).parents[1] / "examples"
_SUBMITS, _POLLS, _PAUSE_S = 60, 1000, 0.25
_START_S = 120.0


class Client:
    """One keep-alive HTTP/1.1 connection; nothing but what the benchmark needs."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def connect(cls, port: int) -> "Client":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def request(
        self, method: str, target: str, body: bytes = b"", kind: str = "image/png"
    ) -> tuple[int, bytes]:
        """Status and body."""
        head = (
            f"{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Content-Length: {len(body)}\r\nContent-Type: {kind}\r\n\r\n"
        )
        self._writer.write(head.encode() + body)
        await self._writer.drain()
        header = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        found = re.search(r"content-length: (\d+)", header)
        size = int(found.group(1)) if found else 0
        return int(header.split()[1]), await self._reader.readexactly(size)

    def close(self) -> None:
        self._writer.close()


def measure() -> dict[str, float]:
    """Medians in milliseconds, resident memory in MB."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
        probe.close()
        command = [
            str(Path(sys.executable).with_name("bozzetto")), "serve",
            "--port", str(port), "--data-dir", folder,
        ]  # fmt: skip
        started = time.perf_counter()
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ)
        try:
            return asyncio.run(_figures(port, server.pid, started))
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(60)


async def _figures(port: int, pid: int, started: float) -> dict[str, float]:
    await _until_ready(port)
    ready_s = time.perf_counter() - started
    client = await Client.connect(port)
    # One picture at a time, as one user would; then back to back, as many would.
    png, jobs = await _submit(client, "taxi.png", _PAUSE_S)
    jpeg, more = await _submit(client, "muffin.jpg", 0.0)
    seconds = [await _finished(client, job) for job in jobs]
    for job in more:
        await _finished(client, job)
    poll = []
    for _ in range(_POLLS):
        begun = time.perf_counter()
        await client.request("GET", f"/jobs/{jobs[-1]}")
        poll.append(time.perf_counter() - begun)
    client.close()
    gateway = psutil.Process(pid)
    workers = [p for p in gateway.children(recursive=True) if "python" in p.name()]
    return {
        "start to ready, s": ready_s,
        "submit of a 38 kB PNG, one every 0.25 s, p50, ms": 1000 * statistics.median(png),
        "submit of a 38 kB PNG, one every 0.25 s, p95, ms": 1000 * _p95(png),
        "submit of a 25 kB JPEG, back to back, p50, ms": 1000 * statistics.median(jpeg),
        "submit of a 25 kB JPEG, back to back, p95, ms": 1000 * _p95(jpeg),
        "poll p50, ms": 1000 * statistics.median(poll),
        "poll p99, ms": 1000 * statistics.quantiles(poll, n=100)[-1],
        "job from created to finished p50, ms": 1000 * statistics.median(seconds),
        "gateway resident memory, MB": gateway.memory_info().rss / 1e6,
        "worker resident memory, MB": max(p.memory_info().rss for p in workers) / 1e6,
    }


async def _submit(client: Client, name: str, pause_s: float) -> tuple[list[float], list[str]]:
    """Seconds and job of each of 60 submits of one picture."""
    picture = (EXAMPLES / name).read_bytes()
    seconds, jobs = [], []
    for _ in range(_SUBMITS):
        begun = time.perf_counter()
        status, body = await client.request("POST", "/reconstruct?outputs=points.ply", picture)
        seconds.append(time.perf_counter() - begun)
        if status != 202:
            raise RuntimeError(f"submit answered {status}: {body[:200]!r}")
        jobs.append(json.loads(body)["id"])
        await asyncio.sleep(pause_s)
    return seconds, jobs


def _p95(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=20)[-1]


async def _until_ready(port: int) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        try:
            client = await Client.connect(port)
            status, _ = await client.request("GET", "/readyz")
            client.close()
            if status == 200:
                return
        except OSError:
            pass  # nobody listens yet
        await asyncio.sleep(0.1)
    raise TimeoutError(f"the service was not ready within {_START_S} s")


async def _finished(client: Client, job: str) -> float:
    """Seconds from created to finished, by the service's own clock."""
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        _, body = await client.request("GET", f"/jobs/{job}")
        record = json.loads(body)
        if record["status"] == "succeeded":
            return _epoch(record["finished_at"]) - _epoch(record["created_at"])
        if record["status"] not in ("queued", "running"):
            raise RuntimeError(f"job {job} ended as {record['status']}: {record['error']}")
        await asyncio.sleep(0.05)
    raise TimeoutError(f"job {job} did not finish within {_START_S} s")


def _epoch(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
