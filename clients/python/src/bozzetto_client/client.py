"""The client that blocks."""

import os
import time
from collections.abc import Generator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import httpx

from bozzetto_client import plans
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

LOCAL: Final = "http://127.0.0.1:8000"
TIMEOUT_S: Final = 30.0


class Bozzetto:
    """A server, as seen by one caller; safe to use from several threads.

    Every call raises BozzettoError, of which `errors` draws the kinds, once there is no point in
    trying again.

    Args:
        server: its address, with the path below which it is served if there is one.
        api_key: sent as a bearer token.
        timeout_s: of connecting, and of each silence while sending or receiving.
        retry: how often and how long to try again.
        http: your own client, for proxies or certificates; it is not closed here.
    """

    def __init__(
        self,
        server: str = LOCAL,
        *,
        api_key: str | None = None,
        timeout_s: float = TIMEOUT_S,
        retry: RetryPolicy | None = None,
        http: httpx.Client | None = None,
    ) -> None:
        self.server = plans.address(server)
        self.retry = retry or RetryPolicy()
        self._headers = plans.standing_headers(api_key)
        self._timeout_s = timeout_s
        self._http = http or httpx.Client(limits=LIMITS)
        self._own_http = http is None

    def models(self) -> tuple[Model, ...]:
        """Cards of all models of the server, served or not."""
        return self._run(plans.read_models(self.retry))

    def model(self, model_id: str) -> Model:
        return self._run(plans.read_model(model_id, self.retry))

    def submit(
        self,
        image: Picture,
        *,
        model: str | None = None,
        outputs: str | list[str] | tuple[str, ...] | None = None,
        mask: Picture | None = None,
        idempotency_key: str | None = None,
        **params: Any,
    ) -> Job:
        """Hand a picture in; the answer is the job, most likely still queued.

        Sending it again never makes a second job: every submit has an idempotency key. Give your
        own for the same to hold when your program starts anew.

        Args:
            image: a path, the bytes of a file, an open binary file, or an image of Pillow.
            outputs: names of files to make; None for the model's usual ones.
            mask: of the same size, light where the object is.
            params: the other fields of a submit, such as `seed`, `num_points` or `metadata`.
        """
        fields = {"model": model, "outputs": outputs, **params}
        return self._run(plans.submit(image, mask, fields, idempotency_key, self.retry))

    def job(self, job: str | Job) -> Job:
        """The job as it is now."""
        return self._run(plans.read_job(job, self.retry))

    def jobs(
        self, *, state: str | None = None, cursor: str | None = None, limit: int | None = None
    ) -> JobPage:
        """The caller's own jobs, newest first."""
        return self._run(plans.read_jobs(state, cursor, limit, self.retry))

    def follow(
        self, job: str | Job, *, clouds: bool = False, last_event_id: str | None = None
    ) -> Generator[JobEvent, None, None]:
        """What happened to the job so far, then what happens; ends with a `DoneEvent`.

        Cut connections are made again, and nothing is told twice. `clouds` adds the object as it
        forms, of models that work in steps.
        """
        return self._follow(Tail(job, self.retry, clouds=clouds, last_event_id=last_event_id))

    def wait(
        self, job: str | Job, *, timeout_s: float | None = None, progress: ShowProgress = False
    ) -> Job:
        """The job once it has ended, in whichever state.

        Args:
            progress: True for a bar, or a function that gets each `Progress`.

        Raises:
            WaitTimeoutError: it has not ended within `timeout_s`, and goes on.
        """
        if isinstance(job, Job) and job.final:
            return job
        tail = Tail(job, self.retry, deadline=Deadline.after(timeout_s))
        with shown(progress) as see:
            for event in self._follow(tail):
                see(event)
        return self.job(job)

    def reconstruct(
        self,
        image: Picture,
        *,
        timeout_s: float | None = None,
        progress: ShowProgress = True,
        **fields: Any,
    ) -> Job:
        """Submit and wait; `fields` are those of `submit`.

        Raises:
            JobFailedError: it failed, was canceled, or expired.
            WaitTimeoutError: it has not ended within `timeout_s`, and goes on.
        """
        job = self.submit(image, **fields)
        return plans.succeeded(self.wait(job, timeout_s=timeout_s, progress=progress))

    def cancel(self, job: str | Job) -> Job:
        """Ask a job to stop. Asked is not stopped: a running one ends between two steps.

        Raises:
            ConflictError: it has ended otherwise.
        """
        return self._run(plans.cancel(job, self.retry))

    def delete(self, job: str | Job) -> None:
        """Forget a job that has ended, and remove its files. Raises ConflictError before that."""
        self._run(plans.delete(job, self.retry))

    def download(
        self, job: str | Job, name: str, path: str | os.PathLike[str] | None = None
    ) -> bytes:
        """One result file, also written to `path` (a file or a folder) if given.

        Raises:
            ChecksumError: what came is not what the job names; nothing was written.
        """
        data = self._run(plans.download(job, name, self.retry))
        if path is not None:
            write_whole(place(path, name), data)
        return data

    def download_all(self, job: str | Job, folder: str | os.PathLike[str]) -> dict[str, Path]:
        """Every file of the job, into a folder that is made if need be: names to paths."""
        known = job if isinstance(job, Job) and job.final else self.job(job)
        Path(folder).mkdir(parents=True, exist_ok=True)
        paths = {item.name: place(folder, item.name) for item in known.artifacts}
        for name, path in paths.items():
            self.download(known, name, path)
        return paths

    def close(self) -> None:
        if self._own_http:
            self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _run(self, plan: Plan[T]) -> T:
        try:
            step = next(plan)
            while True:
                if isinstance(step, Pause):
                    time.sleep(step.seconds)
                    step = next(plan)
                    continue
                try:
                    answer = self._send(step)
                except ConnectionLostError as error:
                    step = plan.throw(error)
                else:
                    step = plan.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result

    def _send(self, call: Call) -> Answer:
        parts = request_parts(self.server, self._headers, call)
        try:
            answer = self._http.request(**parts, timeout=self._timeout_s)
        except httpx.RequestError as error:
            raise lost(error, self.server) from error
        return Answer(answer.status_code, answer.headers, answer.content)

    def _follow(self, tail: Tail) -> Generator[JobEvent, None, None]:
        while not tail.ended:
            time.sleep(tail.pause_s)
            parts = request_parts(self.server, self._headers, tail.call())
            timeout = stream_timeout(self._timeout_s, tail.read_s)
            try:
                with self._http.stream(**parts, timeout=timeout) as answer:
                    if not tail.is_stream(answer.status_code, answer.headers):
                        tail.refused(Answer(answer.status_code, answer.headers, answer.read()))
                        continue
                    for piece in answer.iter_bytes():
                        yield from tail.feed(piece)
                        if tail.ended or tail.turn():
                            break
                    else:
                        yield from self._run(tail.closed())
            except httpx.ReadTimeout:
                tail.timed_out()
            except httpx.RequestError as error:
                tail.cut(lost(error, self.server))
