"""Sends progress to the queue from a thread of its own, so that computing never waits for it."""

import threading
from dataclasses import replace

from service.jobs import Preview, Progress
from service.queue.contract import QueueUnreachableError, StaleLeaseError, WorkerQueue
from service.worker.held import HeldJob, Stop


class Reporter:
    """Of what was said of one job only the newest is sent: a slow queue means fewer reports.

    A job's preview stays in its reports until there is a newer one.
    """

    def __init__(self, queue: WorkerQueue) -> None:
        self._queue = queue
        self._said: dict[HeldJob, Progress] = {}
        self._unsent: dict[HeldJob, None] = {}  # in the order of their turns
        self._changed = threading.Condition()
        self._done = False

    def say(self, held: HeldJob, progress: Progress) -> None:
        with self._changed:
            before = self._said.get(held)
            preview = None if before is None else before.preview
            self._tell(held, replace(progress, preview=preview))

    def show(self, held: HeldJob, preview: Preview) -> None:
        """Add a preview to what was last said of the job."""
        with self._changed:
            if (said := self._said.get(held)) is not None:
                self._tell(held, replace(said, preview=preview))

    def _tell(self, held: HeldJob, progress: Progress) -> None:
        self._said[held] = progress
        self._unsent[held] = None
        self._changed.notify()

    def forget(self, held: HeldJob) -> None:
        """The job is over; what was not sent yet is not needed."""
        with self._changed:
            self._said.pop(held, None)
            self._unsent.pop(held, None)

    def stop(self) -> None:
        with self._changed:
            self._done = True
            self._changed.notify()

    def run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._unsent or self._done)
                if self._done:
                    return
                held = next(iter(self._unsent))
                del self._unsent[held]
                progress = self._said[held]
            try:
                self._queue.progress(held.lease, progress)
            except StaleLeaseError:
                # Over, or taken away; in the second case there is no use in going on.
                held.ask_to_stop(Stop.LOST)
            except QueueUnreachableError:
                continue
