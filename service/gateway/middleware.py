"""Around every request: its id, one log line, its metrics, headers that all answers carry."""

import logging
import time
from typing import Any
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.gateway.headers import valid_request_id
from service.telemetry import ACCESS_LOGGER, GatewayMetrics

logger = logging.getLogger(ACCESS_LOGGER)

# Asked for every few seconds by machines: logged only when debugging.
_QUIET = frozenset({"/livez", "/readyz", "/metrics"})


class RequestRecord:
    """Pure ASGI, so that bodies and event streams pass through untouched."""

    def __init__(self, app: ASGIApp, metrics: GatewayMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = valid_request_id(Headers(scope=scope).get("x-request-id")) or uuid4().hex
        state: dict[str, Any] = scope.setdefault("state", {})
        state["request_id"] = request_id
        status = 500  # what the outer error handler will answer if nothing is sent from here
        began = time.perf_counter()

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                headers.setdefault("X-Content-Type-Options", "nosniff")
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        finally:
            self._record(scope, state, status, time.perf_counter() - began)

    def _record(self, scope: Scope, state: dict[str, Any], status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "") or "unmatched"
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        self._metrics.requests.labels(method, route, str(status)).inc()
        self._metrics.request_seconds.labels(route).observe(seconds)
        client = scope.get("client")
        logger.log(
            logging.DEBUG if route in _QUIET and status != 500 else logging.INFO,
            "%s %s %s",
            method,
            scope["path"],
            status,
            extra={
                "request_id": state["request_id"],
                "method": method,
                "path": scope["path"],
                "route": route,
                "status": status,
                "seconds": round(seconds, 6),
                "client": client[0] if client else None,
                "owner": state.get("owner"),
                "code": state.get("code"),
                "job_id": state.get("job_id"),
                "model": state.get("model"),
            },
        )


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
