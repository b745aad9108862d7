"""What a queue promises. The gateway talks to `JobQueue` (asyncio), a worker to `WorkerQueue`.

Each model's jobs wait in a queue of their own, with its own order, bound and pace; a worker takes
jobs of the models that it serves. A job whose model no worker serves waits until one does.

Every change of a job is one atomic script. A worker's writes carry the attempt number of its
lease; once the job has gone to another attempt they raise `StaleLeaseError` and change nothing.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from service.jobs import Artifact, Job, JobError, JobRequest, JobState, Progress


class QueueError(Exception):
    """QueueError
    +- QueueUnreachableError        no server, or it stopped answering
    +- QueueFullError               the model's bound on waiting jobs is reached; `retry_after_s`
    +- IdempotencyConflictError     same key, other body
    +- JobNotFoundError             never existed, or was deleted
    +- JobGoneError                 existed, its retention time is over
    +- JobFinalError                the job is in a final state already
    +- JobActiveError               the job is not in a final state yet
    +- StaleLeaseError              this attempt no longer owns the job
    """


class QueueUnreachableError(QueueError):
    pass


class QueueFullError(QueueError):
    def __init__(self, waiting: int, bound: int, retry_after_s: int) -> None:
        super().__init__(f"{waiting} jobs wait, the bound is {bound}")
        self.retry_after_s = retry_after_s


class IdempotencyConflictError(QueueError):
    pass


class JobNotFoundError(QueueError):
    pass


class JobGoneError(QueueError):
    pass


class JobFinalError(QueueError):
    def __init__(self, state: JobState) -> None:
        super().__init__(f"the job is already {state}")
        self.state = state


class JobActiveError(QueueError):
    def __init__(self, state: JobState) -> None:
        super().__init__(f"the job is still {state}")
        self.state = state


class StaleLeaseError(QueueError):
    pass


@dataclass(frozen=True, slots=True)
class Submitted:
    """`created` is False when the idempotency key brought back an earlier job."""

    job: Job
    created: bool


@dataclass(frozen=True, slots=True)
class QueuePlace:
    """Jobs of its model ahead of this one (0 = next), and a guess of the seconds until it ends:
    None while no worker serves the model, or none of its jobs has ended yet."""

    position: int
    eta_seconds: float | None


@dataclass(frozen=True, slots=True)
class JobEvent:
    """One line of a job's history. `id` orders events and is what Last-Event-ID sends back."""

    id: str
    kind: Literal["state", "progress", "done"]
    data: dict[str, object]


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """A worker's last heartbeat; gone from the list when it stops beating. It has no models until
    they are loaded."""

    id: str
    state: Literal["starting", "ready", "busy", "draining"]
    models: tuple[str, ...]
    device: str
    seen_at: float

    @property
    def serving(self) -> bool:
        """It takes jobs."""
        return self.state in {"ready", "busy"}


@dataclass(frozen=True, slots=True)
class ModelQueue:
    """One model's jobs. `oldest_waiting_s` is 0 when none waits."""

    waiting: int
    running: int
    oldest_waiting_s: float


NO_JOBS: Final = ModelQueue(0, 0, 0.0)


@dataclass(frozen=True, slots=True)
class QueueStats:
    """`models` has those that have had a job. `bound` is of one model's waiting jobs."""

    models: dict[str, ModelQueue]
    bound: int
    workers: tuple[WorkerInfo, ...]

    @property
    def waiting(self) -> int:
        return sum(queue.waiting for queue in self.models.values())

    @property
    def running(self) -> int:
        return sum(queue.running for queue in self.models.values())

    def of(self, model: str) -> ModelQueue:
        return self.models.get(model, NO_JOBS)

    def serving(self, model: str) -> int:
        """Workers that take jobs of the model now."""
        return sum(worker.serving and model in worker.models for worker in self.workers)

    @property
    def served(self) -> frozenset[str]:
        """Models that at least one worker takes jobs of."""
        return frozenset(
            model for worker in self.workers if worker.serving for model in worker.models
        )


@dataclass(frozen=True, slots=True)
class JobPage:
    jobs: tuple[Job, ...]
    next_cursor: str | None


class JobQueue(Protocol):
    """The gateway's side. All calls raise QueueUnreachableError when the server is away."""

    async def submit(
        self,
        job_id: str,
        request: JobRequest,
        *,
        idempotency_key: str | None = None,
        body_hash: str = "",
    ) -> Submitted:
        """Raises QueueFullError, IdempotencyConflictError."""
        ...

    async def get(self, job_id: str) -> Job:
        """Raises JobNotFoundError, JobGoneError."""
        ...

    async def place(self, job_id: str) -> QueuePlace | None:
        """None unless queued."""
        ...

    async def list_jobs(
        self,
        owner: str,
        *,
        state: JobState | None = None,
        cursor: str | None = None,
        limit: int = 20,
    ) -> JobPage:
        """Newest first."""
        ...

    async def cancel(self, job_id: str) -> Job:
        """A queued job is canceled at once, a running one is asked to stop; asking twice is fine.

        Raises:
            JobNotFoundError, JobGoneError, JobFinalError.
        """
        ...

    async def delete(self, job_id: str) -> Job:
        """Forget a final job; returns it so that its files can be removed.

        Raises:
            JobNotFoundError, JobGoneError, JobActiveError.
        """
        ...

    def events(self, job_id: str, after: str | None = None) -> AsyncIterator[JobEvent]:
        """History after event id `after`, then live, ending with the `done` event.

        Raises:
            JobNotFoundError, JobGoneError.
        """
        ...

    async def stats(self) -> QueueStats: ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Lease:
    """A worker's right to write to a job, until it is not renewed in time."""

    job: Job
    attempt: int
    entry: str  # where in the stream the job's entry is


@dataclass(frozen=True, slots=True)
class LeaseStatus:
    """Answer to a renewal: still ours? Has the caller asked to stop? Is the deadline over?"""

    owned: bool
    cancel_requested: bool
    deadline_passed: bool


class WorkerQueue(Protocol):
    """The worker's side: blocking calls, safe to use from several threads."""

    def claim(self, worker_id: str, room: Mapping[str, int], *, block_ms: int) -> list[Lease]:
        """Jobs of the models in `room`, up to so many of each, one model after the other in turn.

        Of a model: expired leases of dead workers, then jobs given back, then new ones, highest
        priority first. Moves them to running and counts an attempt. Jobs that were canceled, are
        past their deadline or out of attempts are brought to their final state here and not
        returned. An empty answer comes after `block_ms`.
        """
        ...

    def renew(self, worker_id: str, leases: Sequence[Lease]) -> list[LeaseStatus]: ...

    def progress(self, lease: Lease, progress: Progress) -> None:
        """Raises StaleLeaseError."""
        ...

    def finish(
        self, lease: Lease, artifacts: Sequence[Artifact], metrics: dict[str, float]
    ) -> None:
        """running -> succeeded, publishing the files. Raises StaleLeaseError."""
        ...

    def fail(self, lease: Lease, error: JobError) -> None:
        """running -> failed, or back to queued when the error is retryable and attempts are left.

        One of code `model_load_failed` goes back only where another live worker serves the model.

        Raises:
            StaleLeaseError.
        """
        ...

    def canceled(self, lease: Lease) -> None:
        """running -> canceled. Raises StaleLeaseError."""
        ...

    def release(self, lease: Lease) -> None:
        """running -> queued without counting the attempt: a draining worker hands it back."""
        ...

    def heartbeat(self, info: WorkerInfo) -> None: ...

    def goodbye(self, worker_id: str) -> None: ...

    def reap(self, limit: int = 100) -> list[str]:
        """Ids of jobs past their retention, each given out once: their files can be removed."""
        ...

    def close(self) -> None: ...
