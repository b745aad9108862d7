"""One thing to time, and how it is asked for."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor

from kernels.checks import trust_values
from kernels.dispatch import Table, use_backend

Call = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Case:
    """One shape of one operator.

    Attributes:
        name: the shape, as in "B 1, N 8,192".
        size: as the operator's table counts it.
        like: a tensor of the type and on the device that it runs with.
        ours: by backend of the table.
        others: by library.
        table: what serves it, where that is not the operator's `TABLE`.
        floor_us: what an H200 needs at the least, by bandwidth or instructions, in microseconds;
            None where nobody worked it out.
    """

    name: str
    size: float
    like: Tensor
    ours: Mapping[str, Call]
    others: Mapping[str, Call]
    table: Table | None = None
    floor_us: float | None = None


def by_backend(
    table: Table, like: Tensor, call: Call, leave_out: tuple[str, ...] = ()
) -> dict[str, Call]:
    """`call` on each backend that runs here, values taken as checked; `leave_out` are too slow."""
    return {
        backend: _on(backend, table, call)
        for backend in table.runnable(like.device.type, like.dtype)
        if backend not in leave_out
    }


def _on(backend: str, table: Table, call: Call) -> Call:
    def forced() -> object:
        with ExitStack() as stack:
            stack.enter_context(use_backend(backend, table.op))
            stack.enter_context(trust_values())
            return call()

    return forced


def cloud(device: torch.device, *shape: int, seed: int = 0) -> Tensor:
    """Points on the unit sphere, as surfaces are: [*shape, 3] float32."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(*shape, 3, generator=generator)
    return torch.nn.functional.normalize(points, dim=-1).to(device)


Cases = Callable[[torch.device], Iterator[Case]]
