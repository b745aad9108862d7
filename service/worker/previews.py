"""Objects as they are guessed while their jobs run, written from a thread of their own."""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from geometry.formats import FORMATS
from geometry.ply import write_points
from geometry.point_cloud import PointCloud
from service.jobs import Preview
from service.store.contract import Store, StoreError
from service.worker.held import HeldJob
from service.worker.reporter import Reporter

NAME: Final = "preview.ply"
_FORMAT: Final = FORMATS["points.ply"]

_log = logging.getLogger("bozzetto.worker")


@dataclass(slots=True, eq=False)
class _Series:
    """One job's previews. `storing` is held while the store is at work on its file."""

    next_at: float
    writing: bool = True
    closed: bool = False
    written: bool = False
    storing: threading.Lock = field(default_factory=threading.Lock)


class Previews:
    """A job's newest preview, in one file that each overwrites; reported once it is stored.

    A store that is slow means fewer previews, one that fails means none for that job: neither
    holds up the engine or fails the job.

    Args:
        every_s: least seconds between two previews of a job; 0 makes none at all.
    """

    def __init__(
        self,
        store: Store,
        reporter: Reporter,
        every_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._reporter = reporter
        self._every_s = every_s
        self._clock = clock
        self._series: dict[HeldJob, _Series] = {}
        self._pool = ThreadPoolExecutor(1, "preview")

    # The engine's calls, in the engine's thread.

    def due(self, held: HeldJob) -> bool:
        """Is it time for another one, and has the last one been stored?"""
        series = self._series.get(held)
        if series is None:
            return self._every_s > 0
        return not (series.writing or series.closed) and self._clock() >= series.next_at

    def show(self, held: HeldJob, step: int, cloud: PointCloud) -> None:
        """Have it written, some time soon."""
        next_at = self._clock() + self._every_s
        series = self._series.setdefault(held, _Series(next_at))
        series.next_at, series.writing = next_at, True
        self._pool.submit(self._write, held, series, step, cloud)

    # From any thread.

    def close(self, held: HeldJob) -> None:
        """The job has no more previews, and none in the store."""
        series = self._series.pop(held, None)
        if series is None:
            return
        series.closed = True
        with series.storing:  # a write that has begun would bring the file back
            if series.written:
                self._remove(held)

    def shut_down(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _write(self, held: HeldJob, series: _Series, step: int, cloud: PointCloud) -> None:
        try:
            with series.storing:
                if series.closed:
                    return
                shown = PointCloud(cloud.positions, cloud.colors)  # normals would double the bytes
                data, key = write_points(shown), f"{held.key}/{NAME}"
                series.written = True
                self._store.put(key, data, flush="never")
                self._reporter.show(held, Preview(key, _FORMAT, len(data), step, len(cloud)))
        except Exception as error:  # noqa: BLE001  no reason to fail the job
            _log.warning("no more previews: %s", error, extra={"job_id": held.id})
            series.closed = True
        finally:
            series.writing = False

    def _remove(self, held: HeldJob) -> None:
        try:
            self._store.delete_prefix(f"{held.key}/{NAME}")
        except StoreError as error:
            _log.warning("a preview is left over: %s", error, extra={"job_id": held.id})
