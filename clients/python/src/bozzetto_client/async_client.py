"""The client that awaits. Its calls are those of `Bozzetto`, where they are described."""

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from bozzetto_client import plans
from bozzetto_client.client import LOCAL, TIMEOUT_S
from bozzetto_client.errors import ConnectionLostError
from bozzetto_client.events import JobEvent
from bozzetto_client.files import place, write_whole
from bozzetto_client.following import Deadline, Tail
from bozzetto_client.objects import Job, JobPage, Model
from bozzetto_client.pictures import Picture
from bozzetto_client.plans import Answer, Call, Pause, Plan
from bozzetto_client.progress import ShowProgress, shown
from bozzetto_client.retry import RetryPolicy
from bozzetto_client.wire import LIMITS, lost, request_parts, stream_timeout

T = TypeVar("T")


class AsyncBozzetto:
    """`Bozzetto` for asyncio; to be used in one event loop. Cancelling a task ends its call, and
    leaves the job going."""

    def __init__(
        self,
        server: str = LOCAL,
        *,
        api_key: str | None = None,
        timeout_s: float = TIMEOUT_S,
        retry: RetryPolicy | None = None,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self.server = plans.address(server)
        self.retry = retry or RetryPolicy()
        self._headers = plans.standing_headers(api_key)
        self._timeout_s = timeout_s
        self._http = http or httpx.AsyncClient(limits=LIMITS)
        self._own_http = http is None

    async def models(self) -> tuple[Model, ...]:
        return await self._run(plans.read_models(self.retry))

    async def model(self, model_id: str) -> Model:
        return await self._run(plans.read_model(model_id, self.retry))

    async def submit(
        self,
        image: Picture,
        *,
        model: str | None = None,
        outputs: str | list[str] | tuple[str, ...] | None = None,
        mask: Picture | None = None,
        idempotency_key: str | None = None,
        **params: Any,
    ) -> Job:
        fields = {"model": model, "outputs": outputs, **params}
        return await self._run(plans.submit(image, mask, fields, idempotency_key, self.retry))

    async def job(self, job: str | Job) -> Job:
        return await self._run(plans.read_job(job, self.retry))

    async def jobs(
        self, *, state: str | None = None, cursor: str | None = None, limit: int | None = None
    ) -> JobPage:
        return await self._run(plans.read_jobs(state, cursor, limit, self.retry))

    def follow(
        self, job: str | Job, *, clouds: bool = False, last_event_id: str | None = None
    ) -> AsyncGenerator[JobEvent, None]:
        return self._follow(Tail(job, self.retry, clouds=clouds, last_event_id=last_event_id))

    async def wait(
        self, job: str | Job, *, timeout_s: float | None = None, progress: ShowProgress = False
    ) -> Job:
        if isinstance(job, Job) and job.final:
            return job
        tail = Tail(job, self.retry, deadline=Deadline.after(timeout_s))
        with shown(progress) as see:
            async with aclosing(self._follow(tail)) as events:
                async for event in events:
                    see(event)
        return await self.job(job)

    async def reconstruct(
        self,
        image: Picture,
        *,
        timeout_s: float | None = None,
        progress: ShowProgress = True,
        **fields: Any,
    ) -> Job:
        job = await self.submit(image, **fields)
        return plans.succeeded(await self.wait(job, timeout_s=timeout_s, progress=progress))

    async def cancel(self, job: str | Job) -> Job:
        return await self._run(plans.cancel(job, self.retry))

    async def delete(self, job: str | Job) -> None:
        await self._run(plans.delete(job, self.retry))

    async def download(
        self, job: str | Job, name: str, path: str | os.PathLike[str] | None = None
    ) -> bytes:
        data = await self._run(plans.download(job, name, self.retry))
        if path is not None:
            await asyncio.to_thread(write_whole, place(path, name), data)
        return data

    async def download_all(self, job: str | Job, folder: str | os.PathLike[str]) -> dict[str, Path]:
        known = job if isinstance(job, Job) and job.final else await self.job(job)
        await asyncio.to_thread(os.makedirs, folder, exist_ok=True)
        paths = {item.name: place(folder, item.name) for item in known.artifacts}
        for name, path in paths.items():
            await self.download(known, name, path)
        return paths

    async def aclose(self) -> None:
        if self._own_http:
            await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _run(self, plan: Plan[T]) -> T:
        try:
            step = next(plan)
            while True:
                if isinstance(step, Pause):
                    await asyncio.sleep(step.seconds)
                    step = next(plan)
                    continue
                try:
                    answer = await self._send(step)
                except ConnectionLostError as error:
                    step = plan.throw(error)
                else:
                    step = plan.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result

    async def _send(self, call: Call) -> Answer:
        parts = request_parts(self.server, self._headers, call)
        try:
            answer = await self._http.request(**parts, timeout=self._timeout_s)
        except httpx.RequestError as error:
            raise lost(error, self.server) from error
        return Answer(answer.status_code, answer.headers, answer.content)

    async def _follow(self, tail: Tail) -> AsyncGenerator[JobEvent, None]:
        while not tail.ended:
            await asyncio.sleep(tail.pause_s)
            parts = request_parts(self.server, self._headers, tail.call())
            timeout = stream_timeout(self._timeout_s, tail.read_s)
            try:
                async with self._http.stream(**parts, timeout=timeout) as answer:
                    if not tail.is_stream(answer.status_code, answer.headers):
                        body = await answer.aread()
                        tail.refused(Answer(answer.status_code, answer.headers, body))
                        continue
                    async for piece in answer.aiter_bytes():
                        for event in tail.feed(piece):
                            yield event
                        if tail.ended or tail.turn():
                            break
                    else:
                        for event in await self._run(tail.closed()):
                            yield event
            except httpx.ReadTimeout:
                tail.timed_out()
            except httpx.RequestError as error:
                tail.cut(lost(error, self.server))
