"""Calls on trusted values launch the same work whatever the values are, so CUDA graphs can record
them; and offsets pass 2^31."""

from collections.abc import Callable
from functools import cache

import pytest
import torch
from torch import Tensor

from kernels.attention import attention
from kernels.ball_query import ball_query
from kernels.chamfer import nearest_pairs
from kernels.checks import trust_values
from kernels.devoxelize import devoxelize
from kernels.dispatch import use_backend
from kernels.farthest_point_sampling import farthest_point_sampling
from kernels.group import group
from kernels.guided_step import guided_step
from kernels.guided_step.coefficients import coefficients, table
from kernels.knn import knn
from kernels.modulate_norm import modulate_norm
from kernels.point_rasterize import gather_features, pixels_of_points, rasterize_points
from kernels.three_nn_interpolate import three_nn_interpolate
from kernels.voxelize import average_voxelize, voxel_coordinates
from tests.kernels.kit import DEVICE, cloud, lengths
from tests.repository.kernels import with_kernel

Call = Callable[[Tensor], Tensor | tuple[Tensor, ...]]
N, C, R = 100, 16, 4


@cache
def _points() -> Tensor:
    return cloud(2, N, 3, seed=1)


@cache
def _features() -> Tensor:
    return cloud(2, N, C, seed=2)


def _guided(x: Tensor) -> tuple[Tensor, ...]:
    rows = [coefficients("euler", (2.0, 1.0, 0.0), 0, sigma_data=0.5)] * 2
    return guided_step(x, _points(), table(rows, DEVICE))


def _seen(x: Tensor) -> Tensor:
    pixel = pixels_of_points(rasterize_points(x, 16, 0.3), N)
    return gather_features(_features().mT.reshape(2, C, 10, 10), pixel, 16)


def _voxels(x: Tensor) -> tuple[Tensor, ...]:
    return average_voxelize(_features(), voxel_coordinates(x, R).cell, R)


# Of each operator a call on a cloud [2, 100, 3].
CALLS: dict[str, Call] = {
    "attention": lambda x: attention(*(x.view(2, 3, N, 1).expand(2, 3, N, 16).contiguous(),) * 3),
    "ball_query": lambda x: ball_query(x, _points(), 0.5, 8),
    "chamfer": lambda x: nearest_pairs(x, _points(), lengths(N, 7)),
    "devoxelize": lambda x: devoxelize(
        _features()[:, : R**3].mT.reshape(2, C, R, R, R), voxel_coordinates(x, R).coords
    ),
    "farthest_point_sampling": lambda x: farthest_point_sampling(x, 9),
    "group": lambda x: group(x, torch.arange(60, device=DEVICE).view(1, 10, 6).expand(2, -1, -1)),
    "guided_step": _guided,
    "knn": lambda x: knn(x, _points(), 5),
    "modulate_norm": lambda x: modulate_norm(x, x[:, 0], x[:, 1], x, x[:, 2]),
    "point_rasterize": _seen,
    "three_nn_interpolate": lambda x: three_nn_interpolate(x, _points(), _features()),
    "voxelize": _voxels,
}


def _called(op: str, x: Tensor) -> tuple[Tensor, ...]:
    with use_backend("triton"):
        found = CALLS[op](x)
    return (found,) if isinstance(found, Tensor) else tuple(found)


def test_every_operator_with_a_kernel_is_here() -> None:
    assert sorted(CALLS) == with_kernel()


@pytest.mark.parametrize("op", CALLS)
def test_trusted_values_change_nothing(op: str) -> None:
    checked = _called(op, cloud(2, N, 3))
    with trust_values():
        trusted = _called(op, cloud(2, N, 3))
    assert all(torch.equal(a, b) for a, b in zip(checked, trusted, strict=True))


@pytest.mark.gpu
@pytest.mark.parametrize("op", CALLS)
def test_a_cuda_graph_replays_it_on_other_values(op: str) -> None:
    x = cloud(2, N, 3)
    with trust_values():
        _called(op, x)  # compiles
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            recorded = _called(op, x)
    x.copy_(cloud(2, N, 3, seed=9))
    graph.replay()
    expected = _called(op, cloud(2, N, 3, seed=9))
    assert all(torch.equal(a, b) for a, b in zip(recorded, expected, strict=True))


# Points of a cloud: few, and so many that their numbers do not fit 31 bits.
FEW_OR_MANY = [300, pytest.param(2**30 + 300, marks=pytest.mark.gpu)]


@pytest.mark.parametrize("count", FEW_OR_MANY)
def test_rows_behind_2_to_the_31_are_normalised(count: int) -> None:
    x = torch.zeros(1, count // 8, 24, device=DEVICE, dtype=torch.float16)
    x[0, -1] = cloud(24).half()
    with trust_values(), use_backend("triton"):
        found = modulate_norm(x)
        alone = modulate_norm(x[:, -1:].clone())
    assert torch.equal(found[:, -1:], alone)


@pytest.mark.parametrize("count", FEW_OR_MANY)
def test_points_behind_2_to_the_31_find_their_neighbour(count: int) -> None:
    x = torch.zeros(1, count, 3, device=DEVICE)
    x[0, -1] = 2.0
    y = torch.tensor([[[0.0, 0, 0], [2, 2, 1]]], device=DEVICE)
    with trust_values(), use_backend("triton"):
        pairs = nearest_pairs(x, y)
    assert pairs.x_index[0, -1] == 1
    assert pairs.x_sq_dist[0, -1] == 1
    assert pairs.y_index[0].tolist() == [0, count - 1]
