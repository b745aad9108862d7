import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import torch
from service.worker.memory import keep_freed_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def use(times):
    for _ in range(times):
        torch.empty(48 << 20, dtype=torch.uint8).fill_(1)

if sys.argv[1] == "keep":
    keep_freed_memory()
use(32)  # small blocks take a bite of the first few
before = faults()
use(8)
print(faults() - before)
"""


def faults(choice):
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM, choice], capture_output=True, text=True, check=True
    )
    return int(found.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator is not glibc's")
def test_large_blocks_are_used_again_without_page_faults():
    assert faults("leave") > 8 * 20  # a huge page at a time, 24 for each block
    assert faults("keep") < 20
