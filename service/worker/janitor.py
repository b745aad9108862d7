"""Removes the files of jobs whose retention is over."""

import logging
import threading

from service.queue.contract import QueueUnreachableError, WorkerQueue
from service.store.contract import Store, StoreError

EVERY_S = 30.0

_log = logging.getLogger("bozzetto.worker")


def clean(queue: WorkerQueue, store: Store, stopped: threading.Event) -> None:
    """Until `stopped`. The queue gives each expired job to one worker."""
    while not stopped.wait(EVERY_S):
        try:
            for job_id in queue.reap():
                store.delete_prefix(job_id)
        except QueueUnreachableError as error:
            _log.debug("no clean-up: %s", error)
        except StoreError as error:
            _log.warning("files are left over: %s", error)
