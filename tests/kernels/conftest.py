"""Kernels run on the device where there is one, else in Triton's interpreter.

The interpreter is chosen when a kernel is decorated, so the variable is set before any test module
imports one. `make test` gives these tests a process of their own.
"""

import os
from collections.abc import Iterator

import pytest
import torch
from hypothesis import settings
from torch.utils import deterministic

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

# As for all tests; this folder also runs alone, on machines that cannot run the others.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def _poisoned_memory() -> Iterator[None]:
    """Fresh memory holds NaN, or the largest integer: what a kernel forgets to write shows.

    The same switch makes PyTorch refuse operations that differ from run to run.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    deterministic.fill_uninitialized_memory = True  # type: ignore[attr-defined]
    yield
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(threads)
