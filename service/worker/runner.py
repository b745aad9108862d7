"""What happens to one job, from its lease to its files: the boundary that no exception crosses."""

import logging
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor

import torch

from models.catalog import get_card
from models.contract import PreparedImages, Result
from models.errors import WeightsError
from service.jobs import Artifact, JobError, Progress
from service.queue.contract import Lease, QueueUnreachableError, StaleLeaseError, WorkerQueue
from service.store.contract import Store, StoreError
from service.worker import pipeline
from service.worker.artifacts import store_outputs
from service.worker.engine import Engine, EngineJob, Look
from service.worker.failures import deadline_passed, to_job_error
from service.worker.held import HeldJob, HeldJobs, Stop, StoppedError
from service.worker.previews import Previews
from service.worker.reporter import Reporter

PREPARING_THREADS = 1
FINISHING_THREADS = 2

_log = logging.getLogger("bozzetto.worker")


class JobRunner:
    """Takes leases and brings each job to an end. It is the engine's listener.

    Pictures are prepared and files are made in threads of their own, so that the engine goes on
    with other jobs meanwhile. `engine` is set once, before the first lease.
    """

    engine: Engine

    def __init__(
        self,
        queue: WorkerQueue,
        store: Store,
        held: HeldJobs,
        reporter: Reporter,
        max_pixels: int,
        preview_every_s: float,
    ) -> None:
        self._queue = queue
        self._store = store
        self._held = held
        self._reporter = reporter
        self._previews = Previews(store, reporter, preview_every_s)
        self._max_pixels = max_pixels
        self._served: Collection[str] = ()
        self._preparing = ThreadPoolExecutor(PREPARING_THREADS, "prepare")
        self._finishing = ThreadPoolExecutor(FINISHING_THREADS, "finish")

    def use(self, engine: Engine, served: Collection[str]) -> None:
        self.engine, self._served = engine, served

    def take(self, lease: Lease) -> None:
        held = HeldJob(lease)
        self._held.add(held)
        self._preparing.submit(self._guard, held, lambda: self._prepare(held))

    def shut_down(self) -> None:
        for pool in (self._preparing, self._finishing):
            pool.shutdown(wait=False, cancel_futures=True)
        self._previews.shut_down()

    # The engine's calls, in the engine's thread.

    def progressed(self, job: EngineJob, step: int, steps: int, look: Look) -> None:
        if (held := self._held.get(job.id)) is None:
            return
        share = pipeline.percent("reconstruct", step, steps)
        self._reporter.say(held, Progress(share, "reconstruct", step, steps))
        if self._previews.due(held) and (cloud := look()) is not None:
            self._previews.show(held, step, cloud)

    def finished(self, job: EngineJob, result: Result) -> None:
        self._later(job, lambda held: self._complete(held, job, result))

    def failed(self, job: EngineJob, error: Exception) -> None:
        self._later(job, lambda held: self._fail(held, error))

    def dropped(self, job: EngineJob) -> None:
        self._later(job, self._settle)

    def _later(self, job: EngineJob, work: Callable[[HeldJob], None]) -> None:
        held = self._held.get(job.id)
        if held is not None:
            self._held.finishing(held)
            self._finishing.submit(self._guard, held, lambda: work(held))

    # The work, in the threads of the pools.

    def _guard(self, held: HeldJob, work: Callable[[], None]) -> None:
        try:
            try:
                work()
            except (StoppedError, StaleLeaseError) as error:
                if isinstance(error, StaleLeaseError):
                    held.ask_to_stop(Stop.LOST)
                self._settle(held)
            except QueueUnreachableError:
                raise
            except Exception as error:  # noqa: BLE001  the job boundary
                self._fail(held, error)
        except StaleLeaseError:
            _log.info("job belongs to another attempt now", extra=_fields(held))
            self._end(held)
        except Exception:  # noqa: BLE001  the job boundary
            # Its lease runs out, and the job is done again. The files stay: the queue may have
            # taken the result though the answer was lost.
            _log.exception("job is given up", extra=_fields(held))
            self._end(held)

    def _prepare(self, held: HeldJob) -> None:
        request = held.lease.job.request
        card = get_card(request.model)
        if card.id not in self._served:
            raise WeightsError(f"this worker does not serve {card.id}: see BOZZETTO_WORKER__MODELS")

        def on_stage(stage: str) -> None:
            self._enter(held, stage)

        prepared = pipeline.prepare(
            self._store.get(request.images[0]),
            image_size=card.image_size,
            max_pixels=self._max_pixels,
            mode=request.remove_background,
            mask=None if request.mask is None else self._store.get(request.mask),
            on_stage=on_stage,
        )
        held.mask_png = prepared.mask_png
        on_stage("encode")
        self.engine.add(
            EngineJob(
                id=held.key,
                model=card.id,
                images=PreparedImages(torch.from_numpy(prepared.crop)[None]),
                params=pipeline.sampling(card, request.params),
                stopped=lambda: held.stop is not None,
            )
        )

    def _enter(self, held: HeldJob, stage: str) -> None:
        if held.stop is not None:
            raise StoppedError
        self._reporter.say(held, Progress(pipeline.percent(stage), stage))

    def _complete(self, held: HeldJob, job: EngineJob, result: Result) -> None:
        request = held.lease.job.request
        outputs = pipeline.build_outputs(
            request.outputs,
            result,
            target_faces=request.target_faces,
            texture_size=request.texture_size,
            compression=request.compression,
            extras=pipeline.provenance(get_card(request.model), request.params, job=held.id),
            on_stage=lambda stage: self._enter(held, stage),
        )
        mask = pipeline.Output(pipeline.MASK, held.mask_png, "image/png")
        artifacts = store_outputs(self._store, held.key, [*outputs, mask])
        if held.stop is not None:
            raise StoppedError
        self._publish(held, artifacts, job)

    def _publish(self, held: HeldJob, artifacts: list[Artifact], job: EngineJob) -> None:
        record = held.lease.job
        metrics = {
            "queue_seconds": round(max(0.0, (record.started_at or 0) - record.created_at), 4),
            "run_seconds": round(time.monotonic() - held.claimed_at, 4),
            "gpu_seconds": round(job.usage.compute_s, 4),
            "batch_size_mean": round(job.usage.batch_mean, 2),
        }
        self._quiet(held)
        self._queue.finish(held.lease, artifacts, metrics)
        _log.info("job succeeded", extra=_fields(held) | {"seconds": metrics["run_seconds"]})
        self._end(held)

    def _fail(self, held: HeldJob, error: Exception) -> None:
        failure = to_job_error(error)
        unforeseen = failure.code == "internal"
        _log.log(
            logging.ERROR if unforeseen else logging.WARNING,
            "job failed: %s",
            error,
            exc_info=error if unforeseen else None,
            extra=_fields(held) | {"code": failure.code},
        )
        self._report_failure(held, failure)

    def _report_failure(self, held: HeldJob, failure: JobError) -> None:
        self._quiet(held)
        self._remove_files(held)
        self._queue.fail(held.lease, failure)
        self._end(held)

    def _settle(self, held: HeldJob) -> None:
        """A job that was stopped: tell the queue what the reason asks for."""
        _log.info("job stopped: %s", held.stop, extra=_fields(held))
        if held.stop is Stop.DEADLINE:
            self._report_failure(held, deadline_passed())
            return
        self._quiet(held)
        self._remove_files(held)
        if held.stop is Stop.CANCELED:
            self._queue.canceled(held.lease)
        elif held.stop is Stop.DRAINED:
            self._queue.release(held.lease)
        self._end(held)

    def _remove_files(self, held: HeldJob) -> None:
        try:
            self._store.delete_prefix(held.key)
        except StoreError as error:
            _log.warning("files are left over: %s", error, extra=_fields(held))

    def _quiet(self, held: HeldJob) -> None:
        """Nothing more is told of the job until its end is."""
        self._previews.close(held)
        self._reporter.forget(held)

    def _end(self, held: HeldJob) -> None:
        self._quiet(held)
        self._held.remove(held)


def _fields(held: HeldJob) -> dict[str, str | int | float]:
    lease = held.lease
    return {"job_id": held.id, "model": lease.job.request.model, "attempt": lease.attempt}
