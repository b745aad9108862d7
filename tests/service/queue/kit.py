"""What the queue's tests share: requests, small answers, and the invariants of the keys."""

from typing import Any

from service.jobs import ACTIVE, Artifact, InputInfo, JobError, JobRequest, JobState, new_job_id
from service.queue.keys import GROUP, PRIORITIES, Keys
from service.queue.redis_queue import RedisJobQueue
from tests.polling import eventually

MESH = Artifact("mesh.glb", "j/1/mesh.glb", "model/gltf-binary", 12, "ab" * 32, vertices=3, faces=1)
TRY_AGAIN = JobError("out_of_memory", "no room", retryable=True)
HOPELESS = JobError("no_foreground", "nothing to see", retryable=False, hint="crop it")


def make_request(**changes: Any) -> JobRequest:
    base = JobRequest(
        model="draft",
        params={"seed": 7, "num_points": 2048},
        outputs=("points.ply", "mesh.glb"),
        input=InputInfo("cd" * 32, 640, 480),
        images=("j/input/0",),
    )
    return JobRequest(**{**{name: getattr(base, name) for name in base.__slots__}, **changes})


async def submit(queue: RedisJobQueue, **changes: Any) -> str:
    job_id = new_job_id()
    await queue.submit(job_id, make_request(**changes))
    return job_id


async def submit_late(queue: RedisJobQueue, raw: Any) -> str:
    """A queued job whose deadline has just passed, by the server's clock; nothing saw it yet."""
    job_id = new_job_id()
    job = (await queue.submit(job_id, make_request(deadline_s=0.001))).job
    assert job.deadline_at is not None
    deadline_at = job.deadline_at
    eventually(lambda: float("{}.{:06}".format(*raw.time())) > deadline_at)
    return job_id


def check_invariants(raw: Any, prefix: str) -> None:
    """Each job is in exactly the indexes that its state says, and nothing else is in any."""
    keys = Keys(prefix)
    jobs = {
        key.removeprefix(keys.job("")): raw.hgetall(key) for key in raw.keys(keys.job("") + "*")
    }
    waiting = {p: set(raw.zrange(f"{prefix}:waiting:{p}", 0, -1)) for p in PRIORITIES}
    requeued = set(raw.zrange(f"{prefix}:requeued", 0, -1))
    leases = set(raw.zrange(f"{prefix}:leases", 0, -1))
    entries = {
        p: {entry: fields["job"] for entry, fields in raw.xrange(keys.stream(p))}
        for p in PRIORITIES
    }
    for job_id, job in jobs.items():
        state, priority = JobState(job["state"]), job["priority"]
        found = [index for index in (*waiting.values(), requeued, leases) if job_id in index]
        assert len(found) == (state in ACTIVE), (job_id, job)
        assert (job_id in leases) == (state == JobState.RUNNING)
        assert (entries[priority].get(job["entry"]) == job_id) == (state in ACTIVE)
        has_deadline = raw.zscore(f"{prefix}:deadlines", job_id) is not None
        assert has_deadline == (state == JobState.QUEUED and "deadline_at" in job), (job_id, job)
        expires = raw.pttl(keys.job(job_id))
        assert (expires == -1) == (state in ACTIVE), (job_id, job, expires)
    indexed = set().union(*waiting.values(), requeued, leases)
    assert indexed <= set(jobs)
    assert set(raw.zrange(f"{prefix}:deadlines", 0, -1)) <= indexed
    assert {job for stream in entries.values() for job in stream.values()} == indexed
    for priority in PRIORITIES:
        if raw.exists(keys.stream(priority)):
            pending = raw.xpending(keys.stream(priority), GROUP)["pending"]
            assert pending == len(entries[priority]) - len(waiting[priority])
