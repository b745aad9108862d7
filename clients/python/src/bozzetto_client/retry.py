"""When a call is sent again. No I/O and no sleeping: the callers do that."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from bozzetto_client.errors import BozzettoError, ConnectionLostError

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Sent again are calls that got no answer, and those refused with 429 or 5xx whose problem says
    `retryable`. The pause is what `Retry-After` asks for, else it doubles from `first_s` to
    `longest_s`, each drawn from its upper half.

    Attributes:
        tries: of one call, the first included; 1 never sends anything again.
        total_s: no new try begins later than this after the first one; a stream of events is given
            up when so long no other could be opened in its place.
    """

    tries: int = 5
    first_s: float = 0.5
    longest_s: float = 8.0
    total_s: float = 60.0

    def pause_s(self, failures: int) -> float:
        """Before the next try, after so many in a row."""
        exact = min(self.first_s * 2.0 ** min(failures - 1, 30), self.longest_s)
        return exact * random.uniform(0.5, 1.0)


def worth_again(error: BozzettoError) -> bool:
    if isinstance(error, ConnectionLostError):
        return error.retryable
    status = error.status or 0
    return error.retryable and (status == 429 or status >= 500)


class Tries:
    """Counts the tries of one call."""

    def __init__(self, policy: RetryPolicy, clock: Clock = time.monotonic) -> None:
        self._policy = policy
        self._clock = clock
        self._end = clock() + policy.total_s
        self.failures = 0

    def pause_after(self, error: BozzettoError) -> float:
        """Seconds until the next try.

        Raises:
            BozzettoError: `error` itself, when there is none.
        """
        self.failures += 1
        pause = self._policy.pause_s(self.failures)
        if error.retry_after_s is not None:
            # Some are told the same second; not all of them should come in its first millisecond.
            pause = error.retry_after_s + 0.1 * pause
        spent = self.failures >= self._policy.tries or self._clock() + pause > self._end
        if spent or not worth_again(error):
            raise error
        return pause


def retry_after_s(header: str | None, now: Callable[[], datetime] | None = None) -> float | None:
    """`Retry-After`, given as seconds or as a date (RFC 9110); None for anything else."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max((date - (now() if now else datetime.now(UTC))).total_seconds(), 0.0)
