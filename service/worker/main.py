"""The worker process: claims jobs, runs them, hands back what it cannot finish."""

import logging
import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable, Collection

import torch

from models import registry
from models.errors import ModelError
from models.local_catalog import add_local
from service.queue.contract import QueueError, WorkerQueue
from service.queue.redis_worker import RedisWorkerQueue
from service.settings import Settings
from service.store.contract import Store
from service.store.local import LocalStore
from service.telemetry import configure_logging
from service.worker.engine import DeviceLostError, Engine
from service.worker.held import HeldJobs, Stop
from service.worker.janitor import clean
from service.worker.keeper import Keeper
from service.worker.loading import LoadModel, choose_models
from service.worker.memory import keep_freed_memory
from service.worker.reporter import Reporter
from service.worker.runner import JobRunner
from service.worker.scheduler import room
from service.worker.warm_up import warm_up

# Exit codes: what a supervisor should make of the end.
DONE, FAILED, CANNOT_START = 0, 1, 3

CLAIM_MS = 500  # longest single wait for a job, and so the delay of a drain
LOOK_S = 0.025  # between looks for jobs of other models while one has all that it can hold
DRAIN_LOOK_S = 0.5  # between looks whether to drain while there is no room at all
HANDING_BACK_S = 2.0  # for jobs that are told to stop when the drain's time is over

_log = logging.getLogger("bozzetto.worker")


class Worker:
    """One process's worth of work. `run` returns when a drain is over or the process is broken."""

    def __init__(
        self, settings: Settings, queue: WorkerQueue, store: Store, *, load_model: LoadModel
    ) -> None:
        self.id = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self._settings = settings.worker
        self._accepted = settings.models.accepted_licences
        self._queue = queue
        self._store = store
        self._load_model = load_model
        self._device = choose_device(settings.worker.device)
        self._held = HeldJobs()
        self._reporter = Reporter(queue)
        self._keeper = Keeper(
            queue,
            self.id,
            self._held,
            device=str(self._device),
            lease_s=settings.queue.lease_s,
        )
        self._runner = JobRunner(
            queue,
            store,
            self._held,
            self._reporter,
            settings.uploads.max_pixels,
            settings.worker.preview_every_s,
        )
        self._draining = threading.Event()
        self._stopped = threading.Event()
        self._broken = threading.Event()

    @property
    def draining(self) -> bool:
        return self._draining.is_set()

    def drain(self) -> None:
        """Finish what runs, take nothing new. From any thread, or a signal handler."""
        self._draining.set()

    def run(self, *, warm: bool = True) -> int:
        """Returns an exit code.

        Raises:
            ModelError: a model that the settings name cannot be loaded, or none can.
        """
        self._in_thread("keeper", self._keeper.run)
        try:
            models = choose_models(
                self._settings.models, self._accepted, self._load_model, self._device
            )
        except ModelError:
            self._keeper.stop()
            raise
        engine = Engine(models, self._runner, self._settings.max_batch)
        self._runner.use(engine, models)
        if warm:
            warm_up(models.loaded)
        self._in_thread("engine", lambda: self._compute(engine))
        self._in_thread("reporter", self._reporter.run)
        self._in_thread("janitor", lambda: clean(self._queue, self._store, self._stopped))
        self._keeper.say_ready(models)
        models.on_change = lambda: self._keeper.say_ready(models)
        _log.info("ready: %s on %s", ", ".join(models), self._device)
        self._claim_until_drained(models)
        if not self._broken.is_set():
            self._hand_back()
        self._stop_threads(engine)
        return FAILED if self._broken.is_set() else DONE

    def _compute(self, engine: Engine) -> None:
        while not self._stopped.is_set():
            engine.step(wait_s=1.0)

    def _claim_until_drained(self, models: Collection[str]) -> None:
        while not (self._draining.is_set() or self._broken.is_set()):
            served = tuple(models)
            free = self._room(served)
            full = len(free) < len(served)
            leases = []
            if free:
                # The queue cannot say when a full model has room again: no time to block there.
                leases = self._queue.claim(self.id, free, block_ms=0 if full else CLAIM_MS)
            for lease in leases:
                self._runner.take(lease)
            if full and not leases:
                self._wait_for_room(served, free)

    def _room(self, models: Collection[str]) -> dict[str, int]:
        """How many more jobs may come, of each model that can take any."""
        computing, finishing = self._held.counts()
        limit = self._settings.max_batch
        rooms = {model: room(limit, computing[model], finishing) for model in models}
        return {model: free for model, free in rooms.items() if free}

    def _wait_for_room(self, models: Collection[str], seen: dict[str, int]) -> None:
        wait_s = LOOK_S if seen else DRAIN_LOOK_S
        self._held.wait_for(lambda: self._room(models) != seen, wait_s)

    def _hand_back(self) -> None:
        """Let running jobs finish for `drain_s`, then give the rest back to the queue."""
        self._keeper.say_draining()
        count = len(self._held.all())
        _log.info("draining: %d jobs, %g s", count, self._settings.drain_s)
        if self._held.wait_empty(self._settings.drain_s):
            return
        for held in self._held.all():
            held.ask_to_stop(Stop.DRAINED)
        if self._held.wait_empty(HANDING_BACK_S):
            return
        for held in self._held.all():  # whose thread is in the middle of a long computation
            try:
                self._queue.release(held.lease)
            except QueueError as error:
                _log.warning("not handed back: %s", error, extra={"job_id": held.id})
                return

    def _stop_threads(self, engine: Engine) -> None:
        self._stopped.set()
        engine.wake()
        self._reporter.stop()
        self._keeper.stop()
        self._runner.shut_down()

    def _in_thread(self, name: str, work: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                work()
            except DeviceLostError as error:
                # No job is handed back: each attempt counts, or one job could do this for ever.
                _log.critical("the device is lost, this process ends: %s", error)
                self._broken.set()
            except Exception:  # noqa: BLE001  a worker without this thread must not live on
                _log.critical("thread %s ended, this process ends", name, exc_info=True)
                self._broken.set()

        threading.Thread(target=guarded, name=name, daemon=True).start()


def choose_device(wanted: str) -> torch.device:
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(wanted)


def run_worker(
    settings: Settings,
    url: str,
    *,
    load_model: LoadModel = registry.load,
    warm: bool = True,
    tied: bool = False,
) -> int:
    """Run until SIGTERM or SIGINT; a second one ends the process at once.

    Args:
        url: of the queue's server.
        tied: end at once when the parent process is gone.
    """
    configure_logging(settings.log_level)
    keep_freed_memory()
    for problem in add_local(settings.data_dir):
        _log.error("left out: %s", problem)
    if settings.worker.threads:
        torch.set_num_threads(settings.worker.threads)
    queue = RedisWorkerQueue.from_url(url, settings.queue, prefix=settings.redis.prefix)
    store = LocalStore(settings.data_dir / "store")
    worker = Worker(settings, queue, store, load_model=load_model)
    parent = os.getppid() if tied else None

    def on_signal(number: int, frame: object) -> None:
        if worker.draining or (parent is not None and os.getppid() != parent):
            os._exit(128 + number)
        worker.drain()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    if parent is not None:
        threading.Thread(target=_follow_parent, args=(parent,), daemon=True).start()
    try:
        return worker.run(warm=warm)
    except ModelError as error:
        _log.critical("cannot start: %s", error)
        return CANNOT_START
    finally:
        queue.close()


def _follow_parent(parent: int) -> None:
    """The kernel's signal says so on Linux; this is for elsewhere, and for certain."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(FAILED)
