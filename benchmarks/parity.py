"""The networks against their authors' golden outputs: how long the tests take on a CPU."""

import os
import re
import subprocess
import sys
import time


def measure() -> dict[str, float]:
    """One run of one thread in a process of its own.

    Raises CalledProcessError where a test fails.
    """
    command = [sys.executable, "-m", "pytest", "-q", "-m", "not gpu", "tests/parity"]
    started = time.perf_counter()
    run = subprocess.run(
        command,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    seconds = time.perf_counter() - started
    passed = re.findall(r"(\d+) passed", run.stdout)
    return {"tests that passed": float(passed[-1]) if passed else 0.0, "seconds": seconds}
