"""The gateway's side of the queue, on asyncio."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any, Self, cast

from redis import asyncio as redis_asyncio

from service.jobs import ACTIVE, Job, JobRequest, JobState, request_to_json
from service.queue.codec import decode_job, pair_up
from service.queue.connection import COMMON, async_retry, unreachable_errors
from service.queue.contract import (
    IdempotencyConflictError,
    JobActiveError,
    JobEvent,
    JobFinalError,
    JobGoneError,
    JobNotFoundError,
    JobPage,
    ModelQueue,
    QueueFullError,
    QueuePlace,
    QueueStats,
    Submitted,
    WorkerInfo,
)
from service.queue.estimate import eta_seconds, retry_after_s
from service.queue.keys import Keys, idempotency_name
from service.queue.scripts import AGEING_S, Name, Scripts
from service.queue.watch import Watch
from service.settings import QueueSettings

CONNECTIONS = 64
LOOK_AGAIN_S = 2.0  # a follower that hears nothing looks at the job itself this often
EVENTS_PER_READ = 128

_EVENT_ID = re.compile(r"\d{1,19}-\d{1,19}")
_CURSOR = re.compile(r"\d{1,15}")


class RedisJobQueue:
    """`JobQueue` on any Redis >= 6.2 or Valkey."""

    def __init__(
        self,
        client: "redis_asyncio.Redis",
        settings: QueueSettings,
        *,
        prefix: str = "bozzetto",
        ageing_s: float = AGEING_S,
    ) -> None:
        self._client = client
        self._bound = settings.max_waiting
        self._keys = Keys(prefix)
        self._scripts = Scripts(self._keys, settings, ageing_s=ageing_s)
        self._watch = Watch(client)

    @classmethod
    def from_url(cls, url: str, settings: QueueSettings, *, prefix: str = "bozzetto") -> Self:
        """Connects with the first call, not here. Raises ValueError for a URL of no known kind."""
        pool = redis_asyncio.BlockingConnectionPool.from_url(
            url, max_connections=CONNECTIONS, timeout=5, retry=async_retry(), **COMMON
        )
        return cls(redis_asyncio.Redis.from_pool(pool), settings, prefix=prefix)

    async def submit(
        self,
        job_id: str,
        request: JobRequest,
        *,
        idempotency_key: str | None = None,
        body_hash: str = "",
    ) -> Submitted:
        name = "" if idempotency_key is None else idempotency_name(request.owner, idempotency_key)
        status, *rest = await self._run(
            "submit",
            job_id,
            request_to_json(request),
            request.owner,
            request.model,
            request.priority,
            "" if request.deadline_s is None else request.deadline_s,
            name,
            body_hash,
        )
        if status == "conflict":
            raise IdempotencyConflictError("the idempotency key came with another body before")
        if status == "full":
            waiting, pace, running = rest
            raise QueueFullError(
                waiting, self._bound, retry_after_s(waiting, _number(pace), running)
            )
        return Submitted(decode_job(pair_up(rest[0])), created=status == "ok")

    async def get(self, job_id: str) -> Job:
        with unreachable_errors():
            hashed = cast("dict[str, str]", await self._client.hgetall(self._keys.job(job_id)))
        if not hashed:
            await self._raise_absent(job_id)
        job = decode_job(hashed)
        # Only then can the passing of time alone have ended the job.
        if job.state in ACTIVE and (job.deadline_at is not None or job.cancel_requested):
            job = self._job(job_id, await self._run("settle", job_id))
        return job

    async def place(self, job_id: str) -> QueuePlace | None:
        answer = await self._run("place", job_id)
        if answer[0] == "none":
            return None
        self._raise_refused(job_id, answer)
        _, ahead, pace, workers, running = answer
        return QueuePlace(ahead, eta_seconds(ahead, _number(pace), workers, running))

    async def list_jobs(
        self,
        owner: str,
        *,
        state: JobState | None = None,
        cursor: str | None = None,
        limit: int = 20,
    ) -> JobPage:
        """A cursor that did not come from here is past the last page."""
        if cursor is not None and not _CURSOR.fullmatch(cursor):
            return JobPage((), None)
        bound = "+inf" if cursor is None else f"({cursor}"
        following, *rows = await self._run("list", owner, state or "", bound, max(limit, 1))
        return JobPage(tuple(decode_job(pair_up(row)) for row in rows), following or None)

    async def cancel(self, job_id: str) -> Job:
        return self._job(job_id, await self._run("cancel", job_id))

    async def delete(self, job_id: str) -> Job:
        return self._job(job_id, await self._run("delete", job_id))

    async def events(self, job_id: str, after: str | None = None) -> AsyncIterator[JobEvent]:
        """An `after` that is no event id starts from the oldest event that is still kept."""
        last = after if after is not None and _EVENT_ID.fullmatch(after) else "0-0"
        job: Job | None = await self.get(job_id)
        async with self._watch.follow(self._keys.events(job_id)) as bell:
            while True:
                bell.clear()
                news = await self._read_events(job_id, last)
                for event in news:
                    yield event
                    last = event.id
                    if event.kind == "done":
                        return
                if len(news) == EVENTS_PER_READ:
                    continue
                if job is None or job.final:
                    return  # `done` is not after `last`, or has gone with the job
                try:
                    async with asyncio.timeout(LOOK_AGAIN_S):
                        await bell.wait()
                except TimeoutError:
                    job = await self._get_or_none(job_id)

    async def stats(self) -> QueueStats:
        models, live = await self._run("stats")
        workers = (_worker(said, seen) for said, seen in live)
        return QueueStats(
            models={
                model: ModelQueue(waiting, running, float(oldest))
                for model, waiting, running, oldest in sorted(models)
            },
            bound=self._bound,
            workers=tuple(sorted(workers, key=lambda worker: worker.id)),
        )

    async def close(self) -> None:
        await self._watch.close()
        await self._client.aclose()

    async def _run(self, name: Name, *arguments: str | float) -> Any:
        with unreachable_errors():
            return await self._scripts.run_async(self._client, name, *arguments)

    async def _read_events(self, job_id: str, last: str) -> list[JobEvent]:
        with unreachable_errors():
            rows: Any = await self._client.xrange(
                self._keys.events(job_id), min=f"({last}", count=EVENTS_PER_READ
            )
        return [
            JobEvent(event_id, fields["kind"], json.loads(fields["data"]))
            for event_id, fields in rows
        ]

    async def _get_or_none(self, job_id: str) -> Job | None:
        try:
            return await self.get(job_id)
        except (JobNotFoundError, JobGoneError):
            return None

    async def _raise_absent(self, job_id: str) -> None:
        with unreachable_errors():
            was = await self._client.exists(self._keys.gone(job_id))
        self._raise_refused(job_id, ["gone" if was else "missing"])

    def _job(self, job_id: str, answer: list[Any]) -> Job:
        self._raise_refused(job_id, answer)
        return decode_job(pair_up(answer[1]))

    @staticmethod
    def _raise_refused(job_id: str, answer: list[Any]) -> None:
        match answer[0]:
            case "missing":
                raise JobNotFoundError(f"no job {job_id}")
            case "gone":
                raise JobGoneError(f"job {job_id} has expired")
            case "final":
                raise JobFinalError(JobState(answer[1]))
            case "active":
                raise JobActiveError(JobState(answer[1]))
            case _:
                return


def _worker(said: str, seen_at: str) -> WorkerInfo:
    raw = json.loads(said)
    return WorkerInfo(
        id=raw["id"],
        state=raw["state"],
        models=tuple(raw["models"]),
        device=raw["device"],
        seen_at=float(seen_at),
    )


def _number(text: str) -> float | None:
    return float(text) if text else None
