"""Keeps this worker's leases and its heartbeat alive, in a thread apart from all computing."""

import logging
import threading
import time
from collections.abc import Iterable
from typing import Literal

from service.queue.contract import QueueError, QueueUnreachableError, WorkerInfo, WorkerQueue
from service.worker.held import HeldJobs, Stop

# Renewals also carry the news of cancellations, so they come more often than leases need.
RENEW_S = 0.5
HEARTBEAT_S = 2.0

WorkerState = Literal["starting", "ready", "busy", "draining"]

_log = logging.getLogger("bozzetto.worker")


class Keeper:
    """Renews every lease each third of its length or oftener, and passes on what comes back."""

    def __init__(
        self,
        queue: WorkerQueue,
        worker_id: str,
        held: HeldJobs,
        *,
        device: str,
        lease_s: float,
    ) -> None:
        self._queue = queue
        self._worker_id = worker_id
        self._held = held
        self._models: tuple[str, ...] = ()
        self._device = device
        self._interval_s = min(lease_s / 3, RENEW_S)
        self._phase: WorkerState = "starting"
        self._wake = threading.Event()
        self._done = threading.Event()
        self._speaking = threading.Lock()
        self._told: WorkerState | None = None

    def say_ready(self, models: Iterable[str]) -> None:
        """The heartbeat names these models from now on; a ready worker that holds jobs is busy."""
        self._models, self._phase = tuple(models), "ready"
        self._told = None  # whatever it said before, it did not name these
        self._wake.set()

    def say_draining(self) -> None:
        self._phase = "draining"
        self._wake.set()

    def run(self) -> None:
        next_beat = 0.0
        while not self._done.is_set():
            try:
                self.renew()
                if time.monotonic() >= next_beat or self._state() != self._told:
                    self.beat()
                    next_beat = time.monotonic() + HEARTBEAT_S
            except QueueUnreachableError as error:
                _log.debug("no renewal: %s", error)
            self._wake.wait(self._interval_s)
            self._wake.clear()

    def beat(self) -> None:
        """Raises QueueUnreachableError."""
        with self._speaking:
            if self._done.is_set():
                return  # nothing comes after the goodbye
            state = self._state()
            self._queue.heartbeat(
                WorkerInfo(self._worker_id, state, self._models, self._device, time.time())
            )
            self._told = state

    def renew(self) -> None:
        """Raises QueueUnreachableError."""
        jobs = self._held.all()
        if not jobs:
            return
        statuses = self._queue.renew(self._worker_id, [held.lease for held in jobs])
        for held, status in zip(jobs, statuses, strict=True):
            if not status.owned:
                held.ask_to_stop(Stop.LOST)
            elif status.cancel_requested:
                held.ask_to_stop(Stop.CANCELED)
            elif status.deadline_passed:
                held.ask_to_stop(Stop.DEADLINE)

    def stop(self) -> None:
        """No more renewals; the last thing that the queue hears is a goodbye."""
        self._done.set()
        self._wake.set()
        try:
            with self._speaking:
                self._queue.goodbye(self._worker_id)
        except QueueError as error:
            _log.debug("no goodbye: %s", error)

    def _state(self) -> WorkerState:
        if self._phase == "ready" and self._held.counts()[0]:
            return "busy"
        return self._phase
