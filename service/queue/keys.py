"""Every key of the queue, what it holds, and how long it lives. Lua knows no name of its own.

Each model has a queue of its own, so that a worker sees the jobs it can run and no others:

jobs:<model>:<priority>      stream     one entry per job that is not final, holding its id only
waiting:<model>:<priority>   sorted set queued jobs that no worker has had yet, by time of submit
requeued:<model>     sorted set queued jobs that a worker gave back, by the time they may start
leases:<model>       sorted set running jobs, by the time their lease ends
pace:<model>         string     moving average of the seconds that one job runs
turns:<model>        string     picks by priority since the last one by age
bell:<model>         stream     grows whenever an idle worker should look for work

The rest is for all of them:

models               set        models that have had a job
deadlines            sorted set queued jobs that have a deadline, by that deadline
job:<id>             hash       the job: the truth; `retention_s` after its end it is gone
events:<id>          stream     what happened to it, the last ~512 events; lives as the job does
gone:<id>            string     "there was such a job", for GONE_S after the job's hash
idempotency:<hash>   string     body hash and job id, for `idempotency_s`
owner:<owner>        sorted set one caller's job ids, in order of submit
retained             sorted set final jobs, by the time they expire
reapable             list       ids of expired jobs whose files may still be there
workers              sorted set worker ids by last heartbeat
worker:<id>          string     what that heartbeat said, for WORKER_TTL_S
order                string     counter of submits

Scripts make names of jobs, models and workers out of the beginnings in `Keys.vector`. On a Redis
Cluster all keys must share a slot: give the prefix a hash tag, as in `{bozzetto}`.
"""

import hashlib
from typing import Final

GROUP: Final = "workers"
PRIORITIES: Final = ("high", "normal", "low")

GONE_S: Final = 7 * 86_400.0
WORKER_TTL_S: Final = 15.0
EVENTS_KEPT: Final = 512


class Keys:
    """`vector` is the KEYS of every script: `lua/_common.lua` names them in this very order."""

    def __init__(self, prefix: str) -> None:
        self._root = f"{prefix}:"
        self.workers = self._root + "workers"
        self.vector: tuple[str, ...] = (
            self._root + "models",
            self._root + "deadlines",
            self._root + "retained",
            self._root + "reapable",
            self.workers,
            self._root + "order",
            # Beginnings of key families: the script appends the model, or the id.
            self._root + "jobs:",
            self._root + "waiting:",
            self._root + "requeued:",
            self._root + "leases:",
            self._root + "pace:",
            self._root + "turns:",
            self._root + "bell:",
            self._root + "job:",
            self._root + "events:",
            self._root + "gone:",
            self._root + "idempotency:",
            self._root + "owner:",
            self._root + "worker:",
        )

    def job(self, job_id: str) -> str:
        return f"{self._root}job:{job_id}"

    def events(self, job_id: str) -> str:
        """The job's event stream, and the channel that says that it has grown."""
        return f"{self._root}events:{job_id}"

    def gone(self, job_id: str) -> str:
        return f"{self._root}gone:{job_id}"

    def stream(self, model: str, priority: str) -> str:
        return f"{self._root}jobs:{model}:{priority}"

    def bell(self, model: str) -> str:
        return f"{self._root}bell:{model}"


def idempotency_name(owner: str, key: str) -> str:
    """Callers do not share idempotency keys, and a long key makes no long name."""
    return hashlib.sha256(f"{len(owner)}:{owner}:{key}".encode()).hexdigest()


__all__ = [
    "EVENTS_KEPT",
    "GONE_S",
    "GROUP",
    "PRIORITIES",
    "WORKER_TTL_S",
    "Keys",
    "idempotency_name",
]
