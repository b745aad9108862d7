import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from kernels.checks import trust_values
from kernels.errors import BackendError, ShapeError
from kernels.farthest_point_sampling import TABLE, Ties, farthest_point_sampling
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
both_ties = pytest.mark.parametrize("ties", ["lowest", "pvcnn"])


def _assert_right(picked: Tensor, points: Tensor) -> None:
    """Point 0 first; each pick is as far from those before it as any, in float64."""
    assert picked.dtype == torch.int64
    assert (picked[:, 0] == 0).all()
    clouds = torch.arange(len(points), device=DEVICE)
    points = points.double()
    least = torch.full(points.shape[:2], torch.inf, dtype=torch.float64, device=DEVICE)
    for s in range(1, picked.shape[1]):
        last = points[clouds, picked[:, s - 1]]
        least = torch.minimum(least, (points - last[:, None]).square().sum(-1))
        chosen = least[clouds, picked[:, s]]
        assert torch.allclose(chosen, least.amax(1), rtol=1e-6, atol=1e-44)


@each
@both_ties
def test_hand_made(backend: str, ties: Ties) -> None:
    line = torch.tensor([0.0, 1, 5, 10, 4], device=DEVICE)
    points = torch.stack([line, torch.zeros_like(line), torch.zeros_like(line)], dim=1)[None]
    with forced(backend, TABLE):
        # 5 is at 25 from both ends, 4 then at 1 from 5, as is 1 from 0: the lower index.
        assert farthest_point_sampling(points, 5, ties=ties).tolist() == [[0, 3, 2, 1, 4]]


@each
@pytest.mark.parametrize(
    ("B", "N", "S"), [(1, 1, 1), (1, 1, 3), (2, 63, 63), (1, 1001, 9), (3, 64, 20), (1, 2, 2)]
)
def test_against_float64(backend: str, B: int, N: int, S: int) -> None:
    points = cloud(B, N, 3)
    with forced(backend, TABLE):
        picked = farthest_point_sampling(points, S)
    assert picked.shape == (B, S)
    _assert_right(picked, points)
    if S <= N:
        assert all(len(row.unique()) == S for row in picked)


@pytest.mark.parametrize("backend", TABLE.runnable(DEVICE.type, torch.float64))
def test_float64_clouds(backend: str) -> None:
    """In float32 the points all lie in one place."""
    points = 1 + 1e-9 * cloud(2, 100, 3, dtype=torch.float64)
    with forced(backend, TABLE):
        picked = farthest_point_sampling(points, 100)
    _assert_right(picked, points)
    assert all(len(row.unique()) == 100 for row in picked)


@each
def test_golden_values(backend: str) -> None:
    cases = golden("furthest_point_sampling")
    assert "lattice_ties_gt512" in cases
    for name, case in cases.items():
        points = case["coords"].mT
        with forced(backend, TABLE):
            picked = farthest_point_sampling(points, int(case["num_samples"]), ties="pvcnn")
        assert torch.equal(picked, case["indices"].long()), name
        centers = torch.gather(points, 1, picked[..., None].expand(-1, -1, 3))
        assert torch.equal(centers.mT.double(), case["centers"]), name


@each
def test_the_order_of_ties(backend: str) -> None:
    """Two places with many points each: which of them stands for the second?"""
    points = torch.ones(1, 1100, 3, device=DEVICE)
    points[:, :515] = 0
    with forced(backend, TABLE):
        assert farthest_point_sampling(points, 3).tolist() == [[0, 515, 0]]
        # 1024 % 512 = 0
        assert farthest_point_sampling(points, 3, ties="pvcnn").tolist() == [[0, 1024, 0]]
        few = lengths(1024)
        assert farthest_point_sampling(points, 3, few).tolist() == [[0, 515, 0]]
        assert farthest_point_sampling(points, 3, few, "pvcnn").tolist() == [[0, 515, 0]]


@each
@both_ties
def test_backends_agree_on_a_lattice(backend: str, ties: Ties) -> None:
    """Where distances are exact and mostly equal."""
    side = torch.arange(8, device=DEVICE, dtype=torch.float32)
    grid = torch.cartesian_prod(side, side, torch.arange(11.0, device=DEVICE))
    order = torch.randperm(704, generator=torch.Generator().manual_seed(0)).to(DEVICE)
    points = torch.stack([grid, grid[order]])
    with forced(backend, TABLE):
        picked = farthest_point_sampling(points, 25, ties=ties)
    with forced("reference", TABLE):
        assert torch.equal(picked, farthest_point_sampling(points, 25, ties=ties))


@pytest.mark.parametrize("chunk", [512, 1024])
@both_ties
def test_clouds_too_large_for_registers(
    monkeypatch: pytest.MonkeyPatch, ties: Ties, chunk: int
) -> None:
    from kernels.farthest_point_sampling import kernel

    side = torch.arange(11, device=DEVICE, dtype=torch.float32)
    grid = torch.cartesian_prod(side, side, side)  # 1,331 points, which fill no chunk
    points = torch.stack([grid, grid.flip(0), cloud(1331, 3)])
    count = lengths(1331, 1200, 700)
    with forced("triton", TABLE):
        resident = farthest_point_sampling(points, 12, count, ties)
        monkeypatch.setattr(kernel, "RESIDENT", 256)
        monkeypatch.setattr(kernel, "CHUNK", chunk)
        assert torch.equal(farthest_point_sampling(points, 12, count, ties), resident)
        whole = farthest_point_sampling(points, 6, ties=ties)
    with forced("reference", TABLE):
        assert torch.equal(whole, farthest_point_sampling(points, 6, ties=ties))


def test_a_cloud_that_really_is_too_large() -> None:
    points = cloud(1, 32768, 3)
    with forced("triton", TABLE):
        _assert_right(farthest_point_sampling(points, 4), points)


@each
@both_ties
def test_ragged_clouds_are_each_their_own(backend: str, ties: Ties) -> None:
    points = cloud(3, 600, 3)
    count = lengths(600, 1, 523)
    for b in range(3):  # whatever padding holds
        points[b, count[b] :] = torch.nan if b == 1 else torch.inf
    with forced(backend, TABLE):
        picked = farthest_point_sampling(points, 8, count, ties)
        for b in range(3):
            alone = farthest_point_sampling(points[b : b + 1, : count[b]], 8, ties=ties)
            assert torch.equal(picked[b], alone[0])
    assert (picked[1] == 0).all()


@each
def test_copies_are_picked_once(backend: str) -> None:
    points = cloud(1, 20, 3).repeat(1, 3, 1)
    with forced(backend, TABLE):
        picked = farthest_point_sampling(points, 25)
    assert sorted(picked[0, :20].tolist()) == list(range(20))
    assert (picked[0, 20:] == 0).all()


@each
@pytest.mark.parametrize("factor", [2.0**-60, 1.0, 2.0**60])
def test_scale_does_not_matter(backend: str, factor: float) -> None:
    points = cloud(1, 100, 3)
    with forced(backend, TABLE):
        assert torch.equal(
            farthest_point_sampling(points * factor, 15), farthest_point_sampling(points, 15)
        )


@each
@pytest.mark.filterwarnings("ignore:overflow encountered")  # of the interpreter's NumPy
def test_squares_that_overflow_count_as_far(backend: str) -> None:
    points = torch.tensor([[[0.0, 0, 0], [1, 0, 0], [3e19, 0, 0], [-3e38, 0, 0]]], device=DEVICE)
    with forced(backend, TABLE):
        assert farthest_point_sampling(points, 5).tolist() == [[0, 2, 3, 1, 0]]


@each
def test_far_from_the_origin(backend: str) -> None:
    points = cloud(1, 100, 3) + 1000
    with forced(backend, TABLE):
        _assert_right(farthest_point_sampling(points, 20), points)


@each
def test_strides_do_not_matter(backend: str) -> None:
    points = cloud(2, 65, 3)
    with forced(backend, TABLE):
        plain = farthest_point_sampling(points, 9)
        assert torch.equal(plain, farthest_point_sampling(strided(points), 9))
        assert torch.equal(plain, farthest_point_sampling(points.mT.contiguous().mT, 9))


@each
def test_no_clouds_at_all(backend: str) -> None:
    with forced(backend, TABLE):
        assert farthest_point_sampling(cloud(0, 5, 3), 4).shape == (0, 4)
        assert farthest_point_sampling(cloud(0, 9000, 3), 4, lengths()).shape == (0, 4)


@each
def test_points_that_learn_are_taken_as_they_are(backend: str) -> None:
    points = cloud(1, 30, 3).requires_grad_()
    with forced(backend, TABLE):
        picked = farthest_point_sampling(points, 5)
    assert not picked.requires_grad


@each
@settings(max_examples=10)
@given(seed=st.integers(0, 2**31), turn=rotations())
def test_order_and_pose_do_not_matter(backend: str, seed: int, turn: Tensor) -> None:
    """Point 0 stays first; picks are few, lest distances come near each other."""
    points = cloud(1, 37, 3, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    order = torch.cat(
        [torch.zeros(1, dtype=torch.int64), 1 + torch.randperm(36, generator=generator)]
    )
    order = order.to(DEVICE)
    moved = (points.double() @ turn.T).float()
    with forced(backend, TABLE):
        picked = farthest_point_sampling(points, 4)
        shuffled = farthest_point_sampling(points[:, order], 4)
        turned = farthest_point_sampling(moved, 4)
    assert torch.equal(order[shuffled], picked)
    _assert_right(turned, points)


@each
def test_every_run_gives_the_same_bits(backend: str) -> None:
    points = cloud(2, 300, 3)

    def run() -> Tensor:
        with forced(backend, TABLE):
            return farthest_point_sampling(points, 20)

    assert_repeatable(run)


@each
def test_bad_input(backend: str) -> None:
    points = cloud(2, 5, 3)
    with forced(backend, TABLE):
        with refused(ShapeError, "points: [B, N, 3]", "[2, 5, 2]"):
            farthest_point_sampling(points[..., :2], 2)
        with refused(ShapeError, "points: [B, N, 3]", "[5, 3]"):
            farthest_point_sampling(points[0], 2)
        with refused(ShapeError, "points:", "[2, 0, 3]"):
            farthest_point_sampling(points[:, :0], 2)
        with refused(ValueError, "points: torch.float32 or torch.float64", "torch.float16"):
            farthest_point_sampling(points.half(), 2)
        with refused(ValueError, "num_samples: 1 to", "got 0"):
            farthest_point_sampling(points, 0)
        with refused(ValueError, "ties: one of lowest, pvcnn", "'highest'"):
            farthest_point_sampling(points, 2, ties="highest")  # type: ignore[arg-type]
        with refused(ValueError, "points: finite", "6 that"):
            farthest_point_sampling(points.index_fill(1, lengths(2), torch.nan), 2)
        with refused(ValueError, "points: finite"):
            farthest_point_sampling(points.index_fill(1, lengths(4), torch.inf), 2, lengths(5, 4))
        with refused(ShapeError, "lengths: [2]", "[3]"):
            farthest_point_sampling(points, 2, lengths(1, 2, 3))
        with refused(ValueError, "lengths: values of 1 to 5", "6"):
            farthest_point_sampling(points, 2, lengths(5, 6))
        with refused(ValueError, "lengths: values of 1 to 5", "0"):
            farthest_point_sampling(points, 2, lengths(5, 0))
        with refused(ValueError, "lengths: torch.int64", "torch.int32"):
            farthest_point_sampling(points, 2, lengths(5, 5).int())
        with refused(ValueError, "lengths: device", "meta"):
            farthest_point_sampling(points, 2, lengths(5, 5).to("meta"))


def test_an_unknown_backend_is_refused() -> None:
    with refused(BackendError, "farthest_point_sampling", "'cuda'"), forced("cuda", TABLE):
        farthest_point_sampling(cloud(1, 2, 3), 1)


def test_trusted_values_are_not_read() -> None:
    with trust_values():
        assert farthest_point_sampling(cloud(1, 2, 3), 2, lengths(7)).shape == (1, 2)
