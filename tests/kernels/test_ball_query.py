import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from kernels.ball_query import TABLE, ball_query
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
    strided,
)
from tests.kernels.parity import golden

each = each_backend(TABLE)


def _by_hand(centers: Tensor, points: Tensor, radius: float, U: int) -> tuple[object, object]:
    """Indices and counts, point by point, in float64."""
    index, count = [], []
    for b in range(len(centers)):
        apart = (centers[b].double()[:, None] - points[b].double()).square().sum(-1).sqrt()
        hits = [[j for j, d in enumerate(row) if d < radius][:U] for row in apart.tolist()]
        index.append([[*row, *[(row or [0])[0]] * (U - len(row))] for row in hits])
        count.append([len(row) for row in hits])
    return index, count


@each
def test_hand_made(backend: str) -> None:
    centers = torch.tensor([[[0.0, 0, 0], [9, 0, 0], [2, 0, 0]]], device=DEVICE)
    points = torch.tensor([[[5.0, 0, 0], [1, 0, 0], [0, 0.5, 0], [0, 0, 0], [1.5, 0, 0]]])
    with forced(backend, TABLE):
        ball = ball_query(centers, points.to(DEVICE), 1.0, 3)
    # The point at distance 1 of the first centre is outside; of the last centre nothing precedes 4.
    assert ball.index.tolist() == [[[2, 3, 2], [0, 0, 0], [4, 4, 4]]]
    assert ball.count.tolist() == [[2, 0, 1]]


@each
def test_golden_values(backend: str) -> None:
    for name, case in golden("ball_query").items():
        with forced(backend, TABLE):
            ball = ball_query(
                case["centers"].mT,
                case["points"].mT,
                float(case["radius"]),
                int(case["num_neighbors"]),
            )
        assert torch.equal(ball.index, case["indices"].long()), name


@each
@pytest.mark.parametrize(
    ("B", "M", "N", "U", "radius"),
    [
        (1, 1, 1, 1, 0.1),
        (2, 63, 5, 7, 1.5),
        (1, 7, 1001, 32, 0.7),
        (2, 33, 257, 1, 0.5),
        (1, 5, 130, 64, 9.0),
        (1, 130, 64, 5, 0.8),
    ],
)
def test_against_float64(backend: str, B: int, M: int, N: int, U: int, radius: float) -> None:
    centers, points = cloud(B, M, 3), cloud(B, N, 3, seed=1)
    with forced(backend, TABLE):
        ball = ball_query(centers, points, radius, U)
    index, count = _by_hand(centers, points, radius, U)
    assert ball.index.tolist() == index
    assert ball.count.tolist() == count


@pytest.mark.parametrize("backend", TABLE.runnable(DEVICE.type, torch.float64))
def test_float64_clouds(backend: str) -> None:
    centers, points = (cloud(2, 50, 3, seed=seed, dtype=torch.float64) for seed in (0, 1))
    with forced(backend, TABLE):
        ball = ball_query(centers, points, 0.9, 6)
    assert ball.index.tolist() == _by_hand(centers, points, 0.9, 6)[0]


@each
def test_radius_is_rounded_before_it_is_squared(backend: str) -> None:
    """float32(0.1)^2 in float32 is not float32(0.1^2)."""
    narrow = torch.tensor(0.1) * torch.tensor(0.1)
    wide = torch.tensor(0.1**2)
    assert narrow > wide
    points = torch.tensor([[[0.1, 0, 0], [0.099999994, 0, 0]]], device=DEVICE)
    with forced(backend, TABLE):
        ball = ball_query(torch.zeros(1, 1, 3, device=DEVICE), points, 0.1, 2)
    assert ball.index.tolist() == [[[1, 1]]]
    assert ball.count.tolist() == [[1]]


@each
def test_lengths_leave_padding_out(backend: str) -> None:
    centers, points = cloud(3, 20, 3), cloud(3, 150, 3, seed=1)
    valid = lengths(150, 1, 65)
    for b in range(3):  # whatever padding holds
        points[b, valid[b] :] = torch.nan
    with forced(backend, TABLE):
        ball = ball_query(centers, points, 1.5, 8, valid)
        for b in range(3):
            alone = ball_query(centers[b : b + 1], points[b : b + 1, : valid[b]], 1.5, 8)
            assert torch.equal(ball.index[b], alone.index[0])
            assert torch.equal(ball.count[b], alone.count[0])


@each
def test_padding_at_the_origin_is_no_hit(backend: str) -> None:
    points = torch.zeros(1, 9, 3, device=DEVICE)
    with forced(backend, TABLE):
        ball = ball_query(points[:, :1], points, 1.0, 6, lengths(4))
    assert ball.index.tolist() == [[[0, 1, 2, 3, 0, 0]]]
    assert ball.count.tolist() == [[4]]


@each
def test_every_point_of_many_is_a_hit(backend: str) -> None:
    """As many hits in each tile as it has points."""
    points = cloud(1, 300, 3)
    with forced(backend, TABLE):
        ball = ball_query(points[:, :9], points, 100.0, 290)
    assert torch.equal(ball.index, torch.arange(290, device=DEVICE).expand(1, 9, 290))
    assert (ball.count == 290).all()


@each
def test_copies_are_taken_in_order(backend: str) -> None:
    points = cloud(1, 1, 3).expand(1, 100, 3)
    with forced(backend, TABLE):
        ball = ball_query(points[:, :3], points, 0.01, 5)
    assert ball.index.tolist() == [[[0, 1, 2, 3, 4]] * 3]


@each
@pytest.mark.filterwarnings("ignore:overflow encountered")  # of the interpreter's NumPy
@pytest.mark.parametrize("factor", [1e-18, 1e17])
def test_tiny_and_huge_coordinates(backend: str, factor: float) -> None:
    centers, points = cloud(1, 20, 3), cloud(1, 100, 3, seed=1)
    with forced(backend, TABLE):
        plain = ball_query(centers, points, 0.8, 6)
        scaled = ball_query(centers * factor, points * factor, 0.8 * factor, 6)
        apart = ball_query(centers, points + 3e19, 0.8, 6)
    assert torch.equal(scaled.index, plain.index)
    assert (apart.count == 0).all()


@each
def test_far_from_the_origin(backend: str) -> None:
    centers, points = cloud(1, 20, 3) + 1000, cloud(1, 100, 3, seed=1) + 1000
    with forced(backend, TABLE):
        ball = ball_query(centers, points, 0.8, 6)
    assert ball.index.tolist() == _by_hand(centers, points, 0.8, 6)[0]


@each
def test_strides_do_not_matter(backend: str) -> None:
    centers, points = cloud(2, 13, 3), cloud(2, 44, 3, seed=1)
    with forced(backend, TABLE):
        plain = ball_query(centers, points, 0.9, 5)
        other = ball_query(strided(centers), points.mT.contiguous().mT, 0.9, 5)
    assert all(torch.equal(a, b) for a, b in zip(plain, other, strict=True))


@each
def test_no_clouds_at_all(backend: str) -> None:
    with forced(backend, TABLE):
        ball = ball_query(cloud(0, 5, 3), cloud(0, 7, 3), 1.0, 4, lengths())
    assert ball.index.shape == (0, 5, 4)
    assert ball.count.shape == (0, 5)


@each
@settings(max_examples=6)
@given(seed=st.integers(0, 2**31), radius=st.floats(0.1, 3.0))
def test_order_of_points_decides_which_are_taken(backend: str, seed: int, radius: float) -> None:
    centers, points = cloud(1, 9, 3, seed=seed), cloud(1, 71, 3, seed=seed + 1)
    order = torch.randperm(71, generator=torch.Generator().manual_seed(seed)).to(DEVICE)
    with forced(backend, TABLE):
        plain = ball_query(centers, points, radius, 71)
        shuffled = ball_query(centers, points[:, order], radius, 71)
        fewer = ball_query(centers, points, radius, 4)
    assert torch.equal(plain.count, shuffled.count)
    for row, other, count in zip(
        plain.index[0], order[shuffled.index[0]], plain.count[0].tolist(), strict=True
    ):
        assert torch.equal(row[:count], other[:count].sort().values)
    assert torch.equal(fewer.index, plain.index[..., :4])
    assert torch.equal(fewer.count, plain.count.clamp(max=4))


@each
def test_every_run_gives_the_same_bits(backend: str) -> None:
    centers, points = cloud(2, 12, 3), cloud(2, 200, 3, seed=1)
    with forced(backend, TABLE):
        assert_repeatable(lambda: ball_query(centers, points, 0.8, 8))


@each
def test_bad_input(backend: str) -> None:
    centers, points = cloud(2, 5, 3), cloud(2, 6, 3)
    with forced(backend, TABLE):
        with refused(ShapeError, "centers: [B, M, 3]", "[2, 5, 2]"):
            ball_query(centers[..., :2], points, 1.0, 1)
        with refused(ShapeError, "points: [B, N, 3] with B = 2", "[1, 6, 3]"):
            ball_query(centers, points[:1], 1.0, 1)
        with refused(ShapeError, "points:", "[2, 0, 3]"):
            ball_query(centers, points[:, :0], 1.0, 1)
        for radius in (0.0, -1.0, float("nan"), float("inf")):
            with refused(ValueError, "radius:"):
                ball_query(centers, points, radius, 1)
        with refused(ValueError, "max_neighbors: 1 to 1024", "0"):
            ball_query(centers, points, 1.0, 0)
        with refused(ValueError, "centers:", "torch.float32", "torch.float16"):
            ball_query(centers.half(), points.half(), 1.0, 1)
        with refused(ValueError, "points:", "torch.float32", "torch.float64"):
            ball_query(centers, points.double(), 1.0, 1)
        with refused(ValueError, "points: device", "meta"):
            ball_query(centers, points.to("meta"), 1.0, 1)
        with refused(ValueError, "centers: finite", "6 that"):
            ball_query(centers.index_fill(1, lengths(2), torch.nan), points, 1.0, 1)
        with refused(ValueError, "points: finite"):
            ball_query(centers, points / 0, 1.0, 1)
        with refused(ShapeError, "lengths: [2]", "[3]"):
            ball_query(centers, points, 1.0, 1, lengths(1, 2, 3))
        with refused(ValueError, "lengths: values of 1 to 6", "7"):
            ball_query(centers, points, 1.0, 1, lengths(7, 6))
        with refused(ValueError, "lengths: torch.int64", "torch.int32"):
            ball_query(centers, points, 1.0, 1, lengths(5, 5).int())


def test_an_unknown_backend_is_refused() -> None:
    with refused(BackendError, "ball_query", "blocks", "'cuda'"), forced("cuda", TABLE):
        ball_query(cloud(1, 2, 3), cloud(1, 2, 3), 1.0, 1)


def test_trusted_values_are_not_read() -> None:
    with trust_values(), forced("reference", TABLE):
        ball = ball_query(cloud(1, 2, 3), cloud(1, 2, 3) / 0, 1.0, 1)
    assert ball.count.tolist() == [[0, 0]]
