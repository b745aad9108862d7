"""The whole service in one command, and the gateway alone. No torch in this process."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from service.gateway.app import create_app, start_draining
from service.queue.embedded import EmbeddedServer, EmbeddedServerError
from service.queue.redis_queue import RedisJobQueue
from service.settings import Settings
from service.store.local import LocalStore
from service.supervisor import ChildProcess
from service.telemetry import configure_logging

DONE, FAILED, CANNOT_START = 0, 1, 3

BACKLOG = 2048
GATEWAY_DRAIN_S = 10  # for answers under way when the gateway is told to stop
WORKER_GRACE_S = 10.0  # beyond its own drain, before it is killed
READY_POLL_S = 0.1
SERVER_POLL_S = 0.5

WORKER_COMMAND = (sys.executable, "-m", "service.cli", "worker", "--tied")

Say = Callable[[str], None]

_log = logging.getLogger("bozzetto.serve")


class StartError(Exception):
    """The service cannot start; `hint` says what to do."""

    def __init__(self, detail: str, hint: str | None = None) -> None:
        super().__init__(detail)
        self.hint = hint


class Gateway(uvicorn.Server):
    """uvicorn, but signals are ours: the worker is to be told too."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def run_gateway(settings: Settings, say: Say) -> int:
    """The gateway alone, until SIGTERM or SIGINT.

    Raises:
        StartError.
    """
    if settings.redis.url is None:
        raise StartError(
            "the gateway alone needs a queue server",
            "Set BOZZETTO_REDIS__URL, or run all in one with `bozzetto serve`.",
        )
    listener = listen(settings.gateway.host, settings.gateway.port)
    server, app = _gateway(settings, settings.redis.url.get_secret_value())

    async def main() -> int:
        stop = _signals()
        serving = asyncio.create_task(server.serve([listener]))
        say(f"bozzetto gateway on {address(listener)}")
        await _first(serving, asyncio.create_task(stop.wait()))
        start_draining(app)
        server.should_exit = True
        await serving
        return DONE

    configure_logging(settings.log_level)
    return _run(server, main())


def serve(settings: Settings, say: Say, *, worker_command: Sequence[str] = WORKER_COMMAND) -> int:
    """Gateway, a worker process, and a queue server where no URL is set, until SIGTERM or SIGINT.

    Raises:
        StartError: the port is taken, or there is no queue server to start.
    """
    configure_logging(settings.log_level)
    listener = listen(settings.gateway.host, settings.gateway.port)
    with contextlib.ExitStack() as stack:
        stack.callback(listener.close)
        embedded = None
        if settings.redis.url is None:
            try:
                embedded = stack.enter_context(EmbeddedServer(settings.data_dir))
            except EmbeddedServerError as error:
                raise StartError(str(error), error.hint) from error
            url = embedded.url
        else:
            url = settings.redis.url.get_secret_value()
        environment = os.environ | {
            "BOZZETTO_REDIS__URL": url,
            "BOZZETTO_DATA_DIR": str(settings.data_dir.absolute()),
        }
        worker = ChildProcess(worker_command, environment)
        server, app = _gateway(settings, url)
        return _run(server, _House(server, app, worker, embedded, listener, settings).run(say))


class _House:
    """The parts of `serve` while they run."""

    def __init__(
        self,
        server: Gateway,
        app: FastAPI,
        worker: ChildProcess,
        embedded: EmbeddedServer | None,
        listener: socket.socket,
        settings: Settings,
    ) -> None:
        self._server = server
        self._app = app
        self._worker = worker
        self._embedded = embedded
        self._listener = listener
        self._drain_s = settings.worker.drain_s

    async def run(self, say: Say) -> int:
        stop = _signals(again=self._worker.stop)
        stopping = asyncio.create_task(stop.wait())
        serving = asyncio.create_task(self._server.serve([self._listener]))
        working = asyncio.create_task(self._worker.run())
        helpers = [asyncio.create_task(self._announce(say))]
        if self._embedded is not None:
            helpers.append(asyncio.create_task(self._keep(self._embedded)))
        await _first(stopping, serving, working, *helpers[1:])
        code = await self._close(serving, working, asked=stopping.done())
        for task in (stopping, *helpers):
            task.cancel()
        await asyncio.gather(stopping, *helpers, return_exceptions=True)
        return code

    async def _close(
        self, serving: "asyncio.Task[None]", working: "asyncio.Task[int]", *, asked: bool
    ) -> int:
        """Stop taking in, let the worker finish, then end the open answers."""
        start_draining(self._app)
        self._server.should_exit = True
        self._worker.stop()
        _, late = await asyncio.wait([working], timeout=self._drain_s + WORKER_GRACE_S)
        if late:
            self._worker.kill()
        code = await working
        await serving
        if asked:
            return DONE
        return CANNOT_START if code == CANNOT_START else FAILED

    async def _announce(self, say: Say) -> None:
        """One line to open and one to paste, as soon as a job would be taken and run."""
        while not await _is_ready(self._listener):  # noqa: ASYNC110  another process decides
            await asyncio.sleep(READY_POLL_S)
        url = address(self._listener)
        say(f"bozzetto is ready on {url}")
        say(f"  curl -H 'Prefer: wait=60' -F image=@{_some_picture()} {url}/reconstruct")

    async def _keep(self, embedded: EmbeddedServer) -> None:
        """Start the queue server again if it dies. In this thread: it is tied to it."""
        while True:
            await asyncio.sleep(SERVER_POLL_S)
            if embedded.alive:
                continue
            _log.error("the queue server has ended; it is started again")
            try:
                embedded.start()
            except EmbeddedServerError as error:
                _log.critical("the queue server does not start again: %s", error)
                return


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, so that a taken port is found out before anything else is started.

    Raises:
        StartError: the port is taken or not allowed, or the host is no address of this machine.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise StartError(
            f"cannot listen on {host}:{port}: {error.strerror}",
            "Choose another with --port or --host, or stop the program that has it.",
        ) from error


def address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    if host in {"0.0.0.0", "::"}:  # noqa: S104
        host = "127.0.0.1" if listener.family == socket.AF_INET else "::1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _gateway(settings: Settings, url: str) -> tuple[Gateway, FastAPI]:
    queue = RedisJobQueue.from_url(url, settings.queue, prefix=settings.redis.prefix)
    app = create_app(settings, queue, LocalStore(settings.data_dir / "store"))
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GATEWAY_DRAIN_S,
    )
    return Gateway(config), app


def _run(server: Gateway, main: Coroutine[None, None, int]) -> int:
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        return runner.run(main)


def _signals(again: Callable[[], None] = lambda: None) -> asyncio.Event:
    """An event that SIGTERM and SIGINT set; `again` is called for each that follows."""
    stop = asyncio.Event()

    def on_signal() -> None:
        if stop.is_set():
            again()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    return stop


def _some_picture() -> Path:
    """An example that can be pasted as it is when run from the project's folder."""
    return next(iter(sorted(Path("examples").glob("*.png"))), Path("picture.png"))


async def _first(*tasks: "asyncio.Task[object]") -> None:
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)


async def _is_ready(listener: socket.socket) -> bool:
    host, port = listener.getsockname()[:2]
    if host in {"0.0.0.0", "::"}:  # noqa: S104
        host = "localhost"
    try:
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        status = await reader.readline()
        writer.close()
    except OSError:
        return False
    return b" 200 " in status
