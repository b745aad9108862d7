import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree
from torch import Tensor

from kernels.chamfer import TABLE, NearestPairs, chamfer_distance, f_score, nearest_pairs
from kernels.checks import trust_values
from kernels.errors import BackendError, ShapeError
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
from tests.kernels.parity import golden

each = each_backend(TABLE)


def _exact(x: Tensor, y: Tensor) -> Tensor:
    """[B, N] squared distances in float64."""
    return (x.double()[:, :, None] - y.double()[:, None]).square().sum(-1).amin(2)


def _assert_right(pairs: NearestPairs, x: Tensor, y: Tensor) -> None:
    """Distances within 4 ulp of float64's, and each index stands for its distance."""
    for sq_dist, index, a, b in (
        (pairs.x_sq_dist, pairs.x_index, x, y),
        (pairs.y_sq_dist, pairs.y_index, y, x),
    ):
        truth = _exact(a, b)
        assert torch.allclose(sq_dist.double(), truth, rtol=5e-7, atol=1e-44)
        found = torch.gather(b.double(), 1, index[..., None].expand(-1, -1, 3))
        assert torch.allclose((a.double() - found).square().sum(-1), truth, rtol=5e-7, atol=1e-44)


@each
def test_hand_made(backend: str) -> None:
    x = torch.tensor([[[0.0, 0, 0], [1, 0, 0], [5, 5, 5]]], device=DEVICE)
    y = torch.tensor([[[1.0, 0, 0.5], [0, 2, 0]]], device=DEVICE)
    with forced(backend, TABLE):
        pairs = nearest_pairs(x, y)
    assert pairs.x_sq_dist.tolist() == [[1.25, 0.25, 59.0]]
    assert pairs.x_index.tolist() == [[0, 0, 1]]
    assert pairs.y_sq_dist.tolist() == [[0.25, 4.0]]
    assert pairs.y_index.tolist() == [[1, 0]]
    assert chamfer_distance(pairs).item() == pytest.approx((1.25 + 0.25 + 59) / 3 + 4.25 / 2)
    root = (1.25**0.5 + 0.5 + 59**0.5) / 3 + 2.5 / 2
    assert chamfer_distance(pairs, squared=False).item() == pytest.approx(root)
    # Precision 1/3 and recall 1/2; 0.5 itself is not below 0.5.
    assert f_score(pairs, [0.51, 0.5]).tolist() == [[pytest.approx(0.4), 0.0]]


@each
@pytest.mark.parametrize(
    ("B", "N", "M"), [(1, 1, 1), (2, 63, 1), (1, 1001, 257), (3, 64, 128), (1, 7, 1100)]
)
def test_against_float64(backend: str, B: int, N: int, M: int) -> None:
    x, y = cloud(B, N, 3), cloud(B, M, 3, seed=1)
    with forced(backend, TABLE):
        pairs = nearest_pairs(x, y)
    _assert_right(pairs, x, y)


@pytest.mark.parametrize("backend", TABLE.runnable(DEVICE.type, torch.float64))
def test_float64_clouds(backend: str) -> None:
    x, y = (cloud(2, 100, 3, seed=seed, dtype=torch.float64) for seed in (0, 1))
    with forced(backend, TABLE):
        pairs = nearest_pairs(x, y)
    assert pairs.x_sq_dist.dtype == torch.float64
    assert torch.allclose(pairs.x_sq_dist, _exact(x, y), rtol=1e-15)


@each
def test_golden_values(backend: str) -> None:
    scores = golden("fscore")
    for name, case in golden("chamfer").items():
        with forced(backend, TABLE):
            pairs = nearest_pairs(case["x"], case["y"])
        expected = {
            "sqdist_x_to_y": pairs.x_sq_dist,
            "sqdist_y_to_x": pairs.y_sq_dist,
            "cd_sum_of_mean_sq": chamfer_distance(pairs),
            "cd_half_sum_of_mean_l2": chamfer_distance(pairs, squared=False) / 2,
        }
        f = f_score(pairs, [0.01, 0.1, 0.001**0.5])
        for key, column in (("t0.01_on_l2.f", 0), ("t0.1_on_l2.f", 1), ("t0.001_on_squared.f", 2)):
            assert torch.allclose(f[:, column].double(), scores[name][key], rtol=1e-5, atol=1e-6)
        for key, ours in expected.items():
            assert torch.allclose(ours.double(), case[key], rtol=1e-5, atol=1e-6), (name, key)


@each
def test_ragged_clouds_are_each_their_own(backend: str) -> None:
    x, y = cloud(3, 70, 3), cloud(3, 90, 3, seed=1)
    x_lengths, y_lengths = lengths(70, 1, 33), lengths(1, 90, 65)
    for b in range(3):  # whatever padding holds
        x[b, x_lengths[b] :] = torch.nan
        y[b, y_lengths[b] :] = torch.inf
    with forced(backend, TABLE):
        pairs = nearest_pairs(x, y, x_lengths, y_lengths)
        distance = chamfer_distance(pairs, x_lengths, y_lengths)
        score = f_score(pairs, [0.3, 1.0], x_lengths, y_lengths)
        for b in range(3):
            n, m = int(x_lengths[b]), int(y_lengths[b])
            alone = nearest_pairs(x[b : b + 1, :n], y[b : b + 1, :m])
            assert torch.equal(pairs.x_index[b, :n], alone.x_index[0])
            assert torch.equal(pairs.y_sq_dist[b, :m], alone.y_sq_dist[0])
            assert (pairs.x_index[b, n:] == -1).all()
            assert (pairs.x_sq_dist[b, n:] == 0).all()
            assert distance[b].item() == pytest.approx(chamfer_distance(alone).item(), rel=1e-6)
            assert torch.allclose(score[b], f_score(alone, [0.3, 1.0])[0])


@each
def test_equal_distances_go_to_the_lower_index(backend: str) -> None:
    side = torch.arange(6, device=DEVICE, dtype=torch.float32)
    grid = torch.cartesian_prod(side, side, side)[None]
    between = grid + 0.5  # up to eight neighbours at the same distance
    with forced(backend, TABLE):
        pairs = nearest_pairs(between, grid)
        copies = nearest_pairs(grid, grid[:, :1].expand(1, 50, 3))
        doubled = nearest_pairs(grid, torch.cat([grid, grid.flip(1), grid], dim=1))
    sq_dist = (between[:, :, None] - grid[:, None]).square().sum(-1)
    lowest = (sq_dist == sq_dist.amin(2, keepdim=True)).int().argmax(2)
    assert torch.equal(pairs.x_index, lowest)
    assert (copies.x_index == 0).all()
    assert torch.equal(doubled.x_index[0], torch.arange(216, device=DEVICE))


@each
@pytest.mark.parametrize("factor", [1e-22, 1e-3, 1e18])
def test_tiny_and_huge_coordinates(backend: str, factor: float) -> None:
    x, y = cloud(1, 40, 3) * factor, cloud(1, 50, 3, seed=1) * factor
    with forced(backend, TABLE):
        pairs = nearest_pairs(x, y)
        near = nearest_pairs(cloud(1, 40, 3), cloud(1, 50, 3, seed=1))
    if factor > 1e-20:  # below that squares are denormal, with few digits
        assert torch.equal(pairs.x_index, near.x_index)
    assert torch.isfinite(pairs.x_sq_dist).all()


@each
@pytest.mark.filterwarnings("ignore:overflow encountered")  # of the interpreter's NumPy
def test_squares_that_overflow_still_have_a_partner(backend: str) -> None:
    x, y = cloud(1, 5, 3), cloud(1, 300, 3, seed=1) + 3e19
    y[:, 1::2] *= 1.01
    with forced(backend, TABLE):
        pairs = nearest_pairs(x, y)
    assert (pairs.x_index == 0).all()
    assert torch.isinf(pairs.x_sq_dist).all()


@each
def test_far_from_the_origin(backend: str) -> None:
    x, y = cloud(1, 60, 3) + 1000, cloud(1, 60, 3, seed=1) + 1000
    with forced(backend, TABLE):
        _assert_right(nearest_pairs(x, y), x, y)


@each
def test_strides_do_not_matter(backend: str) -> None:
    x, y = cloud(2, 33, 3), cloud(2, 44, 3, seed=1)
    with forced(backend, TABLE):
        plain, other = nearest_pairs(x, y), nearest_pairs(strided(x), y.mT.contiguous().mT)
    assert all(torch.equal(a, b) for a, b in zip(plain, other, strict=True))


@each
def test_no_clouds_at_all(backend: str) -> None:
    with forced(backend, TABLE):
        pairs = nearest_pairs(cloud(0, 5, 3), cloud(0, 7, 3))
    assert pairs.x_index.shape == (0, 5)
    assert pairs.y_sq_dist.shape == (0, 7)


@each
@settings(max_examples=10)
@given(seed=st.integers(0, 2**31), turn=rotations(), shift=st.floats(-10, 10))
def test_order_place_and_pose_do_not_matter(
    backend: str, seed: int, turn: Tensor, shift: float
) -> None:
    x, y = cloud(1, 37, 3, seed=seed), cloud(1, 41, 3, seed=seed + 1)
    order = torch.randperm(41, generator=torch.Generator().manual_seed(seed)).to(DEVICE)
    moved_x, moved_y = ((each.double() @ turn.T + shift).float() for each in (x, y[:, order]))
    with forced(backend, TABLE):
        plain, shuffled = nearest_pairs(x, y), nearest_pairs(x, y[:, order])
        moved = nearest_pairs(moved_x, moved_y)
    assert torch.equal(order[shuffled.x_index], plain.x_index)
    assert torch.equal(shuffled.x_sq_dist, plain.x_sq_dist)
    assert torch.allclose(moved.x_sq_dist, plain.x_sq_dist, rtol=1e-2, atol=1e-4)


@each
@pytest.mark.parametrize("squared", [True, False])
def test_gradient(backend: str, squared: bool) -> None:
    x, y = (cloud(2, n, 3, seed=n, dtype=torch.float64) for n in (9, 11))
    x_lengths = lengths(9, 4)
    if backend == "triton":  # float32 alone: its gradient is that of the reference
        a, b = (each.float().requires_grad_() for each in (x, y))
        with forced(backend, TABLE):
            loss = chamfer_distance(nearest_pairs(a, b, x_lengths), x_lengths, squared=squared)
        loss.sum().backward()
        ours = (a.grad, b.grad)
        a, b = (each.requires_grad_() for each in (x, y))
        with forced("reference", TABLE):
            loss = chamfer_distance(nearest_pairs(a, b, x_lengths), x_lengths, squared=squared)
        loss.sum().backward()
        for mine, theirs in zip(ours, (a.grad, b.grad), strict=True):
            assert mine is not None
            assert theirs is not None
            assert torch.allclose(mine.double(), theirs, rtol=1e-5, atol=1e-6)
        return

    def loss_of(a: Tensor, b: Tensor) -> Tensor:
        return chamfer_distance(nearest_pairs(a, b, x_lengths), x_lengths, squared=squared)

    with forced(backend, TABLE):
        assert torch.autograd.gradcheck(loss_of, (x.requires_grad_(), y.requires_grad_()))


@each
def test_gradient_where_clouds_touch_is_finite(backend: str) -> None:
    x = cloud(1, 5, 3).requires_grad_()
    with forced(backend, TABLE):
        pairs = nearest_pairs(x, x.detach())
        chamfer_distance(pairs, squared=False).sum().backward()
    assert x.grad is not None
    assert (x.grad == 0).all()


@each
def test_every_run_gives_the_same_bits(backend: str) -> None:
    x, y = cloud(2, 300, 3), cloud(2, 400, 3, seed=1)

    def run() -> tuple[Tensor, ...]:
        a, b = x.clone().requires_grad_(), y.clone().requires_grad_()
        with forced(backend, TABLE):
            pairs = nearest_pairs(a, b)
        chamfer_distance(pairs).sum().backward()
        assert a.grad is not None
        assert b.grad is not None
        return (*pairs, a.grad, b.grad)

    assert_repeatable(run)


def test_tree_agrees_with_another_library() -> None:
    x, y = cloud(1, 3000, 3).cpu(), cloud(1, 5000, 3, seed=1).cpu()
    with forced("kd_tree", TABLE):
        pairs = nearest_pairs(x, y)
    distance, index = cKDTree(y[0].double().numpy()).query(x[0].double().numpy())
    assert np.array_equal(pairs.x_index[0].numpy(), index)
    assert np.allclose(pairs.x_sq_dist[0].numpy(), distance**2, rtol=1e-6)


def test_tree_bears_a_flood_of_copies() -> None:
    """100,000 equal points take SciPy's tree half a minute."""
    y = torch.cat([torch.zeros(1, 100_000, 3), cloud(1, 10, 3).cpu()], dim=1)
    with forced("kd_tree", TABLE):
        pairs = nearest_pairs(y, y)
    assert (pairs.x_index[0, :100_000] == 0).all()
    assert torch.equal(pairs.x_index[0, 100_000:], torch.arange(100_000, 100_010))


@each
def test_bad_input(backend: str) -> None:
    x, y = cloud(2, 5, 3), cloud(2, 6, 3)
    with forced(backend, TABLE):
        with refused(ShapeError, "x: [B, N, 3]", "[2, 5, 2]"):
            nearest_pairs(x[..., :2], y)
        with refused(ShapeError, "y: [B, M, 3] with B = 2", "[1, 6, 3]"):
            nearest_pairs(x, y[:1])
        with refused(ShapeError, "x: [B, N, 3]", "[5, 3]"):
            nearest_pairs(x[0], y)
        with refused(ShapeError, "x:", "[2, 0, 3]"):
            nearest_pairs(x[:, :0], y)
        with refused(ShapeError, "x:", "dense"):
            nearest_pairs(x.to_sparse(), y)
        with refused(ValueError, "x:", "torch.float32", "torch.float16"):
            nearest_pairs(x.half(), y.half())
        with refused(ValueError, "y:", "torch.float32", "torch.float64"):
            nearest_pairs(x, y.double())
        with refused(ValueError, "y: device", "meta"):
            nearest_pairs(x, y.to("meta"))
        with refused(ValueError, "x: finite", "6 that"):
            nearest_pairs(x.index_fill(1, lengths(2), torch.nan), y)
        with refused(ValueError, "y: finite"):
            nearest_pairs(x, y / 0)
        with refused(ShapeError, "x_lengths: [2]", "[3]"):
            nearest_pairs(x, y, lengths(1, 2, 3))
        with refused(ValueError, "x_lengths: values of 1 to 5", "6"):
            nearest_pairs(x, y, lengths(5, 6))
        with refused(ValueError, "y_lengths: values of 1 to 6", "0"):
            nearest_pairs(x, y, y_lengths=lengths(0, 6))
        with refused(ValueError, "x_lengths: torch.int64", "torch.int32"):
            nearest_pairs(x, y, lengths(5, 5).int())


def test_an_unknown_backend_is_refused() -> None:
    with refused(BackendError, "chamfer", "kd_tree", "'cuda'"), forced("cuda", TABLE):
        nearest_pairs(cloud(1, 2, 3), cloud(1, 2, 3))


def test_trusted_values_are_not_read() -> None:
    with trust_values(), forced("reference", TABLE):
        pairs = nearest_pairs(cloud(1, 2, 3) * torch.nan, cloud(1, 2, 3))
    assert pairs.x_sq_dist.isnan().all()
