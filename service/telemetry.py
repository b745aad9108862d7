"""Log lines and metrics: names and fields in one place. No web framework, no torch."""

import json
import logging
import math
import sys
import traceback
from datetime import UTC, datetime
from typing import Final, Literal

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from models.catalog import CATALOG
from service.queue.contract import QueueStats

LogLevel = Literal["debug", "info", "warning", "error"]

ROOT_LOGGER: Final = "bozzetto"
ACCESS_LOGGER: Final = "bozzetto.access"

# What a log call may add with `extra=`; anything else in a record is Python's own.
LOG_FIELDS: Final = (
    "request_id",
    "method",
    "path",
    "route",
    "status",
    "seconds",
    "client",
    "owner",
    "code",
    "job_id",
    "model",
    "attempt",
    "worker_id",
)

_REQUEST_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 60.0)
_UPLOAD_BYTES: Final = (1e4, 1e5, 3e5, 1e6, 3e6, 1e7, 3e7, 1e8)


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time, level, logger, message, and `LOG_FIELDS` where given."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name in LOG_FIELDS:
            value = getattr(record, name, None)
            if value is not None:
                line[name] = value
        if record.exc_info:
            line["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(line, ensure_ascii=False, default=str)


def configure_logging(level: LogLevel) -> None:
    """JSON lines on standard error for everything under `bozzetto`. Calling it twice is fine."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger(ROOT_LOGGER)
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(level.upper())


class GatewayMetrics:
    """One gateway's metrics. Labels are bounded: routes, statuses and models, never ids."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.requests = Counter(
            "bozzetto_http_requests_total",
            "Requests answered.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "bozzetto_http_request_seconds",
            "Seconds from the request line to the end of the answer.",
            ("route",),
            buckets=_REQUEST_SECONDS,
            registry=self.registry,
        )
        self.submits = Counter(
            "bozzetto_submits_total",
            "Submits by outcome: accepted, replayed, or an error code.",
            ("model", "outcome"),
            registry=self.registry,
        )
        self.upload_bytes = Histogram(
            "bozzetto_upload_bytes",
            "Bytes of the pictures of accepted jobs.",
            buckets=_UPLOAD_BYTES,
            registry=self.registry,
        )
        self.event_streams = self._gauge("bozzetto_event_streams", "Open event streams.")
        self._queue_up = self._gauge("bozzetto_queue_up", "1 while the queue answers.")
        self._bound = self._gauge(
            "bozzetto_queue_bound", "Waiting jobs of one model before its submits are refused."
        )
        self._waiting = self._by_model("bozzetto_num_jobs_waiting", "Jobs that wait.")
        self._running = self._by_model("bozzetto_num_jobs_running", "Jobs that run.")
        self._oldest = self._by_model(
            "bozzetto_oldest_job_age_seconds", "Seconds that the oldest waiting job has waited."
        )
        self._serving = self._by_model(
            "bozzetto_workers_serving", "Workers that take jobs of the model."
        )
        self._models: set[str] = set()
        self._workers = Gauge(
            "bozzetto_workers", "Live workers by state.", ("state",), registry=self.registry
        )
        self._workers_ready = self._gauge("bozzetto_workers_ready", "Workers that take jobs.")

    def render(self, stats: QueueStats | None) -> bytes:
        """The exposition text; None says that the queue did not answer."""
        states = [worker.state for worker in stats.workers] if stats else []
        self._bound.set(stats.bound if stats else math.nan)
        # All of the catalogue from the first scrape on, so that no series begins with a jump.
        self._models |= CATALOG.keys() | (stats.models.keys() | stats.served if stats else set())
        for model in self._models:
            jobs = stats.of(model) if stats else None
            self._waiting.labels(model).set(jobs.waiting if jobs else math.nan)
            self._running.labels(model).set(jobs.running if jobs else math.nan)
            self._oldest.labels(model).set(jobs.oldest_waiting_s if jobs else math.nan)
            self._serving.labels(model).set(stats.serving(model) if stats else 0)
        for state in ("starting", "ready", "busy", "draining"):
            self._workers.labels(state).set(states.count(state))
        self._workers_ready.set(states.count("ready") + states.count("busy"))
        self._queue_up.set(stats is not None)
        return generate_latest(self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, registry=self.registry)

    def _by_model(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, ("model",), registry=self.registry)
