"""Sends progress to the queue from a thread of its own, so that computing never waits for it."""

import threading

from service.jobs import Progress
from service.queue.contract import QueueUnreachableError, StaleLeaseError, WorkerQueue
from service.worker.held import HeldJob, Stop


class Reporter:
    """Of what was said of one job only the newest is sent: a slow queue means fewer reports."""

    def __init__(self, queue: WorkerQueue) -> None:
        self._queue = queue
        self._latest: dict[HeldJob, Progress] = {}
        self._changed = threading.Condition()
        self._done = False

    def say(self, held: HeldJob, progress: Progress) -> None:
        with self._changed:
            self._latest[held] = progress
            self._changed.notify()

    def forget(self, held: HeldJob) -> None:
        """The job is over; what was not sent yet is not needed."""
        with self._changed:
            self._latest.pop(held, None)

    def stop(self) -> None:
        with self._changed:
            self._done = True
            self._changed.notify()

    def run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._latest or self._done)
                if self._done:
                    return
                held = next(iter(self._latest))
                progress = self._latest.pop(held)
            try:
                self._queue.progress(held.lease, progress)
            except StaleLeaseError:
                # Over, or taken away; in the second case there is no use in going on.
                held.ask_to_stop(Stop.LOST)
            except QueueUnreachableError:
                continue
