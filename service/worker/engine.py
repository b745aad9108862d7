"""Owns the device: runs one network evaluation after another for all the jobs that are here.

Jobs join and leave between any two evaluations. Whatever one job does wrong, the others go on.
"""

import logging
import queue
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import torch

from geometry.point_cloud import PointCloud
from models.contract import PreparedImages, Reconstructor, Result, SamplingParams, State
from models.errors import NonFiniteError
from service.worker.scheduler import Batch, Scheduler

_log = logging.getLogger("bozzetto.worker")


@dataclass(slots=True)
class Usage:
    """What a job has used. Seconds are its share: an evaluation's time by the jobs in it."""

    compute_s: float = 0.0
    evaluations: int = 0
    batch_total: int = 0

    @property
    def batch_mean(self) -> float:
        return self.batch_total / self.evaluations if self.evaluations else 0.0


@dataclass(slots=True, eq=False)
class EngineJob:
    """One job on its way through a model.

    Attributes:
        images: one row.
        stopped: asked between evaluations, from the engine's thread; True drops the job.
    """

    id: str
    model: str
    images: PreparedImages
    params: SamplingParams
    stopped: Callable[[], bool] = lambda: False
    state: State | None = None
    usage: Usage = field(default_factory=Usage)


Look = Callable[[], PointCloud | None]


class EngineListener(Protocol):
    """Called from the engine's thread; must be quick. Each job ends in exactly one of the last
    three."""

    def progressed(self, job: EngineJob, step: int, steps: int, look: Look) -> None:
        """`look` gives the object as the model guesses it now, and only until this returns."""
        ...

    def finished(self, job: EngineJob, result: Result) -> None: ...

    def failed(self, job: EngineJob, error: Exception) -> None: ...

    def dropped(self, job: EngineJob) -> None: ...


class EngineError(Exception):
    """EngineError
    +- DeviceLostError      the device's context is broken: this process can compute no more
    +- JobTooLargeError     not enough memory, even alone
    +- ModelStalledError    an evaluation without an error that brought a job no further
    """


class DeviceLostError(EngineError):
    pass


class JobTooLargeError(EngineError):
    pass


class ModelStalledError(EngineError):
    pass


class Engine:
    """`add` may be called from any thread, all else from one."""

    def __init__(
        self,
        models: Mapping[str, Reconstructor],
        listener: EngineListener,
        max_batch: int,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._models = models
        self._listener = listener
        self._scheduler = Scheduler(max_batch)
        self._clock = clock
        self._inbox: queue.SimpleQueue[EngineJob | None] = queue.SimpleQueue()
        self._jobs: dict[str, EngineJob] = {}

    def add(self, job: EngineJob) -> None:
        self._inbox.put(job)

    def wake(self) -> None:
        """End a `step` that waits for jobs."""
        self._inbox.put(None)

    def step(self, wait_s: float = 0.0) -> bool:
        """Take in new jobs, let stopped ones go, and run one evaluation.

        Returns:
            False when there was nothing to run, after waiting up to `wait_s` for a job.

        Raises:
            DeviceLostError: nothing more can be run in this process.
        """
        self._admit(wait_s)
        self._drop_stopped()
        group = self._scheduler.next_group()
        if group is not None:
            self._encode(group)
        batch = self._scheduler.next_batch()
        if batch is None:
            return group is not None
        self._evaluate(batch)
        return True

    def _admit(self, wait_s: float) -> None:
        block = not self._jobs and wait_s > 0
        while True:
            try:
                job = self._inbox.get(block=block, timeout=wait_s if block else None)
            except queue.Empty:
                return
            block = False
            if job is not None:
                self._jobs[job.id] = job
                self._scheduler.add(job.id, job.model)

    def _drop_stopped(self) -> None:
        for job in [job for job in self._jobs.values() if job.stopped()]:
            self._forget(job)
            self._listener.dropped(job)

    def _forget(self, job: EngineJob) -> None:
        self._scheduler.remove(job.id)
        del self._jobs[job.id]
        job.state = None

    def _fail(self, job: EngineJob, error: Exception) -> None:
        self._forget(job)
        self._listener.failed(job, error)

    @torch.inference_mode()
    def _encode(self, group: Batch) -> None:
        """Conditioning and state of jobs that have just been let in, all at once."""
        jobs = [self._jobs[job] for job in group.jobs]
        try:
            model = self._models[group.model]  # may have to be loaded first
            images = PreparedImages(torch.cat([job.images.rgba for job in jobs]))
            conditioning = model.encode(images)
            for row, job in enumerate(jobs):
                # On the CPU whatever the device, so that a seed means the same on all of them.
                generator = torch.Generator().manual_seed(job.params.seed)
                job.state = model.start(conditioning.row(row), job.params, generator)
        except torch.AcceleratorError as error:
            raise DeviceLostError(str(error)) from error
        except Exception as error:  # noqa: BLE001  the job boundary
            if len(jobs) > 1:
                self._release_memory()
                for job in jobs:
                    self._encode(Batch(group.model, (job.id,)))
                return
            self._fail(jobs[0], _blamed(error))

    @torch.inference_mode()
    def _evaluate(self, batch: Batch) -> None:
        model = self._models[batch.model]
        jobs = [self._jobs[job] for job in batch.jobs]
        states = [job.state for job in jobs if job.state is not None]
        before = [state.step for state in states]
        start = self._clock()
        try:
            model.step(states)
            if any(state.step <= old for state, old in zip(states, before, strict=True)):
                raise ModelStalledError(f"{batch.model} did not advance every state")
            self._scheduler.succeeded(batch)
        except torch.AcceleratorError as error:
            raise DeviceLostError(str(error)) from error
        except Exception as error:  # noqa: BLE001  the job boundary
            self._handle(batch, jobs, error)
        self._account(jobs, before, self._clock() - start)

    def _handle(self, batch: Batch, jobs: list[EngineJob], error: Exception) -> None:
        """Find whose fault a failed evaluation is; who is innocent runs again."""
        if isinstance(error, NonFiniteError) and error.rows and max(error.rows) < len(jobs):
            for row in error.rows:
                self._fail(jobs[row], error)
        elif len(jobs) == 1:
            self._fail(jobs[0], _blamed(error))
        elif is_out_of_memory(error):
            _log.warning("a batch of %d is too large for %s", len(jobs), batch.model)
            self._release_memory()
            self._scheduler.halve(batch)
        else:
            _log.warning("a batch of %d failed; each job again alone: %r", len(jobs), error)
            self._scheduler.isolate(batch.jobs)

    def _account(self, jobs: list[EngineJob], before: list[int], seconds: float) -> None:
        for job, earlier in zip(jobs, before, strict=True):
            state = job.state
            if state is None or state.step == earlier:
                continue
            job.usage.compute_s += seconds / len(jobs)
            job.usage.evaluations += 1
            job.usage.batch_total += len(jobs)
            self._listener.progressed(job, state.step, state.steps, partial(self._look, job, state))
            if state.step >= state.steps:
                self._finish(job, state)

    def _look(self, job: EngineJob, state: State) -> PointCloud | None:
        if state.step >= state.steps:
            return None  # the object itself is next
        try:
            return self._models[job.model].preview(state)
        except torch.AcceleratorError as error:
            raise DeviceLostError(str(error)) from error
        except Exception as error:  # noqa: BLE001  no reason to fail the job
            _log.warning("%s shows no preview: %r", job.model, error)
            return None

    def _finish(self, job: EngineJob, state: State) -> None:
        try:
            result = self._models[job.model].finish(state)
        except torch.AcceleratorError as error:
            raise DeviceLostError(str(error)) from error
        except Exception as error:  # noqa: BLE001  the job boundary
            self._fail(job, _blamed(error))
            return
        self._forget(job)
        self._listener.finished(job, result)

    def _release_memory(self) -> None:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    # The CPU allocator raises a plain RuntimeError.
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )


def _blamed(error: Exception) -> Exception:
    if is_out_of_memory(error):
        too_large = JobTooLargeError("not enough memory for this job, even alone")
        too_large.__cause__ = error
        return too_large
    return error
