from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from torch import Tensor

from benchmarks.kernels.cases import Call, Case, by_backend, cloud
from geometry.indicator import PAD, inside_field, make_grid
from kernels.spectral_poisson import TABLE, spectral_poisson

_SHAPES = ((1, 64), (1, 96), (1, 128), (4, 64))
_GPU_SHAPES = (*_SHAPES, (1, 256), (8, 128))
_POINTS = 8192
_BYTES_S = 4.3e12
_PASSES = 16  # over the grid: four channels spread, three FFTs forth and one back


def cases(device: torch.device) -> Iterator[Case]:
    on_cpu = device.type == "cpu"
    for B, R in _SHAPES if on_cpu else _GPU_SHAPES:
        normals = cloud(device, B, _POINTS)
        points = 0.5 + 0.3 * normals
        call = partial(spectral_poisson, points, normals, resolution=R)
        others: dict[str, Call] = {}
        if on_cpu and B == 1:
            others["geometry.indicator"] = partial(_served, points, normals, R)
        yield Case(
            name=f"B {B}, N {_POINTS:,}, R {R}",
            size=float(B * R**3),
            like=points,
            ours=by_backend(TABLE, points, call, ("reference",)),
            others=others,
            floor_us=_PASSES * 4 * B * R**3 / _BYTES_S * 1e6,
        )


def _served(points: Tensor, normals: Tensor, R: int) -> object:
    """NumPy's and SciPy's field of reconstruction, with local smoothing, on as large a grid."""
    cells = points[0].double().numpy() - 0.2
    cells = cells * ((R - 2 * PAD - 2) / cells.max()) + PAD
    spacing = np.full(_POINTS, np.sqrt(4 * np.pi / _POINTS) * 0.5 * (R - 2 * PAD))
    return inside_field(make_grid(cells), normals[0].double().numpy(), spacing, noise=0.0)
