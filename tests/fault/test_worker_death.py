"""Worker processes that are killed, stopped or told to go while they hold jobs: nothing is lost."""

import asyncio
import hashlib
import io
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest
from PIL import Image
from redis import Redis

from models.catalog import DRAFT
from service.jobs import InputInfo, JobRequest, JobState, new_job_id
from service.queue.embedded import EmbeddedServer
from service.queue.redis_queue import RedisJobQueue
from service.settings import QueueSettings
from service.store.local import LocalStore
from tests.e2e.processes import Program, program, wait_until
from tests.e2e.worker_entry import GATE_SEED, OTHER
from tests.models.pictures import compose

pytestmark = pytest.mark.redis

LEASE_S = 1.0


class Caller:
    """The gateway's side, and worker processes on the same queue and store."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.gate = folder / "gate"
        self.gate.mkdir()
        self.store = LocalStore(folder / "store")
        self.stack = ExitStack()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stack.close()

    def worker(self, **environment: str) -> Program:
        return self.stack.enter_context(
            program(
                "-m",
                "tests.e2e.worker_entry",
                BOZZETTO_REDIS__URL=self.url,
                BOZZETTO_DATA_DIR=str(self.folder),
                BOZZETTO_QUEUE__LEASE_S=str(LEASE_S),
                GATE_DIR=str(self.gate),
                **environment,
            )
        )

    def call(self, action):
        async def run():
            queue = RedisJobQueue.from_url(self.url, QueueSettings(lease_s=LEASE_S))
            try:
                return await action(queue)
            finally:
                await queue.close()

        return asyncio.run(run())

    def submit(self, seed: int, model: str = DRAFT.id) -> str:
        data = io.BytesIO()
        Image.fromarray(compose("disc", size=64).rgba).save(data, "PNG")
        job_id = new_job_id()
        self.store.put(f"{job_id}/input/0", data.getvalue())
        request = JobRequest(
            model=model,
            params=DRAFT.resolve({"seed": seed, "num_points": 256}),
            outputs=("points.ply",),
            input=InputInfo(hashlib.sha256(data.getvalue()).hexdigest(), 64, 64),
            images=(f"{job_id}/input/0",),
        )
        self.call(lambda queue: queue.submit(job_id, request))
        return job_id

    def get(self, job_id):
        return self.call(lambda queue: queue.get(job_id))

    def wait(self, ids):
        wait_until(lambda: all(self.get(job_id).final for job_id in ids), "all jobs are final")
        return [self.get(job_id) for job_id in ids]

    def wait_running(self):
        wait_until((self.gate / "waiting").exists, "a job runs")

    def wait_lease_over(self, job_id, model):
        with Redis.from_url(self.url, decode_responses=True) as raw:
            wait_until(
                lambda: raw.zscore(f"bozzetto:leases:{model}", job_id) < raw.time()[0],
                "the lease is over",
            )

    def open_gate(self):
        (self.gate / "open").touch()

    def check_files(self, job):
        """The published files are whole, and those of the attempt that won."""
        assert {artifact.name for artifact in job.artifacts} == {"points.ply", "mask.png"}
        for artifact in job.artifacts:
            data = self.store.get(artifact.key)
            assert hashlib.sha256(data).hexdigest() == artifact.sha256


@pytest.fixture
def caller(redis_url, tmp_path):
    with Caller(redis_url, tmp_path) as caller:
        yield caller


def test_a_killed_workers_whole_batch_is_done_by_the_next(caller):
    ids = [caller.submit(seed) for seed in (GATE_SEED, 1, 2, 3)]
    first = caller.worker()
    caller.wait_running()
    wait_until(
        lambda: all(caller.get(job_id).state == JobState.RUNNING for job_id in ids), "all run"
    )
    first.send(signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL
    caller.open_gate()
    caller.worker()

    jobs = caller.wait(ids)

    assert {job.state for job in jobs} == {JobState.SUCCEEDED}
    assert jobs[0].attempt == 2
    for job in jobs:
        caller.check_files(job)


def test_a_worker_that_wakes_up_late_changes_nothing(caller):
    """Stopped past its lease; another worker does the job; then the first goes on."""
    job_id = caller.submit(GATE_SEED)
    sleeper = caller.worker()
    caller.wait_running()
    sleeper.send(signal.SIGSTOP)
    caller.open_gate()
    caller.worker()
    (done,) = caller.wait([job_id])

    sleeper.send(signal.SIGCONT)
    sleeper.wait_line("job stopped: lost")

    assert caller.get(job_id) == done
    assert (done.state, done.attempt) == (JobState.SUCCEEDED, 2)
    caller.check_files(done)


def test_workers_of_different_models_leave_each_other_their_jobs(caller):
    drafts = [caller.submit(seed) for seed in (1, 2)]
    others = [caller.submit(seed, OTHER.id) for seed in (3, 4)]
    caller.worker(BOZZETTO_WORKER__MODELS='["draft"]')
    assert {job.state for job in caller.wait(drafts)} == {JobState.SUCCEEDED}
    assert [caller.get(job_id).attempt for job_id in others] == [0, 0]
    caller.worker(BOZZETTO_WORKER__MODELS='["other"]')
    for job in caller.wait(others):
        assert (job.state, job.attempt) == (JobState.SUCCEEDED, 1)
        caller.check_files(job)


def test_a_killed_workers_job_waits_for_another_of_its_model(caller):
    job_id = caller.submit(GATE_SEED, OTHER.id)
    doomed = caller.worker(BOZZETTO_WORKER__MODELS='["other"]')
    caller.wait_running()
    caller.worker(BOZZETTO_WORKER__MODELS='["draft"]')
    doomed.send(signal.SIGKILL)
    doomed.wait()
    caller.wait_lease_over(job_id, OTHER.id)
    caller.open_gate()
    (bystander,) = caller.wait([caller.submit(1)])  # claimed after the lease was over
    assert bystander.state == JobState.SUCCEEDED
    assert (caller.get(job_id).state, caller.get(job_id).attempt) == (JobState.RUNNING, 1)

    caller.worker(BOZZETTO_WORKER__MODELS='["draft", "other"]')
    (job,) = caller.wait([job_id])
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 2)
    caller.check_files(job)


def test_sigterm_finishes_what_runs_and_leaves_what_waits(caller):
    running = caller.submit(GATE_SEED)
    worker = caller.worker(BOZZETTO_WORKER__MAX_BATCH="1")
    caller.wait_running()
    waiting = caller.submit(1)
    worker.send(signal.SIGTERM)
    worker.wait_line("draining")
    caller.open_gate()

    assert worker.wait() == 0
    assert caller.get(running).state == JobState.SUCCEEDED
    assert caller.get(waiting).state == JobState.QUEUED
    assert not caller.call(lambda queue: queue.stats()).workers


def test_sigterm_without_time_hands_back_even_what_hangs(caller):
    job_id = caller.submit(GATE_SEED)
    worker = caller.worker(BOZZETTO_WORKER__DRAIN_S="0")
    caller.wait_running()
    worker.send(signal.SIGTERM)

    assert worker.wait() == 0
    job = caller.get(job_id)
    assert (job.state, job.attempt) == (JobState.QUEUED, 0)


def test_a_second_signal_ends_a_worker_at_once(caller):
    job_id = caller.submit(GATE_SEED)
    worker = caller.worker()
    caller.wait_running()
    worker.send(signal.SIGINT)
    worker.wait_line("draining")
    worker.send(signal.SIGINT)

    assert worker.wait() == 128 + signal.SIGINT
    caller.open_gate()
    caller.worker()
    (job,) = caller.wait([job_id])
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 2)


def test_the_queue_server_is_killed_with_jobs_waiting_and_running(tmp_path):
    with EmbeddedServer(tmp_path / "redis") as server, Caller(server.url, tmp_path) as caller:
        ids = [caller.submit(GATE_SEED)]
        ids += [caller.submit(seed, model) for seed in (1, 2, 3) for model in (DRAFT.id, OTHER.id)]
        caller.worker(BOZZETTO_WORKER__MAX_BATCH="2")
        caller.wait_running()
        assert server._process is not None
        server._process.kill()
        server._process.wait()
        caller.open_gate()
        server.start()

        jobs = caller.wait(ids)

        assert {job.state for job in jobs} == {JobState.SUCCEEDED}
        for job in jobs:
            caller.check_files(job)
