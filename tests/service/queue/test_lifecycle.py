"""Every transition of a job, legal and illegal, as gateway and worker see it."""

import dataclasses
from collections.abc import Callable

import pytest

from service.jobs import JobState, Progress, new_job_id
from service.queue.contract import (
    JobActiveError,
    JobFinalError,
    JobNotFoundError,
    Lease,
    StaleLeaseError,
    WorkerInfo,
)
from service.queue.redis_queue import RedisJobQueue
from service.queue.redis_worker import RedisWorkerQueue
from service.settings import QueueSettings
from tests.service.queue.kit import DAMAGED, HOPELESS, MESH, TRY_AGAIN, make_request, submit


def claim_one(worker: RedisWorkerQueue, name: str = "w") -> Lease:
    [lease] = worker.claim(name, {"draft": 1}, block_ms=5_000)
    return lease


async def test_a_new_job_waits_with_all_that_was_asked(queue: RedisJobQueue) -> None:
    request = make_request(
        mask="j/mask",
        target_faces=500,
        priority="high",
        deadline_s=60.5,
        callback_url="https://example.org",
        metadata={"name": 'Ünïcode "quoted"', "nested": [1, None]},
        owner="team a",
        params={"seed": 1, "guidance_scale": 2.5, "sampler": "heun"},
    )
    job_id = new_job_id()

    submitted = await queue.submit(job_id, request)

    assert submitted.created
    assert submitted.job == await queue.get(job_id)
    job = submitted.job
    assert (job.id, job.request, job.state) == (job_id, request, JobState.QUEUED)
    assert (job.attempt, job.progress, job.started_at, job.error) == (0, Progress(), None, None)
    assert not job.final


async def test_from_queued_through_running_to_succeeded(
    queue: RedisJobQueue, worker: RedisWorkerQueue
) -> None:
    job_id = await submit(queue)
    lease = claim_one(worker)
    assert (lease.job.id, lease.attempt, lease.job.attempt) == (job_id, 1, 1)
    running = await queue.get(job_id)
    assert running == lease.job
    assert (running.state, running.progress.stage) == (JobState.RUNNING, "starting")
    assert running.started_at is not None
    assert running.started_at >= running.created_at

    worker.progress(lease, Progress(100 / 3, "reconstruct", 2, 6))
    assert (await queue.get(job_id)).progress == Progress(100 / 3, "reconstruct", 2, 6)

    worker.finish(lease, [MESH], {"gpu_seconds": 0.25})
    done = await queue.get(job_id)
    assert (done.state, done.artifacts, done.metrics) == (
        JobState.SUCCEEDED,
        (MESH,),
        {"gpu_seconds": 0.25},
    )
    assert done.progress == Progress(100.0, "done")
    assert done.finished_at is not None
    assert done.expires_at == pytest.approx(done.finished_at + QueueSettings().retention_s)


async def test_a_hopeless_failure_is_final(queue: RedisJobQueue, worker: RedisWorkerQueue) -> None:
    job_id = await submit(queue)
    worker.fail(claim_one(worker), HOPELESS)
    job = await queue.get(job_id)
    assert (job.state, job.error) == (JobState.FAILED, HOPELESS)
    assert worker.claim("w", {"draft": 1}, block_ms=0) == []


async def test_a_retryable_failure_runs_again_and_then_stays(
    queue: RedisJobQueue, worker: RedisWorkerQueue
) -> None:
    job_id = await submit(queue)
    for attempt in (1, 2, 3):
        lease = claim_one(worker)
        assert (lease.attempt, lease.job.attempt) == (attempt, attempt)
        worker.fail(lease, TRY_AGAIN)
        job = await queue.get(job_id)
        if attempt < 3:
            assert (job.state, job.error, job.started_at) == (JobState.QUEUED, None, None)
    job = await queue.get(job_id)
    assert (job.state, job.error, job.attempt) == (JobState.FAILED, TRY_AGAIN, 3)


@pytest.mark.parametrize(
    ("others", "state"),
    [
        ({}, JobState.FAILED),
        ({"v": ("bozzetto-xs",)}, JobState.FAILED),
        ({"v": ("bozzetto-xs", "draft")}, JobState.QUEUED),
    ],
)
async def test_what_does_not_load_waits_only_for_a_worker_that_may_have_it(
    queue: RedisJobQueue,
    worker: RedisWorkerQueue,
    others: dict[str, tuple[str, ...]],
    state: JobState,
) -> None:
    for name, models in {"w": ("draft",), **others}.items():
        worker.heartbeat(WorkerInfo(name, "ready", models, "cpu", 0.0))
    job_id = await submit(queue)
    worker.fail(claim_one(worker), DAMAGED)
    job = await queue.get(job_id)
    assert (job.state, job.error) == (state, DAMAGED if state is JobState.FAILED else None)


async def test_a_retry_waits_a_little(queue: RedisJobQueue, make_worker, raw, prefix: str) -> None:
    worker = make_worker(retry_delay_s=500.0)
    job_id = await submit(queue)
    worker.fail(claim_one(worker), TRY_AGAIN)
    assert worker.claim("w", {"draft": 1}, block_ms=0) == []
    not_before = raw.zscore(f"{prefix}:requeued:draft", job_id)
    assert 25 < not_before - raw.time()[0] < 32  # delays double up to 30 s


async def test_release_takes_the_attempt_back_but_not_the_lease(
    queue: RedisJobQueue, worker: RedisWorkerQueue
) -> None:
    job_id = await submit(queue)
    await submit(queue, priority="high")
    first = worker.claim("w", {"draft": 2}, block_ms=0)[1]
    worker.release(first)
    job = await queue.get(job_id)
    assert (job.state, job.attempt, job.progress) == (JobState.QUEUED, 0, Progress())

    await submit(queue, priority="high")
    again = claim_one(worker)
    assert again.job.id == job_id, "what was handed back goes first"
    assert (again.job.attempt, again.attempt) == (1, 2)
    with pytest.raises(StaleLeaseError):
        worker.finish(first, [MESH], {})
    worker.finish(again, [MESH], {})


async def test_cancel_while_queued(queue: RedisJobQueue, worker: RedisWorkerQueue) -> None:
    job_id = await submit(queue)
    job = await queue.cancel(job_id)
    assert (job.state, job.cancel_requested) == (JobState.CANCELED, True)
    assert job.finished_at is not None
    with pytest.raises(JobFinalError) as refused:
        await queue.cancel(job_id)
    assert refused.value.state == JobState.CANCELED
    assert worker.claim("w", {"draft": 1}, block_ms=0) == []


async def test_cancel_while_running(queue: RedisJobQueue, worker: RedisWorkerQueue) -> None:
    job_id = await submit(queue)
    lease = claim_one(worker)
    for _ in range(2):
        job = await queue.cancel(job_id)
        assert (job.state, job.cancel_requested) == (JobState.RUNNING, True)
    [status] = worker.renew("w", [lease])
    assert (status.owned, status.cancel_requested) == (True, True)
    worker.canceled(lease)
    assert (await queue.get(job_id)).state == JobState.CANCELED


@pytest.mark.parametrize("give_up", ["fail", "release"])
async def test_a_canceled_job_does_not_go_back_to_the_queue(
    queue: RedisJobQueue, worker: RedisWorkerQueue, give_up: str
) -> None:
    job_id = await submit(queue)
    lease = claim_one(worker)
    await queue.cancel(job_id)
    if give_up == "fail":
        worker.fail(lease, TRY_AGAIN)
    else:
        worker.release(lease)
    assert (await queue.get(job_id)).state == JobState.CANCELED


async def test_cancel_that_comes_too_late_changes_nothing(
    queue: RedisJobQueue, worker: RedisWorkerQueue
) -> None:
    job_id = await submit(queue)
    lease = claim_one(worker)
    await queue.cancel(job_id)
    worker.finish(lease, [MESH], {})
    assert (await queue.get(job_id)).state == JobState.SUCCEEDED
    for _ in range(2):
        with pytest.raises(JobFinalError):
            await queue.cancel(job_id)


async def test_cancel_while_waiting_for_a_retry(
    queue: RedisJobQueue, worker: RedisWorkerQueue
) -> None:
    job_id = await submit(queue)
    worker.fail(claim_one(worker), TRY_AGAIN)
    assert (await queue.cancel(job_id)).state == JobState.CANCELED
    assert worker.claim("w", {"draft": 1}, block_ms=0) == []


@pytest.mark.parametrize("end", ["succeeded", "failed", "canceled"])
async def test_a_final_job_takes_no_more_writes(
    queue: RedisJobQueue, worker: RedisWorkerQueue, end: str
) -> None:
    job_id = await submit(queue)
    lease = claim_one(worker)
    ends = {
        "succeeded": lambda: worker.finish(lease, [MESH], {}),
        "failed": lambda: worker.fail(lease, HOPELESS),
        "canceled": lambda: worker.canceled(lease),
    }
    ends[end]()
    final = await queue.get(job_id)
    ends[end]()  # the same again is taken for a repeat after a lost answer
    for other in ends.keys() - {end} - ({"failed"} if end == "canceled" else set()):
        with pytest.raises(StaleLeaseError):
            ends[other]()
    with pytest.raises(StaleLeaseError):
        worker.progress(lease, Progress(1.0))
    assert not worker.renew("w", [lease])[0].owned
    assert await queue.get(job_id) == final


WRITES: dict[str, Callable[[RedisWorkerQueue, Lease], None]] = {
    "finish": lambda worker, lease: worker.finish(lease, [], {}),
    "fail": lambda worker, lease: worker.fail(lease, HOPELESS),
    "canceled": lambda worker, lease: worker.canceled(lease),
    "release": lambda worker, lease: worker.release(lease),
    "progress": lambda worker, lease: worker.progress(lease, Progress(1.0)),
}


@pytest.mark.parametrize("write", WRITES)
async def test_a_lease_that_was_never_given_is_refused(
    queue: RedisJobQueue, worker: RedisWorkerQueue, write: str
) -> None:
    job_id = await submit(queue)
    lease = claim_one(worker)
    other_job = dataclasses.replace(lease.job, id="0" * 32)
    for wrong in (
        dataclasses.replace(lease, attempt=2),
        dataclasses.replace(lease, job=other_job),
    ):
        with pytest.raises(StaleLeaseError):
            WRITES[write](worker, wrong)
    assert (await queue.get(job_id)) == lease.job


async def test_delete_only_what_is_final(queue: RedisJobQueue, worker: RedisWorkerQueue) -> None:
    job_id = await submit(queue, owner="me")
    with pytest.raises(JobActiveError) as refused:
        await queue.delete(job_id)
    assert refused.value.state == JobState.QUEUED
    lease = claim_one(worker)
    with pytest.raises(JobActiveError):
        await queue.delete(job_id)
    worker.finish(lease, [MESH], {})

    assert (await queue.delete(job_id)).artifacts == (MESH,)

    for call in (queue.get, queue.delete, queue.cancel, queue.place):
        with pytest.raises(JobNotFoundError):
            await call(job_id)
    assert (await queue.list_jobs("me")).jobs == ()


async def test_a_deleted_job_leaves_no_key(
    queue: RedisJobQueue, worker: RedisWorkerQueue, raw, prefix: str
) -> None:
    await queue.delete((await queue.cancel(await submit(queue))).id)
    before = set(raw.keys(f"{prefix}:*"))
    job_id = await submit(queue)
    worker.finish(claim_one(worker), [MESH], {})
    await queue.delete(job_id)
    assert set(raw.keys(f"{prefix}:*")) - before <= {f"{prefix}:pace:draft"}


async def test_unknown_jobs(queue: RedisJobQueue) -> None:
    for call in (queue.get, queue.delete, queue.cancel, queue.place):
        with pytest.raises(JobNotFoundError):
            await call("0" * 32)
    with pytest.raises(JobNotFoundError):
        await anext(queue.events("0" * 32))


async def test_metrics_that_are_no_numbers_are_refused_before_anything_is_written(
    queue: RedisJobQueue, worker: RedisWorkerQueue
) -> None:
    job_id = await submit(queue)
    lease = claim_one(worker)
    with pytest.raises(ValueError, match="JSON"):
        worker.finish(lease, [MESH], {"gpu_seconds": float("nan")})
    assert (await queue.get(job_id)).state == JobState.RUNNING
