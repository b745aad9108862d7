"""An HTTP server that answers what a test has written down, one reply after the other."""

import contextlib
import itertools
import json
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Reply:
    """`promised` is the stated length; more than the body has means that the connection breaks."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    promised: int | None = None
    hang_up: bool = False  # before a single byte
    silent_s: float = 0.0  # after the body


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]  # lower-case names
    body: bytes
    at: float


def answer(value: object, status: int = 200, **headers: str) -> Reply:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Reply(status, json.dumps(value).encode(), {"Content-Type": "application/json", **named})


def problem(status: int, code: str, *, retryable: bool, **headers: str) -> Reply:
    value = {"code": code, "detail": f"scripted {code}", "retryable": retryable, "status": status}
    return answer(value, status, **headers)


def stream(text: str, **more: Any) -> Reply:
    return Reply(200, text.encode(), {"Content-Type": "text/event-stream"}, **more)


class ScriptedServer:
    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        self.replies: list[Reply] = []
        self.requests: list[Request] = []

    def script(self, *replies: Reply) -> None:
        self.replies = list(replies)

    @property
    def pauses_s(self) -> Sequence[float]:
        """Between one request and the next."""
        times = [request.at for request in self.requests]
        return [later - earlier for earlier, later in itertools.pairwise(times)]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    script: ScriptedServer

    def _reply(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        named = {name.lower(): text for name, text in self.headers.items()}
        request = Request(self.command, self.path, named, body, time.monotonic())
        self.script.requests.append(request)
        reply = self.script.replies.pop(0) if self.script.replies else Reply(501, b"not scripted")
        self.close_connection = True
        if reply.hang_up:
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.headers.get("Content-Type") != "text/event-stream":
            length = len(reply.body) if reply.promised is None else reply.promised
            self.send_header("Content-Length", str(length))
        self.send_header("Connection", "close")
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(reply.body)
            self.wfile.flush()
            time.sleep(reply.silent_s)

    def do_GET(self) -> None:
        self._reply()

    def do_POST(self) -> None:
        self._reply()

    def do_DELETE(self) -> None:
        self._reply()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is written."""


@contextlib.contextmanager
def scripted_server() -> Iterator[ScriptedServer]:
    handler = type("Handler", (_Handler,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        script = ScriptedServer(server)
        handler.script = script  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield script
        finally:
            server.shutdown()
            thread.join()
