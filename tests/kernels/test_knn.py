import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree
from torch import Tensor

from kernels.checks import trust_values
from kernels.errors import BackendError, ShapeError
from kernels.knn import TABLE, Neighbors, knn
from tests.kernels.kit import (
    DEVICE,
    assert_repeatable,
    cloud,
    each_backend,
    forced,
    lengths,
    refused,
    rotations,
    strided,
)

each = each_backend(TABLE)


def _exact(query: Tensor, points: Tensor) -> Tensor:
    """[B, M, N] squared distances in float64."""
    return (query.double()[:, :, None] - points.double()[:, None]).square().sum(-1)


def _assert_right(found: Neighbors, query: Tensor, points: Tensor) -> None:
    """Distances within 4 ulp of float64's, each index once and standing for its distance."""
    truth = _exact(query, points)
    k = found.index.shape[2]
    assert torch.allclose(found.sq_dist.double(), truth.sort(2).values[..., :k], rtol=5e-7)
    assert torch.allclose(truth.gather(2, found.index), found.sq_dist.double(), rtol=5e-7)
    assert (found.index.sort(2).values.diff(dim=2) > 0).all()
    assert (found.sq_dist.diff(dim=2) >= 0).all()


def _by_hand(query: Tensor, points: Tensor, k: int) -> Tensor:
    """[B, M, k] indices by distance, then by index, of coordinates whose squares are exact."""
    return _exact(query, points).sort(dim=2, stable=True).indices[..., :k]


@each
def test_hand_made(backend: str) -> None:
    query = torch.tensor([[[0.0, 0, 0], [2, 0, 0]]], device=DEVICE)
    points = torch.tensor([[[3.0, 0, 0], [1, 0, 0], [0, 0, 0.5], [1, 0, 0]]], device=DEVICE)
    with forced(backend, TABLE):
        found = knn(query, points, 3)
    assert found.index.tolist() == [[[2, 1, 3], [0, 1, 3]]]
    assert found.sq_dist.tolist() == [[[0.25, 1, 1], [1, 1, 1]]]


@each
@pytest.mark.parametrize(
    ("B", "M", "N", "k"),
    [(1, 1, 1, 1), (2, 31, 3, 2), (1, 65, 63, 3), (2, 5, 1001, 4), (1, 9, 257, 7), (1, 5, 600, 32)],
)
def test_against_float64(backend: str, B: int, M: int, N: int, k: int) -> None:
    query, points = cloud(B, M, 3), cloud(B, N, 3, seed=1)
    with forced(backend, TABLE):
        found = knn(query, points, k)
    assert found.index.shape == found.sq_dist.shape == (B, M, k)
    _assert_right(found, query, points)


@pytest.mark.parametrize("backend", TABLE.runnable(DEVICE.type, torch.float64))
def test_float64_clouds(backend: str) -> None:
    query, points = (cloud(2, 100, 3, seed=seed, dtype=torch.float64) for seed in (0, 1))
    with forced(backend, TABLE):
        found = knn(query, points, 5)
    assert found.sq_dist.dtype == torch.float64
    truth = _exact(query, points).sort(dim=2)
    assert torch.allclose(found.sq_dist, truth.values[..., :5], rtol=1e-15)
    assert torch.equal(found.index, truth.indices[..., :5])


@each
def test_whole_cloud_is_a_sort(backend: str) -> None:
    query, points = cloud(1, 9, 3), cloud(1, 32, 3, seed=1)
    with forced(backend, TABLE):
        found = knn(query, points, 32)
    assert torch.equal(found.index, _by_hand(query, points, 32))


@each
def test_neighbours_that_meet_in_one_lane(backend: str) -> None:
    """Near points a kernel's tile apart: more than a lane has room for."""
    points = cloud(1, 1100, 3) + 100
    points[:, 5::64] = cloud(1, 18, 3, seed=1)
    query = cloud(1, 6, 3, seed=2)
    query[:, 3:] += 100  # and rows of the same program that need no second look
    with forced(backend, TABLE):
        found = knn(query, points, 18)
    _assert_right(found, query, points)
    assert (found.index[:, :3] % 64 == 5).all()


@each
@pytest.mark.parametrize("k", [3, 8])
def test_lengths_leave_padding_out(backend: str, k: int) -> None:
    query, points = cloud(3, 4, 3), cloud(3, 90, 3, seed=1)
    valid = lengths(90, 2, 65)
    for b in range(3):  # whatever padding holds
        points[b, valid[b] :] = torch.nan
    with forced(backend, TABLE):
        found = knn(query, points, k, valid)
        for b in range(3):
            count = int(valid[b])
            kept = min(k, count)
            alone = knn(query[b : b + 1], points[b : b + 1, :count], kept)
            assert torch.equal(found.index[b, :, :kept], alone.index[0])
            assert torch.equal(found.sq_dist[b, :, :kept], alone.sq_dist[0])
            assert (found.index[b, :, kept:] == -1).all()
            assert torch.isposinf(found.sq_dist[b, :, kept:]).all()


@each
@pytest.mark.parametrize("k", [1, 4, 9, 20])
def test_equal_distances_go_to_the_lower_index(backend: str, k: int) -> None:
    side = torch.arange(4, device=DEVICE, dtype=torch.float32)
    grid = torch.cartesian_prod(side, side, side)[None]
    between = grid[:, ::9] + 0.5  # up to eight neighbours at the same distance
    doubled = torch.cat([grid, grid.flip(1), grid], dim=1)
    with forced(backend, TABLE):
        for query in (between, grid[:, ::9]):
            for points in (grid, doubled):
                assert torch.equal(knn(query, points, k).index, _by_hand(query, points, k))


@each
def test_copies_of_one_point(backend: str) -> None:
    points = cloud(1, 1, 3).expand(1, 300, 3)
    with forced(backend, TABLE):
        found = knn(points[:, :5], points, 32)
    assert torch.equal(found.index, torch.arange(32, device=DEVICE).expand(1, 5, 32))
    assert (found.sq_dist == 0).all()


@each
@pytest.mark.parametrize("factor", [1e-22, 1e-3, 1e18])
def test_tiny_and_huge_coordinates(backend: str, factor: float) -> None:
    query, points = cloud(1, 8, 3) * factor, cloud(1, 150, 3, seed=1) * factor
    with forced(backend, TABLE):
        found = knn(query, points, 6)
        plain = knn(cloud(1, 8, 3), cloud(1, 150, 3, seed=1), 6)
    with forced("reference", TABLE):
        assert torch.equal(knn(query, points, 6).index, found.index)
    if factor > 1e-20:  # below that squares are denormal, with few digits
        assert torch.equal(found.index, plain.index)
    assert torch.isfinite(found.sq_dist).all()


@each
@pytest.mark.filterwarnings("ignore:overflow encountered")  # of the interpreter's NumPy
def test_squares_that_overflow_still_have_neighbours(backend: str) -> None:
    query, points = cloud(2, 5, 3), cloud(2, 200, 3, seed=1) + 3e19
    with forced(backend, TABLE):
        found = knn(query, points, 6, lengths(200, 4))
    assert torch.equal(found.index[0], torch.arange(6, device=DEVICE).expand(5, 6))
    assert found.index[1].tolist() == [[0, 1, 2, 3, -1, -1]] * 5
    assert torch.isposinf(found.sq_dist).all()


@each
def test_far_from_the_origin(backend: str) -> None:
    query, points = cloud(1, 9, 3) + 1000, cloud(1, 100, 3, seed=1) + 1000
    with forced(backend, TABLE):
        _assert_right(knn(query, points, 5), query, points)


@each
def test_strides_do_not_matter(backend: str) -> None:
    query, points = cloud(2, 13, 3), cloud(2, 44, 3, seed=1)
    with forced(backend, TABLE):
        plain = knn(query, points, 5)
        other = knn(strided(query), points.mT.contiguous().mT, 5)
    assert all(torch.equal(a, b) for a, b in zip(plain, other, strict=True))


@each
def test_no_clouds_at_all(backend: str) -> None:
    with forced(backend, TABLE):
        found = knn(cloud(0, 5, 3), cloud(0, 7, 3), 2, lengths())
    assert found.index.shape == found.sq_dist.shape == (0, 5, 2)


@each
@settings(max_examples=5)
@given(seed=st.integers(0, 2**31), turn=rotations(), shift=st.floats(-10, 10))
def test_order_place_and_pose_do_not_matter(
    backend: str, seed: int, turn: Tensor, shift: float
) -> None:
    query, points = cloud(1, 4, 3, seed=seed), cloud(1, 71, 3, seed=seed + 1)
    order = torch.randperm(71, generator=torch.Generator().manual_seed(seed)).to(DEVICE)
    moved = [(each.double() @ turn.T + shift).float() for each in (query, points)]
    with forced(backend, TABLE):
        plain, shuffled = knn(query, points, 6), knn(query, points[:, order], 6)
        turned = knn(moved[0], moved[1], 6)
    assert torch.equal(order[shuffled.index], plain.index)
    assert torch.equal(shuffled.sq_dist, plain.sq_dist)
    assert torch.allclose(turned.sq_dist, plain.sq_dist, rtol=1e-2, atol=1e-4)


@each
def test_every_run_gives_the_same_bits(backend: str) -> None:
    query, points = cloud(2, 9, 3), cloud(2, 150, 3, seed=1)
    with forced(backend, TABLE):
        assert_repeatable(lambda: knn(query, points, 8), runs=2)


@each
def test_no_gradient(backend: str) -> None:
    query = cloud(1, 5, 3).requires_grad_()
    with forced(backend, TABLE):
        assert not knn(query, query, 2).sq_dist.requires_grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tree_agrees_with_another_library(dtype: torch.dtype) -> None:
    """Enough queries for two threads."""
    query, points = cloud(1, 4100, 3).cpu().to(dtype), cloud(1, 3000, 3, seed=1).cpu().to(dtype)
    with forced("kd_tree", TABLE):
        found = knn(query, points, 7)
    distance, index = cKDTree(points[0].double().numpy()).query(query[0].double().numpy(), k=7)
    assert np.array_equal(found.index[0].numpy(), index)
    assert np.allclose(found.sq_dist[0].numpy(), distance**2, rtol=1e-6)


def test_tree_gives_up_on_a_shell() -> None:
    """All points at one distance: the tree cannot say which has the lowest index."""
    corners = torch.cartesian_prod(*[torch.tensor([-3.0, -2, -1, 1, 2, 3])] * 3)
    shell = corners[corners.square().sum(-1) == 14].repeat(8, 1)[None]
    with forced("kd_tree", TABLE):
        found = knn(torch.zeros(1, 4, 3), shell, 5)
    assert shell.shape[1] > 24 * 5
    assert found.index.tolist() == [[[0, 1, 2, 3, 4]] * 4]


def test_tree_bears_a_flood_of_copies() -> None:
    """100,000 equal points take SciPy's tree half a minute."""
    points = torch.cat([torch.zeros(1, 100_000, 3), cloud(1, 10, 3).cpu()], dim=1)
    with forced("kd_tree", TABLE):
        found = knn(points, points, 3)
    assert (found.index[0, :100_000] == torch.arange(3)).all()
    assert torch.equal(found.index[0, 100_000:, 0], torch.arange(100_000, 100_010))


@each
def test_bad_input(backend: str) -> None:
    query, points = cloud(2, 5, 3), cloud(2, 6, 3)
    with forced(backend, TABLE):
        with refused(ShapeError, "query: [B, M, 3]", "[2, 5, 2]"):
            knn(query[..., :2], points, 1)
        with refused(ShapeError, "points: [B, N, 3] with B = 2", "[1, 6, 3]"):
            knn(query, points[:1], 1)
        with refused(ShapeError, "points:", "[2, 0, 3]"):
            knn(query, points[:, :0], 1)
        with refused(ShapeError, "query:", "[2, 0, 3]"):
            knn(query[:, :0], points, 1)
        with refused(ValueError, "k: 1 to 6", "7"):
            knn(query, points, 7)
        with refused(ValueError, "k: 1 to 6", "0"):
            knn(query, points, 0)
        with refused(ValueError, "k: 1 to 32", "33"):
            knn(query, cloud(2, 40, 3), 33)
        with refused(ValueError, "query:", "torch.float32", "torch.float16"):
            knn(query.half(), points.half(), 1)
        with refused(ValueError, "points:", "torch.float32", "torch.float64"):
            knn(query, points.double(), 1)
        with refused(ValueError, "points: device", "meta"):
            knn(query, points.to("meta"), 1)
        with refused(ValueError, "query: finite", "6 that"):
            knn(query.index_fill(1, lengths(2), torch.nan), points, 1)
        with refused(ValueError, "points: finite"):
            knn(query, points / 0, 1)
        with refused(ShapeError, "lengths: [2]", "[3]"):
            knn(query, points, 1, lengths(1, 2, 3))
        with refused(ValueError, "lengths: values of 1 to 6", "0"):
            knn(query, points, 1, lengths(0, 6))
        with refused(ValueError, "lengths: torch.int64", "torch.int32"):
            knn(query, points, 1, lengths(5, 5).int())


def test_an_unknown_backend_is_refused() -> None:
    with refused(BackendError, "knn", "kd_tree", "'cuda'"), forced("cuda", TABLE):
        knn(cloud(1, 2, 3), cloud(1, 2, 3), 1)


def test_trusted_values_are_not_read() -> None:
    with trust_values(), forced("reference", TABLE):
        found = knn(cloud(1, 2, 3), cloud(1, 2, 3) / 0, 1)
    assert found.index.shape == (1, 2, 1)
