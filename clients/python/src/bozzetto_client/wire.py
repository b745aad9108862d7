"""Between the plans and httpx: what both clients ask of it, and what its errors mean."""

from collections.abc import Mapping
from typing import Any, Final

import httpx

from bozzetto_client.errors import ConnectionLostError
from bozzetto_client.plans import Call

# Each follower holds a connection, and one that finds none free would count as a lost server.
LIMITS: Final = httpx.Limits(max_connections=None, max_keepalive_connections=20)


def request_parts(server: str, headers: Mapping[str, str], call: Call) -> dict[str, Any]:
    """Arguments of httpx's `request` and `stream`."""
    return {
        "method": call.method,
        "url": server + call.path,
        "params": dict(call.query) or None,
        "headers": {**headers, **call.headers},
        "data": dict(call.form) or None,
        "files": dict(call.files) or None,
        "follow_redirects": False,
    }


def stream_timeout(timeout_s: float, read_s: float) -> httpx.Timeout:
    return httpx.Timeout(timeout_s, read=read_s)


def lost(error: httpx.RequestError, server: str) -> ConnectionLostError:
    return ConnectionLostError(
        f"{server} does not answer: {str(error) or type(error).__name__}",
        hint="Is the server running, and is this its address?",
        retryable=isinstance(error, httpx.TransportError),
    )
