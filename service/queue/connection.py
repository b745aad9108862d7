"""How both sides talk to the server: timeouts, retries, and which errors mean that it is away."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialBackoff
from redis.exceptions import (
    ClusterDownError,
    ConnectionError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TimeoutError,
)
from redis.retry import Retry

from service.queue.contract import QueueUnreachableError

CONNECT_S: Final = 2.0
ANSWER_S: Final = 5.0
RETRIES: Final = 2

_AWAY = (
    ConnectionError,
    TimeoutError,
    OutOfMemoryError,
    ReadOnlyError,
    ClusterDownError,
    NoPermissionError,
    OSError,
)
# Replies of a server that lives but cannot take the write now: no memory, a full disk, a replica
# missing. Redis 6.2 wraps them in "Error running script (...): -OOM ...".
_CANNOT_NOW = re.compile(r"(?:^|\s-)(?:OOM|MISCONF|NOREPLICAS|READONLY|MASTERDOWN|BUSY) ")

# Redis 6.2 is the floor, so the protocol is the one that all servers speak.
COMMON: Final[dict[str, Any]] = {
    "decode_responses": True,
    "protocol": 2,
    "socket_connect_timeout": CONNECT_S,
    "socket_timeout": ANSWER_S,
}


def blocking_retry() -> Retry:
    return Retry(ExponentialBackoff(cap=0.5, base=0.05), RETRIES)


def async_retry() -> AsyncRetry:
    return AsyncRetry(ExponentialBackoff(cap=0.5, base=0.05), RETRIES)


@contextmanager
def unreachable_errors() -> Iterator[None]:
    """Raises QueueUnreachableError for all that says: not now, not from this server."""
    try:
        yield
    except _AWAY as error:
        raise QueueUnreachableError(f"the queue server is away: {error}") from error
    except ResponseError as error:
        if _CANNOT_NOW.search(str(error)):
            raise QueueUnreachableError(f"the queue server cannot write: {error}") from error
        raise
