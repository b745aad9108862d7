"""Every key of the queue, what it holds, and how long it lives. Lua knows no name of its own.

jobs:<priority>      stream     one entry per job that is not final, holding the job's id only
waiting:<priority>   sorted set queued jobs that no worker has had yet, by time of submit
requeued             sorted set queued jobs that a worker gave back, by the time they may start
leases               sorted set running jobs, by the time their lease ends
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
pace                 string     moving average of the seconds that one job runs
turns                string     picks by priority since the last one by age
order                string     counter of submits
bell                 stream     grows whenever an idle worker should look for work
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
        self.bell = self._root + "bell"
        self.vector: tuple[str, ...] = (
            *(f"{self._root}jobs:{priority}" for priority in PRIORITIES),
            *(f"{self._root}waiting:{priority}" for priority in PRIORITIES),
            self._root + "requeued",
            self._root + "leases",
            self._root + "deadlines",
            self._root + "retained",
            self._root + "reapable",
            self.workers,
            self._root + "pace",
            self._root + "turns",
            self._root + "order",
            self.bell,
            # Beginnings of key families: the script appends the id.
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

    def stream(self, priority: str) -> str:
        return f"{self._root}jobs:{priority}"


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
