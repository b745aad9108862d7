"""Following a job's events over as many connections as it takes. No I/O: the clients open the
streams and sleep."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bozzetto_client.errors import (
    BozzettoError,
    ConnectionLostError,
    UnexpectedAnswerError,
    WaitTimeoutError,
)
from bozzetto_client.events import DoneEvent, JobEvent, event_of
from bozzetto_client.objects import Job
from bozzetto_client.plans import Answer, Call, Plan, error_in, job_path, read_job
from bozzetto_client.retry import Clock, RetryPolicy, worth_again
from bozzetto_client.sse import Parser

# The server breaks every silence after 15 s, so a longer one is a dead connection.
SILENCE_S: Final = 45.0
SHORTEST_READ_S: Final = 0.05
ONCE: Final = RetryPolicy(tries=1)


@dataclass(frozen=True, slots=True)
class Deadline:
    """Until when the caller waits; `after` None is for ever."""

    after_s: float | None
    end: float
    clock: Clock

    @classmethod
    def after(cls, seconds: float | None, clock: Clock = time.monotonic) -> "Deadline":
        return cls(seconds, clock() + (seconds or 0.0), clock)

    def left_s(self) -> float:
        return float("inf") if self.after_s is None else self.end - self.clock()


class Tail:
    """What is left of a job's events.

    A client opens a stream for `call` with `read_s` as the longest silence, gives what comes to
    `feed`, or to `refused` if it is no stream, says when the stream was `closed`, `cut` or
    `timed_out`, and sleeps for `pause_s`; all over again until `ended`.
    """

    def __init__(
        self,
        job: str | Job,
        policy: RetryPolicy,
        *,
        clouds: bool = False,
        last_event_id: str | None = None,
        deadline: Deadline | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._job = job
        self._path = f"{job_path(job)}/events"
        self._policy = policy
        self._clouds = clouds
        self._last_event_id = last_event_id or ""
        self._deadline = deadline or Deadline.after(None, clock)
        self._clock = clock
        self._parser = Parser()
        self._retry_s: float | None = None
        self._failures = 0
        self._failing_since = 0.0
        self._told = False  # anything, in this stream
        self._read_s = SILENCE_S
        self.pause_s = 0.0
        self.ended = False

    def call(self) -> Call:
        """The next stream's request. Raises WaitTimeoutError."""
        self._check_deadline()
        self._parser = Parser()
        self._told = False
        self.pause_s = 0.0
        # Half of what is left, so that the reading can end close to the deadline; see `turn`.
        self._read_s = min(SILENCE_S, max(self._deadline.left_s() / 2, SHORTEST_READ_S))
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        if self._last_event_id:
            headers["Last-Event-ID"] = self._last_event_id
        return Call("GET", self._path, {"clouds": "true"} if self._clouds else {}, headers)

    @property
    def read_s(self) -> float:
        """The longest silence to bear."""
        return self._read_s

    @staticmethod
    def is_stream(status: int, headers: Mapping[str, str]) -> bool:
        return status == 200 and headers.get("content-type", "").startswith("text/event-stream")

    def feed(self, piece: bytes) -> list[JobEvent]:
        """The events that the piece completes; any piece at all says that the server lives."""
        self._failures = 0
        events = []
        for message in self._parser.feed(piece):
            event = event_of(message)
            self._told = True
            self._last_event_id = message.id or self._last_event_id
            if event is not None:
                events.append(event)
            if isinstance(event, DoneEvent):
                self.ended = True
                break
        self._retry_s = self._parser.retry_s
        return events

    def turn(self) -> bool:
        """Time to open another stream, because this one may be silent beyond the deadline; by less
        than the shortest read is no reason."""
        self._check_deadline()
        return SHORTEST_READ_S < self._read_s > self._deadline.left_s()

    def refused(self, answer: Answer) -> None:
        """Not a stream. Raises BozzettoError when coming back is of no use."""
        error = error_in(answer) or UnexpectedAnswerError(
            "the answer is no stream of events", status=answer.status
        )
        self._failed(error)

    def closed(self) -> Plan[list[JobEvent]]:
        """The stream has ended in order. It does so without a word for who has had the `done`
        before, so that the job itself must tell."""
        if not self._told:
            try:
                job = yield from read_job(self._job, ONCE)
            except BozzettoError as error:
                self._failed(error)
                return []
            if job.final:
                self.ended = True
                return [DoneEvent(self._last_event_id, job.status)]
        self.cut()
        return []

    def cut(self, error: ConnectionLostError | None = None) -> None:
        """The stream has ended before the job. Raises the error once it has been too long."""
        if not self.ended:
            self._give_up_or_pause(
                error or ConnectionLostError("the events were cut", retryable=True)
            )

    def timed_out(self) -> None:
        """Silence for `read_s`: with a deadline that is nothing strange."""
        if self._read_s >= SILENCE_S:
            self.cut(ConnectionLostError(f"no sign of life for {SILENCE_S:.0f} s", retryable=True))

    def _failed(self, error: BozzettoError) -> None:
        if not worth_again(error):
            raise error
        self._give_up_or_pause(error)

    def _give_up_or_pause(self, error: BozzettoError) -> None:
        self._check_deadline()
        if self._failures == 0:
            self._failing_since = self._clock()
        self._failures += 1
        pause = self._policy.pause_s(self._failures)
        if self._failures == 1 and self._retry_s is not None:
            pause = self._retry_s
        if error.retry_after_s is not None:
            pause = error.retry_after_s
        if self._clock() + pause - self._failing_since > self._policy.total_s:
            raise error
        self.pause_s = max(min(pause, self._deadline.left_s()), 0.0)

    def _check_deadline(self) -> None:
        if self._deadline.left_s() <= 0:
            raise WaitTimeoutError(
                f"the job has not ended within {self._deadline.after_s} s",
                retryable=True,
                hint="It goes on: wait again, or cancel it.",
            )
