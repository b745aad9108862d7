from collections.abc import Callable, Iterator
from functools import cache, partial

import torch
from torch import Tensor

from benchmarks.kernels.cases import Call, Case, by_backend, cloud
from kernels.farthest_point_sampling import TABLE, farthest_point_sampling

# Clouds, points, samples: the levels of PVCNN2 and a thinning of a dense cloud.
_SHAPES = ((1, 64, 16), (8, 256, 64), (1, 1024, 256), (1, 8192, 1024), (8, 2048, 256))
_CPU_SHAPES = (*_SHAPES, (1, 32768, 2048))
_GPU_SHAPES = (*_SHAPES, (8, 8192, 1024), (32, 8192, 1024), (1, 16384, 1024), (1, 32768, 2048))
_POINTS_A_SECOND = 128 * 1.98e9 / 10  # of one multiprocessor, at 10 instructions a point
_MULTIPROCESSORS = 132
_MOST_SLOW = 2e7  # distances up to which PyTorch's loops are timed on a CPU

Step = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


def cases(device: torch.device) -> Iterator[Case]:
    on_cpu = device.type == "cpu"
    for B, N, S in _CPU_SHAPES if on_cpu else _GPU_SHAPES:
        points = cloud(device, B, N)
        slow = on_cpu and B * N * S > _MOST_SLOW
        others: dict[str, Call] = {}
        if not slow:
            others["PyTorch, broadcast"] = partial(_loop, _step, points, S)
        if not on_cpu:
            others["torch.compile of a pick"] = partial(_compiled_loop, points, S)
        call = partial(farthest_point_sampling, points, S)
        rounds = -(-B // _MULTIPROCESSORS)
        yield Case(
            name=f"B {B}, N {N:,} to {S:,}",
            size=float(B * N * S),
            like=points,
            ours=by_backend(TABLE, points, call, ("reference",) if slow else ()),
            others=others,
            floor_us=rounds * N * S / _POINTS_A_SECOND * 1e6,
        )


def _loop(step: Step, points: Tensor, S: int) -> Tensor:
    B, N, _ = points.shape
    least = points.new_full((B, N), 1e38)
    picked = [torch.zeros(B, dtype=torch.int64, device=points.device)]
    for _ in range(S - 1):
        least, last = step(points, least, picked[-1])
        picked.append(last)
    return torch.stack(picked, dim=1)


def _step(points: Tensor, least: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
    at = points.gather(1, last[:, None, None].expand(-1, 1, 3))
    least = torch.minimum(least, (points - at).square().sum(dim=-1))
    return least, least.argmax(dim=1)


def _compiled_loop(points: Tensor, S: int) -> Tensor:
    return _loop(_compiled_step(), points, S)


@cache
def _compiled_step() -> Step:
    return torch.compile(_step, dynamic=False)
