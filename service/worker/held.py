"""The jobs that this worker holds a lease on, and why one of them should stop."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from service.queue.contract import Lease


class Stop(StrEnum):
    CANCELED = "canceled"  # the caller asked for it
    DEADLINE = "deadline"
    LOST = "lost"  # another attempt owns the job now
    DRAINED = "drained"  # this worker ends


@dataclass(slots=True, eq=False)
class HeldJob:
    """Attributes:
    stop: set once, by any thread; looked at between stages and between evaluations.
    finishing: the device is done with it.
    mask_png: from the preparation, kept for the files at the end.
    """

    lease: Lease
    claimed_at: float = field(default_factory=time.monotonic)
    stop: Stop | None = None
    finishing: bool = False
    mask_png: bytes = b""

    @property
    def id(self) -> str:
        """Of the job."""
        return self.lease.job.id

    @property
    def model(self) -> str:
        return self.lease.job.request.model

    @property
    def key(self) -> str:
        """Of this run of it: a worker that lost a job can claim the same one again."""
        return f"{self.id}/{self.lease.attempt}"

    def ask_to_stop(self, why: Stop) -> None:
        """The first reason stays, but a job that is lost is lost."""
        if self.stop is None or why is Stop.LOST:
            self.stop = why


class StoppedError(Exception):
    """Raised inside a job's work when it should stop."""


class HeldJobs:
    """Safe to use from several threads."""

    def __init__(self) -> None:
        self._jobs: dict[str, HeldJob] = {}
        self._changed = threading.Condition()

    def add(self, held: HeldJob) -> None:
        with self._changed:
            self._jobs[held.key] = held
            self._changed.notify_all()

    def remove(self, held: HeldJob) -> None:
        """Fine if it is gone already."""
        with self._changed:
            self._jobs.pop(held.key, None)
            self._changed.notify_all()

    def finishing(self, held: HeldJob) -> None:
        with self._changed:
            held.finishing = True
            self._changed.notify_all()

    def all(self) -> list[HeldJob]:
        with self._changed:
            return list(self._jobs.values())

    def get(self, key: str) -> HeldJob | None:
        with self._changed:
            return self._jobs.get(key)

    def counts(self) -> tuple[Counter[str], int]:
        """Jobs on their way to or on the device, by model, and jobs that are being finished."""
        jobs = self.all()
        computing = Counter(held.model for held in jobs if not held.finishing)
        return computing, len(jobs) - computing.total()

    def wait_for(self, check: Callable[[], bool], timeout_s: float) -> bool:
        """Look again at each change, until `check` holds or the time is over; says whether it did.

        `check` may call the methods of this object.
        """
        with self._changed:
            return self._changed.wait_for(check, timeout_s)

    def wait_empty(self, timeout_s: float) -> bool:
        return self.wait_for(lambda: not self._jobs, timeout_s)
