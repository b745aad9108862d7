"""The worker's side of the queue: blocking calls, safe from several threads."""

import contextlib
import json
import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

from redis import BlockingConnectionPool, Redis

from service.jobs import Artifact, JobError, Progress
from service.queue.codec import decode_job, pair_up, to_json
from service.queue.connection import COMMON, blocking_retry, unreachable_errors
from service.queue.contract import (
    Lease,
    LeaseStatus,
    QueueUnreachableError,
    StaleLeaseError,
    WorkerInfo,
)
from service.queue.keys import Keys
from service.queue.scripts import AGEING_S, RETRY_DELAY_S, Name, Scripts
from service.settings import QueueSettings

CONNECTIONS = 16
LISTEN_S = 1.0  # longest single wait for the bell, so that close() is noticed
CLOSE_S = 10.0
PATIENCE_S = 20.0  # how long a result is held against a server that is away
BACK_OFF_S = (0.05, 0.1, 0.2, 0.5, 1.0)

_log = logging.getLogger(__name__)


class RedisWorkerQueue:
    """`WorkerQueue` on any Redis >= 6.2 or Valkey.

    After a server restart it goes on by itself. `claim` then finds nothing for a while instead of
    raising; `finish`, `fail`, `canceled` and `release` hold on for `patience_s`; `progress` lets
    one report go. `heartbeat` and `renew` raise at once, for their callers come again anyway.
    """

    def __init__(
        self,
        client: Redis,
        settings: QueueSettings,
        *,
        prefix: str = "bozzetto",
        ageing_s: float = AGEING_S,
        retry_delay_s: float = RETRY_DELAY_S,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._client = client
        self._keys = Keys(prefix)
        self._scripts = Scripts(
            self._keys, settings, ageing_s=ageing_s, retry_delay_s=retry_delay_s
        )
        self._patience_s = patience_s
        self._closed = threading.Event()
        self._claims, self._claims_changed = 0, threading.Condition()
        self._failures = 0

    @classmethod
    def from_url(cls, url: str, settings: QueueSettings, *, prefix: str = "bozzetto") -> Self:
        """Connects with the first call, not here. Raises ValueError for a URL of no known kind."""
        pool = BlockingConnectionPool.from_url(
            url, max_connections=CONNECTIONS, timeout=5, retry=blocking_retry(), **COMMON
        )
        return cls(Redis.from_pool(pool), settings, prefix=prefix)

    def claim(self, worker_id: str, room: Mapping[str, int], *, block_ms: int) -> list[Lease]:
        """An empty list also stands for: the server is away, and was for all of `block_ms`.

        Raises:
            ValueError: `room` names no model.
        """
        if not room:
            raise ValueError("a claim needs a model")
        with self._count_claim():
            return self._claim(worker_id, room, time.monotonic() + block_ms / 1000)

    def renew(self, worker_id: str, leases: Sequence[Lease]) -> list[LeaseStatus]:
        if not leases:
            return []
        pairs = [part for lease in leases for part in (lease.job.id, lease.attempt)]
        return [LeaseStatus(*map(bool, row)) for row in self._run("renew", *pairs)]

    def progress(self, lease: Lease, progress: Progress) -> None:
        try:
            self._write("progress", lease, to_json(progress))
        except QueueUnreachableError as error:
            _log.debug("progress of job %s is lost: %s", lease.job.id, error)

    def finish(
        self, lease: Lease, artifacts: Sequence[Artifact], metrics: dict[str, float]
    ) -> None:
        done = to_json(Progress(percent=100.0, stage="done"))
        self._insist("finish", lease, to_json(artifacts), to_json(metrics), done)

    def fail(self, lease: Lease, error: JobError) -> None:
        self._insist("fail", lease, to_json(error), "1" if error.retryable else "0")

    def canceled(self, lease: Lease) -> None:
        self._insist("canceled", lease)

    def release(self, lease: Lease) -> None:
        """Raises StaleLeaseError."""
        self._insist("release", lease)

    def heartbeat(self, info: WorkerInfo) -> None:
        """`seen_at` is not sent: the server's clock says when the heartbeat came."""
        said = {
            "id": info.id,
            "state": info.state,
            "models": info.models,
            "device": info.device,
        }
        self._run("heartbeat", info.id, json.dumps(said))

    def goodbye(self, worker_id: str) -> None:
        self._run("heartbeat", worker_id, "")

    def reap(self, limit: int = 100) -> list[str]:
        """Ids of jobs past their retention, each given out once: their files can be removed."""
        return list(self._run("reap", limit))

    def close(self) -> None:
        """Also ends a `claim` that is waiting in another thread."""
        self._closed.set()
        with self._claims_changed:
            self._claims_changed.wait_for(lambda: not self._claims, timeout=CLOSE_S)
        self._client.close()

    def _claim(self, worker_id: str, room: Mapping[str, int], end: float) -> list[Lease]:
        pairs = [part for pair in room.items() for part in pair]
        while not self._closed.is_set():
            try:
                due, rung, rows = self._run("claim", worker_id, *pairs)
                self._note_answer()
                leases = [_lease(row) for row in rows]
                left = end - time.monotonic()
                if leases or left <= 0:
                    return leases
                bells = dict(zip(map(self._keys.bell, room), rung, strict=True))
                self._listen(bells, min(left, LISTEN_S, float(due or LISTEN_S)))
            except QueueUnreachableError as error:
                delay = self._note_silence(error)
                left = end - time.monotonic()
                self._closed.wait(delay if left <= 0 else min(delay, left))
                if left <= 0:
                    return []
        return []

    @contextlib.contextmanager
    def _count_claim(self) -> Iterator[None]:
        with self._claims_changed:
            self._claims += 1
        try:
            yield
        finally:
            with self._claims_changed:
                self._claims -= 1
                self._claims_changed.notify_all()

    def _run(self, name: Name, *arguments: str | float) -> Any:
        with unreachable_errors():
            return self._scripts.run(self._client, name, *arguments)

    def _write(self, name: Name, lease: Lease, *arguments: str) -> None:
        if self._run(name, lease.job.id, lease.attempt, *arguments)[0] == "stale":
            raise StaleLeaseError(f"attempt {lease.attempt} does not own job {lease.job.id}")

    def _insist(self, name: Name, lease: Lease, *arguments: str) -> None:
        end = time.monotonic() + self._patience_s
        for tries in range(1_000_000):
            try:
                return self._write(name, lease, *arguments)
            except QueueUnreachableError:
                delay = BACK_OFF_S[min(tries, len(BACK_OFF_S) - 1)]
                if time.monotonic() + delay > end or self._closed.wait(delay):
                    raise
        return None

    def _listen(self, bells: dict[Any, Any], seconds: float) -> None:
        """Wait until one of the bells has rung after its entry, or `seconds` have passed."""
        with unreachable_errors():
            self._client.xread(bells, count=1, block=max(int(seconds * 1000), 1))

    def _note_answer(self) -> None:
        if self._failures:
            _log.info("the queue server is back")
        self._failures = 0

    def _note_silence(self, error: QueueUnreachableError) -> float:
        """Seconds to wait before the next try."""
        if not self._failures:
            _log.warning("%s; trying again", error)
        self._failures += 1
        return BACK_OFF_S[min(self._failures, len(BACK_OFF_S)) - 1]


def _lease(row: list[Any]) -> Lease:
    fence, entry, fields = row
    return Lease(job=decode_job(pair_up(fields)), attempt=int(fence), entry=entry)
