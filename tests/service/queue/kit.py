"""What the queue's tests share: requests, small answers, and the invariants of the keys."""

import itertools
from typing import Any

from service.jobs import ACTIVE, Artifact, InputInfo, JobError, JobRequest, JobState, new_job_id
from service.queue.keys import GROUP, PRIORITIES, Keys
from service.queue.redis_queue import RedisJobQueue
from tests.polling import eventually, eventually_async

MESH = Artifact("mesh.glb", "j/1/mesh.glb", "model/gltf-binary", 12, "ab" * 32, vertices=3, faces=1)
TRY_AGAIN = JobError("out_of_memory", "no room", retryable=True)
DAMAGED = JobError("model_load_failed", "other bytes", retryable=True)
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


async def listening(raw: Any) -> None:
    """Returns once a client of the server blocks."""

    async def blocked() -> bool:
        return bool(raw.info("clients")["blocked_clients"])

    await eventually_async(blocked)


def check_invariants(raw: Any, prefix: str) -> None:
    """Each job is in exactly the indexes that its state says, and nothing else is in any."""
    keys = Keys(prefix)
    jobs = {
        key.removeprefix(keys.job("")): raw.hgetall(key) for key in raw.keys(keys.job("") + "*")
    }
    models = {job["model"] for job in jobs.values()}
    assert models <= raw.smembers(f"{prefix}:models")
    queues = list(itertools.product(models, PRIORITIES))
    waiting = {q: set(raw.zrange("{}:waiting:{}:{}".format(prefix, *q), 0, -1)) for q in queues}
    requeued = {m: set(raw.zrange(f"{prefix}:requeued:{m}", 0, -1)) for m in models}
    leases = {m: set(raw.zrange(f"{prefix}:leases:{m}", 0, -1)) for m in models}
    entries = {
        q: {entry: fields["job"] for entry, fields in raw.xrange(keys.stream(*q))} for q in queues
    }
    indexes = (*waiting.values(), *requeued.values(), *leases.values())
    for job_id, job in jobs.items():
        state, model, priority = JobState(job["state"]), job["model"], job["priority"]
        found = [index for index in indexes if job_id in index]
        assert len(found) == (state in ACTIVE), (job_id, job)
        own = leases[model] if state == JobState.RUNNING else requeued[model]
        own = own | (waiting[model, priority] if state == JobState.QUEUED else set())
        assert (job_id in own) == (state in ACTIVE), (job_id, job)
        assert (entries[model, priority].get(job["entry"]) == job_id) == (state in ACTIVE)
        has_deadline = raw.zscore(f"{prefix}:deadlines", job_id) is not None
        assert has_deadline == (state == JobState.QUEUED and "deadline_at" in job), (job_id, job)
        expires = raw.pttl(keys.job(job_id))
        assert (expires == -1) == (state in ACTIVE), (job_id, job, expires)
    indexed = set().union(*indexes)
    assert indexed <= set(jobs)
    assert set(raw.zrange(f"{prefix}:deadlines", 0, -1)) <= indexed
    assert {job for stream in entries.values() for job in stream.values()} == indexed
    for queue in queues:
        if raw.exists(keys.stream(*queue)):
            pending = raw.xpending(keys.stream(*queue), GROUP)["pending"]
            assert pending == len(entries[queue]) - len(waiting[queue])
