"""Who is calling, and how much they may: API keys, origins, rates, and a queue that is full."""

import hashlib
import hmac
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlsplit

from pydantic import SecretStr

from service.errors import (
    ForbiddenError,
    RateLimitedError,
    ServiceError,
    UnauthorizedError,
    UnavailableError,
)

ANONYMOUS = "anonymous"
CALLERS_KEPT = 10_000
FULL_S = 0.2  # after a refusal by a full queue
UNREACHABLE_S = 1.0  # after a submit that found no queue
UNREACHABLE_RETRY_S = 5

Clock = Callable[[], float]


class ApiKeys:
    """Bearer tokens. The owner of a job is a short hash of the key that submitted it."""

    def __init__(self, keys: Sequence[SecretStr]) -> None:
        # Digests have one length, so that comparing them tells nothing of the keys'.
        self._digests = tuple(_digest(key.get_secret_value()) for key in keys)

    def owner(self, authorization: str | None) -> str:
        """The caller's name in the queue; `anonymous` when no keys are set.

        Raises:
            UnauthorizedError: keys are set, and this is none of them.
        """
        if not self._digests:
            return ANONYMOUS
        scheme, _, token = (authorization or "").partition(" ")
        given = _digest(token.strip())
        # Every key is compared, so that the time tells nothing of which one was near.
        known = [hmac.compare_digest(given, digest) for digest in self._digests]
        if scheme.lower() != "bearer" or not any(known):
            raise UnauthorizedError("this service asks for an API key")
        return given.hex()[:16]


class RateLimit:
    """A token bucket per caller: `per_minute` at once, refilled evenly; 0 is unlimited."""

    def __init__(self, per_minute: int, clock: Clock = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, when

    def take(self, caller: str) -> None:
        """Raises RateLimitedError with the seconds until the next token."""
        if self._per_minute == 0:
            return
        now = self._clock()
        capacity, per_second = float(self._per_minute), self._per_minute / 60
        tokens, seen = self._buckets.pop(caller, (capacity, now))
        tokens = min(capacity, tokens + (now - seen) * per_second)
        allowed = tokens >= 1
        self._buckets[caller] = (tokens - 1 if allowed else tokens, now)
        if len(self._buckets) > CALLERS_KEPT:
            self._buckets.popitem(last=False)
        if not allowed:
            raise RateLimitedError(
                f"at most {self._per_minute} submits per minute",
                retry_after_s=math.ceil((1 - tokens) / per_second),
            )


class Backpressure:
    """Remembers for a moment that the queue refused, so that a flood is shed early.

    Without it every request of the flood would be received, decoded and stored first. A queue
    that is full is so for one model; every other reason holds for all of them.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._refusals: dict[str | None, tuple[UnavailableError, float]] = {}  # None: any model

    def check(self, model: str | None = None) -> None:
        """Raises UnavailableError while a refusal is fresh: of all submits, or of the model's."""
        for about in (None, model):
            error, until = self._refusals.get(about, (None, 0.0))
            if error is not None and self._clock() < until:
                raise UnavailableError(
                    error.detail, code=error.code, retry_after_s=error.retry_after_s
                )

    def note(self, error: ServiceError, model: str) -> None:
        """Take notice of the error that a submit for the model ended with."""
        if not isinstance(error, UnavailableError):
            return
        if error.code == "queue_full":
            self._refusals[model] = error, self._clock() + FULL_S
        else:
            self._refusals[None] = error, self._clock() + UNREACHABLE_S


def check_origin(headers: Mapping[str, str], allowed: Sequence[str]) -> None:
    """Refuse requests that a page of another site makes a browser send.

    A form upload needs no CORS preflight, so without this any web page could use a service that
    listens on the visitor's own machine. Clients that are no browsers send neither header.

    Raises:
        ForbiddenError: another site's page, and its origin is not allowed.
    """
    origin = headers.get("origin")
    if origin is None or origin in allowed or "*" in allowed:
        return
    site = headers.get("sec-fetch-site")
    if site is not None:
        same = site in {"same-origin", "none"}
    else:
        same = urlsplit(origin).netloc == headers.get("host")
    if not same:
        raise ForbiddenError(
            f"pages of {origin[:200]} may not use this service", code="origin_not_allowed"
        )


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
