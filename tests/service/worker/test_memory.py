import ctypes
import platform
import subprocess
import sys
from types import SimpleNamespace

import pytest

from service.worker import memory

PROGRAM = """
import resource, sys, threading
import torch
from service.worker.memory import keep_freed_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def use(times):
    for _ in range(times):
        torch.empty(96 << 20, dtype=torch.uint8).fill_(1)

if sys.argv[1] == "keep":
    keep_freed_memory()

def compute():
    use(32)  # small blocks take a bite of the first few
    before = faults()
    use(8)
    print(faults() - before)

thread = threading.Thread(target=compute)  # as the worker's engine is
thread.start()
thread.join()
"""


def faults(choice):
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM, choice], capture_output=True, text=True, check=True
    )
    return int(found.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator is not glibc's")
def test_large_blocks_are_used_again_without_page_faults():
    assert faults("leave") > 8 * 40  # a huge page at a time, 48 for each block
    assert faults("keep") < 20


def test_an_old_glibc_goes_on_adjusting_itself(monkeypatch):
    """It refuses the first; any further parameter would fix the others as they are."""
    asked = []

    def mallopt(parameter, value):
        asked.append(parameter)
        return 0

    library = SimpleNamespace(mallopt=mallopt)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    memory.keep_freed_memory()
    assert asked == [-3]
