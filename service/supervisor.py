"""A child process that is started again when it dies, but not for ever."""

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

from service.queue import tied_process

BACK_OFF_S = (0.2, 0.5, 1.0, 2.0)  # after the first crash, the second, ...
STEADY_S = 30.0  # a child that lived so long has not crashed at its start
MAX_CRASHES = 5  # in a row
CANNOT_START = 3  # exit code of a child that would fail again in the same way

_log = logging.getLogger("bozzetto.serve")


class ChildProcess:
    """One program, kept running. It ends with this process, on Linux even by SIGKILL.

    Use from the main thread: the kernel ties the child to the thread that started it.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._command = command
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = asyncio.Event()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def run(self) -> int:
        """Until `stop`, or until it is no use: the exit code of the last child."""
        crashes = 0
        while True:
            self._process = self._start()
            since = time.monotonic()
            code = await asyncio.to_thread(self._process.wait)
            if self._stopping.is_set() or code == CANNOT_START:
                return code
            crashes = 1 if time.monotonic() - since > STEADY_S else crashes + 1
            if crashes >= MAX_CRASHES:
                _log.critical("the worker ended with %d, the %dth time in a row", code, crashes)
                return code
            _log.error("the worker ended with %d; another is started", code)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), BACK_OFF_S[crashes - 1])
                return code

    def stop(self) -> None:
        """Ask it to end by SIGTERM; again: at once, as the worker takes a second one."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        self._stopping.set()
        if self._process is not None:
            self._process.send_signal(number)  # does nothing once it has ended

    def _start(self) -> subprocess.Popen[bytes]:
        tie = (sys.executable, "-I", "-S", tied_process.__file__, str(os.getpid()))
        return subprocess.Popen(  # noqa: S603
            [*tie, *self._command],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr.fileno(),
            # Ctrl-C is for this process, which tells the child once.
            start_new_session=True,
        )
