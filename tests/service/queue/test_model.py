"""Random sequences of calls against a small model of what the queue should do."""

import asyncio
import contextlib
import uuid
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from redis import Redis

from service.jobs import JobState, Progress, new_job_id
from service.queue.contract import (
    JobActiveError,
    JobFinalError,
    JobNotFoundError,
    Lease,
    QueueFullError,
    StaleLeaseError,
)
from service.queue.embedded import EmbeddedServer
from service.queue.keys import PRIORITIES
from service.queue.redis_queue import RedisJobQueue
from service.queue.redis_worker import RedisWorkerQueue
from service.settings import QueueSettings
from tests.service.queue.kit import HOPELESS, MESH, TRY_AGAIN, check_invariants, make_request

BOUND, ATTEMPTS = 6, 2
MODELS = ("draft", "other")
LONG_AGO = 1.0


@dataclass
class Known:
    """What the model knows of a job."""

    model: str
    priority: str
    deadline: bool
    state: JobState = JobState.QUEUED
    attempt: int = 0
    fence: int = 0
    cancel: bool = False
    lost: bool = False  # its lease is over
    late: bool = False  # its deadline is over
    given_back: bool = False

    def to(self, state: JobState) -> None:
        self.state = state
        self.lost = False


class QueueMachine(RuleBasedStateMachine):
    url = ""
    jobs = Bundle("jobs")
    leases = Bundle("leases")

    def __init__(self) -> None:
        super().__init__()
        self.prefix = f"m{uuid.uuid4().hex[:8]}"
        limits = QueueSettings(max_waiting=BOUND, max_attempts=ATTEMPTS, lease_s=600)
        self.runner = asyncio.Runner()
        self.raw: Any = Redis.from_url(self.url, decode_responses=True, protocol=2)
        client: Any = Redis.from_url(self.url, decode_responses=True, protocol=2)
        self.worker = RedisWorkerQueue(client, limits, prefix=self.prefix, retry_delay_s=0.0)
        self.queue = RedisJobQueue.from_url(self.url, limits, prefix=self.prefix)
        self.known: dict[str, Known] = {}

    def teardown(self) -> None:
        self.runner.run(self.queue.close())
        self.runner.close()
        self.worker.close()
        self.raw.flushall()
        self.raw.close()

    def waiting(self, *models: str) -> list[Known]:
        return [
            job
            for job in self.known.values()
            if job.state == JobState.QUEUED and job.model in (models or MODELS)
        ]

    def settle(self, *, claiming: Collection[str] = ()) -> None:
        """What the passing of time does at the next look at all jobs."""
        for job in self.known.values():
            if job.state == JobState.QUEUED and job.late:
                job.to(JobState.EXPIRED)
            elif job.model in claiming and job.state == JobState.RUNNING and job.lost:
                self.settle_lost(job)

    def settle_lost(self, job: Known) -> None:
        if job.cancel:
            job.to(JobState.CANCELED)
        elif job.late or job.attempt >= ATTEMPTS:
            job.to(JobState.FAILED)

    @rule(
        target=jobs,
        model=st.sampled_from(MODELS),
        priority=st.sampled_from(PRIORITIES),
        deadline=st.booleans(),
    )
    def submit(self, model: str, priority: str, deadline: bool):
        job_id = new_job_id()
        deadline_s = 3600.0 if deadline else None
        request = make_request(model=model, priority=priority, deadline_s=deadline_s)
        if len(self.waiting(model)) >= BOUND:
            self.settle()
        if len(self.waiting(model)) >= BOUND:
            with pytest.raises(QueueFullError):
                self.runner.run(self.queue.submit(job_id, request))
            return multiple()
        assert self.runner.run(self.queue.submit(job_id, request)).created
        self.known[job_id] = Known(model, priority, deadline)
        self.settle()
        return job_id

    @rule(
        target=leases,
        room=st.dictionaries(st.sampled_from(MODELS), st.integers(0, 4), min_size=1),
    )
    def claim(self, room: dict[str, int]):
        # A model without room is not looked at: its dead workers' jobs wait as they are.
        self.settle(claiming=[model for model, limit in room.items() if limit])
        expected = {model: self.next_jobs(model) for model in room}
        leases = self.worker.claim("w", room, block_ms=0)
        assert {lease.job.request.model for lease in leases} <= room.keys()
        for model, limit in room.items():
            lost, back, fresh = expected[model]
            got = [lease.job.id for lease in leases if lease.job.request.model == model]
            assert len(got) == min(limit, len(lost) + len(back) + len(fresh))
            from_lost, from_back = got[: len(lost)], got[len(lost) : len(lost) + len(back)]
            assert set(from_lost) <= set(lost)
            assert set(from_back) <= set(back)
            assert got[len(lost) + len(back) :] == fresh[: max(limit - len(lost) - len(back), 0)]
        for lease in leases:
            job = self.known[lease.job.id]
            job.attempt += 1
            job.fence += 1
            job.given_back = False
            job.to(JobState.RUNNING)
            assert (lease.attempt, lease.job.attempt) == (job.fence, job.attempt)
        return multiple(*leases)

    def next_jobs(self, model: str) -> tuple[list[str], list[str], list[str]]:
        """Lost ones in any order, given back ones in any order, fresh ones in theirs."""
        mine = {job_id: job for job_id, job in self.known.items() if job.model == model}
        lost = [i for i, job in mine.items() if job.lost and job.state == JobState.RUNNING]
        waiting = {i: job for i, job in mine.items() if job.state == JobState.QUEUED}
        back = [i for i, job in waiting.items() if job.given_back]
        fresh = [i for i, job in waiting.items() if not job.given_back]
        return lost, back, sorted(fresh, key=lambda i: PRIORITIES.index(mine[i].priority))

    def owner(self, lease: Lease) -> Known | None:
        job = self.known.get(lease.job.id)
        live = job is not None and job.state == JobState.RUNNING and job.fence == lease.attempt
        return job if live else None

    @rule(lease=leases, percent=st.floats(0, 100))
    def progress(self, lease: Lease, percent: float) -> None:
        if self.owner(lease):
            self.worker.progress(lease, Progress(percent, "reconstruct", 1, 2))
        else:
            with pytest.raises(StaleLeaseError):
                self.worker.progress(lease, Progress(percent))

    @rule(lease=consumes(leases))
    def finish(self, lease: Lease) -> None:
        job = self.owner(lease)
        if job is None:
            with pytest.raises(StaleLeaseError):
                self.worker.finish(lease, [MESH], {})
            return
        self.worker.finish(lease, [MESH], {"gpu_seconds": 0.5})
        job.to(JobState.SUCCEEDED)

    @rule(lease=consumes(leases), retryable=st.booleans())
    def fail(self, lease: Lease, retryable: bool) -> None:
        job = self.owner(lease)
        error = TRY_AGAIN if retryable else HOPELESS
        if job is None:
            with contextlib.suppress(StaleLeaseError):  # raised, or taken for a repeat
                self.worker.fail(lease, error)
            return
        self.worker.fail(lease, error)
        if job.cancel:
            job.to(JobState.CANCELED)
        elif retryable and job.attempt < ATTEMPTS and not job.late:
            job.to(JobState.QUEUED)
            job.given_back = True
        else:
            job.to(JobState.FAILED)

    @rule(lease=consumes(leases))
    def release(self, lease: Lease) -> None:
        job = self.owner(lease)
        if job is None:
            with contextlib.suppress(StaleLeaseError):
                self.worker.release(lease)
            return
        self.worker.release(lease)
        if job.cancel:
            job.to(JobState.CANCELED)
        elif job.late:
            job.to(JobState.FAILED)
        else:
            job.to(JobState.QUEUED)
            job.attempt -= 1
            job.given_back = True

    @rule(lease=leases)
    def renew(self, lease: Lease) -> None:
        [status] = self.worker.renew("w", [lease])
        job = self.owner(lease)
        assert status.owned == (job is not None)
        if job is not None:
            assert (status.cancel_requested, status.deadline_passed) == (job.cancel, job.late)
            job.lost = False

    @rule(job_id=jobs)
    def cancel(self, job_id: str) -> None:
        job = self.known.get(job_id)
        if job is None:
            with pytest.raises(JobNotFoundError):
                self.runner.run(self.queue.cancel(job_id))
            return
        if job.state == JobState.QUEUED and job.late:
            job.to(JobState.EXPIRED)
        if job.state in (JobState.QUEUED, JobState.RUNNING):
            self.runner.run(self.queue.cancel(job_id))
            job.cancel = True
            if job.state == JobState.QUEUED:
                job.to(JobState.CANCELED)
        else:
            with pytest.raises(JobFinalError):
                self.runner.run(self.queue.cancel(job_id))

    @rule(job_id=jobs)
    def delete(self, job_id: str) -> None:
        job = self.known.get(job_id)
        if job is None:
            with pytest.raises(JobNotFoundError):
                self.runner.run(self.queue.delete(job_id))
        elif job.state in (JobState.QUEUED, JobState.RUNNING):
            with pytest.raises(JobActiveError):
                self.runner.run(self.queue.delete(job_id))
        else:
            self.runner.run(self.queue.delete(job_id))
            del self.known[job_id]

    @rule(job_id=jobs)
    def lease_runs_out(self, job_id: str) -> None:
        job = self.known.get(job_id)
        if job is not None and job.state == JobState.RUNNING:
            self.raw.zadd(f"{self.prefix}:leases:{job.model}", {job_id: LONG_AGO})
            job.lost = True

    @rule(job_id=jobs)
    def deadline_passes(self, job_id: str) -> None:
        job = self.known.get(job_id)
        if job is not None and job.deadline and job.state in (JobState.QUEUED, JobState.RUNNING):
            self.raw.hset(f"{self.prefix}:job:{job_id}", "deadline_at", LONG_AGO)
            self.raw.zadd(f"{self.prefix}:deadlines", {job_id: LONG_AGO}, xx=True)
            job.late = True

    @rule(job_id=jobs)
    def look(self, job_id: str) -> None:
        if (job := self.known.get(job_id)) is None:
            with pytest.raises(JobNotFoundError):
                self.runner.run(self.queue.get(job_id))
            return
        found = self.runner.run(self.queue.get(job_id))
        if job.deadline or job.cancel:
            if job.state == JobState.QUEUED and job.late:
                job.to(JobState.EXPIRED)
            elif job.state == JobState.RUNNING and job.lost:
                self.settle_lost(job)
        assert (found.state, found.attempt) == (job.state, job.attempt)
        assert found.cancel_requested == job.cancel
        events = self.raw.xrange(f"{self.prefix}:events:{job_id}")
        kinds = [fields["kind"] for _, fields in events]
        assert kinds.count("done") == found.final
        assert found.final == (kinds[-1] == "done")

    @invariant()
    def indexes_agree(self) -> None:
        check_invariants(self.raw, self.prefix)
        states = {i: self.raw.hget(f"{self.prefix}:job:{i}", "state") for i in self.known}
        assert states == {i: job.state.value for i, job in self.known.items()}

    @rule()
    def stats(self) -> None:
        self.settle()
        stats = self.runner.run(self.queue.stats())
        for model in MODELS:
            mine = [job for job in self.known.values() if job.model == model]
            running = sum(job.state == JobState.RUNNING for job in mine)
            found = stats.of(model)
            assert (found.waiting, found.running) == (len(self.waiting(model)), running)
        page = self.runner.run(self.queue.list_jobs("anonymous", limit=1000))
        assert [job.id for job in page.jobs] == list(self.known)[::-1]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("model")
    with EmbeddedServer(folder) as server:
        yield server.url


@pytest.mark.redis
def test_against_the_model(url: str) -> None:
    QueueMachine.url = url
    run_state_machine_as_test(
        QueueMachine,
        settings=settings(
            max_examples=60,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
