"""Real processes for tests: started, waited for by what they say or do, and always ended."""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0

Environment = dict[str, str]


class Program:
    """A child process whose output lines can be waited for."""

    def __init__(self, command: Sequence[str], environment: Environment) -> None:
        # Settings of the machine's own must not reach the tests.
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("BOZZETTO_")}
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=inherited | {"OMP_NUM_THREADS": "1"} | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.seen: list[str] = []
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.rstrip())
        self._lines.put(None)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def output(self) -> str:
        return "\n".join(self.seen)

    def wait_line(self, text: str) -> str:
        """The next line that holds `text`."""
        end = time.monotonic() + PATIENCE_S
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"never said {text!r}:\n{self.output}") from None
            if line is None:
                raise AssertionError(f"ended without {text!r}:\n{self.output}")
            self.seen.append(line)
            if text in line:
                return line

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        """The exit code."""
        code = self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        while not self._lines.empty():
            line = self._lines.get()
            if line is not None:
                self.seen.append(line)
        return code

    def descendants(self):
        return psutil.Process(self.pid).children(recursive=True)

    def end(self) -> None:
        doomed = []
        with contextlib.suppress(psutil.NoSuchProcess):
            doomed = self.descendants()
        self.process.kill()
        self.process.wait()
        self._reader.join(PATIENCE_S)
        if self.process.stdout is not None:
            self.process.stdout.close()
        for child in doomed:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()


@contextlib.contextmanager
def program(*command: str, **environment: str) -> Iterator[Program]:
    running = Program((sys.executable, *command), environment)
    try:
        yield running
    finally:
        running.end()


def wait_until(check: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not check():
        assert time.monotonic() < end, f"never happened: {what}"
        time.sleep(0.02)
