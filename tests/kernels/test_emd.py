import itertools
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from kernels.checks import trust_values
from kernels.emd import TABLE, EarthMover, emd
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
each_exact = pytest.mark.parametrize("backend", ["reference", "exact"])
each_power = pytest.mark.parametrize("p", [1, 2])


def _need(backend: str) -> None:
    if backend == "sinkhorn":
        pytest.importorskip("geomloss", reason="the extra `evaluation` is not installed")


def _assert_consistent(found: EarthMover, x: Tensor, y: Tensor, p: int) -> None:
    """The assignment is a bijection that costs what is said."""
    assert found.exact
    assert found.assignment is not None
    B, N, _ = x.shape
    everyone = torch.arange(N, device=DEVICE).expand(B, N)
    assert torch.equal(found.assignment.sort(dim=1).values, everyone)
    partner = y.double().gather(1, found.assignment[..., None].expand(-1, -1, 3))
    cost = (x.double() - partner).norm(dim=-1).pow(p).mean(dim=1)
    assert torch.allclose(found.distance, cost, rtol=1e-12)


@each_exact
def test_hand_made(backend: str) -> None:
    # Each point's nearest is the same one; on a line, squares keep the order and roots need not.
    x = torch.tensor([[[0.0, 0, 0], [3, 0, 0]]], device=DEVICE)
    y = torch.tensor([[[3.0, 4, 0], [3, 0, 0]]], device=DEVICE)
    with forced(backend, TABLE):
        plain, squared = emd(x, y), emd(x, y, 2)
    assert plain.distance.tolist() == [pytest.approx(5 / 2, rel=1e-15)]
    assert plain.assignment is not None
    assert plain.assignment.tolist() == [[0, 1]]
    assert squared.distance.tolist() in ([pytest.approx(25 / 2)], [pytest.approx((9 + 16) / 2)])
    assert plain.exact


@each_exact
@each_power
def test_no_order_of_seven_points_is_cheaper(backend: str, p: int) -> None:
    x, y = cloud(2, 7, 3), cloud(2, 7, 3, seed=1)
    cost = (x.double()[:, :, None] - y.double()[:, None]).norm(dim=-1).pow(p)
    orders = torch.tensor(list(itertools.permutations(range(7))), device=DEVICE)
    least = cost[:, torch.arange(7, device=DEVICE), orders].mean(dim=2).amin(dim=1)
    with forced(backend, TABLE):
        found = emd(x, y, p)  # type: ignore[arg-type]
    assert torch.allclose(found.distance, least, rtol=1e-12)
    _assert_consistent(found, x, y, p)


@each
def test_golden_values(backend: str) -> None:
    _need(backend)
    clouds = golden("chamfer")
    for name, expected in golden("emd").items():
        some = slice(1) if backend == "reference" else slice(None)  # it is slow
        x, y = clouds[name]["x"][some], clouds[name]["y"][some]
        for p, key in ((1, "mean_l2"), (2, "mean_sq_optimal_for_sq")):
            with forced(backend, TABLE):
                found = emd(x, y, p)  # type: ignore[arg-type]
            if found.exact:
                assert torch.allclose(found.distance, expected[key][some], rtol=1e-12, atol=1e-12)
                _assert_consistent(found, x, y, p)
            else:
                assert (found.distance <= expected[key] + 1e-12).all()


@each_power
@pytest.mark.parametrize("N", [1, 2, 63])
def test_exact_backends_agree(N: int, p: int) -> None:
    x, y = cloud(2, N, 3), cloud(2, N, 3, seed=1)
    found = []
    for backend in ("reference", "exact"):
        with forced(backend, TABLE):
            found.append(emd(x, y, p))  # type: ignore[arg-type]
        _assert_consistent(found[-1], x, y, p)
    assert torch.allclose(found[0].distance, found[1].distance, rtol=1e-12)
    assert torch.equal(found[0].assignment, found[1].assignment)  # type: ignore[arg-type]


@each_power
@pytest.mark.parametrize(("noise", "most"), [(None, 0.05), (0.01, 1e-3)])
def test_the_bound_is_below_and_near(p: int, noise: float | None, most: float) -> None:
    """Of unlike samples of a sphere, and of one cloud in another order with noise."""
    _need("sinkhorn")
    x = torch.nn.functional.normalize(cloud(1, 256, 3), dim=-1)
    y = torch.nn.functional.normalize(cloud(1, 256, 3, seed=1), dim=-1)
    if noise is not None:
        y = x.flip(1) + noise * y
    with forced("exact", TABLE):
        exact = emd(x, y, p)  # type: ignore[arg-type]
    with forced("sinkhorn", TABLE):
        found = emd(x, y, p)  # type: ignore[arg-type]
    assert not found.exact
    assert found.assignment is None
    low = 1 - (found.distance / exact.distance).item()
    assert -1e-9 <= low <= most


@each_exact
def test_equal_points(backend: str) -> None:
    x = cloud(1, 1, 3).expand(1, 20, 3)
    with forced(backend, TABLE):
        same, apart = emd(x, x), emd(x, x + 1)
        copies = emd(torch.cat([x, x + 1], dim=1), torch.cat([x + 1, x], dim=1))
    assert same.distance.item() == 0
    assert apart.distance.item() == pytest.approx(3**0.5, rel=1e-6)
    assert copies.distance.item() == 0
    _assert_consistent(copies, torch.cat([x, x + 1], dim=1), torch.cat([x + 1, x], dim=1), 1)


@each
def test_clouds_without_extent(backend: str) -> None:
    _need(backend)
    x = cloud(1, 1, 3).expand(2, 5, 3)
    with forced(backend, TABLE):
        assert emd(x, x).distance.tolist() == [0, 0]


@each
@each_power
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**31), turn=rotations(), shift=st.floats(-100, 100))
def test_order_place_pose_and_unit_do_not_matter(
    backend: str, p: int, seed: int, turn: Tensor, shift: float
) -> None:
    _need(backend)
    x, y = (cloud(1, 19, 3, seed=seed + k, dtype=torch.float64) for k in (0, 1))
    order = torch.randperm(19, generator=torch.Generator().manual_seed(seed)).to(DEVICE)
    with forced(backend, TABLE):
        plain = emd(x, y, p)  # type: ignore[arg-type]
        moved = emd(3 * x + shift, 3 * y[:, order] + shift, p)  # type: ignore[arg-type]
        turned = emd(x @ turn.T, y @ turn.T, p)  # type: ignore[arg-type]
        back = emd(y, x, p)  # type: ignore[arg-type]
    # Another box means another temperature, and Sinkhorn is in single precision.
    close, loose = (1e-10, 1e-10) if plain.exact else (1e-4, 0.1)
    assert moved.distance.item() == pytest.approx(3**p * plain.distance.item(), rel=close)
    assert turned.distance.item() == pytest.approx(plain.distance.item(), rel=loose)
    assert back.distance.item() == pytest.approx(plain.distance.item(), rel=loose)
    if plain.assignment is not None and moved.assignment is not None:
        assert torch.equal(order[moved.assignment], plain.assignment)


@each
@pytest.mark.parametrize("factor", [1e-30, 1e30])
def test_tiny_and_huge_coordinates(backend: str, factor: float) -> None:
    _need(backend)
    x, y = cloud(1, 20, 3), cloud(1, 20, 3, seed=1)
    with forced(backend, TABLE):
        plain, scaled = emd(x, y, 2), emd(x * factor, y * factor, 2)
    close = 1e-6 if plain.exact else 1e-3
    assert scaled.distance.item() / factor**2 == pytest.approx(plain.distance.item(), rel=close)


@each
def test_strides_do_not_matter(backend: str) -> None:
    _need(backend)
    x, y = cloud(2, 20, 3), cloud(2, 20, 3, seed=1)
    with forced(backend, TABLE):
        plain, other = emd(x, y), emd(strided(x), y.mT.contiguous().mT)
    assert torch.equal(plain.distance, other.distance)


@each
def test_no_clouds_at_all(backend: str) -> None:
    _need(backend)
    with forced(backend, TABLE):
        found = emd(cloud(0, 5, 3), cloud(0, 5, 3))
    assert found.distance.shape == (0,)
    assert found.assignment is None or found.assignment.shape == (0, 5)


@each
def test_every_run_gives_the_same_bits(backend: str) -> None:
    _need(backend)
    x, y = cloud(2, 50, 3), cloud(2, 50, 3, seed=1)

    def run() -> tuple[Tensor, ...]:
        with forced(backend, TABLE):
            found = emd(x, y)
        return (found.distance,) if found.assignment is None else found[:2]  # type: ignore[return-value]

    assert_repeatable(run)


def test_size_decides() -> None:
    like = cloud(1, 1, 3)
    assert TABLE.pick(like, 2048) == "exact"
    assert TABLE.pick(like, 10_000) == "sinkhorn"


def test_the_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "geomloss", None)
    with refused(BackendError, "GeomLoss", "bozzetto[evaluation]"), forced("sinkhorn", TABLE):
        emd(cloud(1, 5, 3), cloud(1, 5, 3))


@each
def test_bad_input(backend: str) -> None:
    x, y = cloud(2, 5, 3), cloud(2, 5, 3, seed=1)
    with forced(backend, TABLE):
        with refused(ShapeError, "x: [B, N, 3]", "[2, 5, 2]"):
            emd(x[..., :2], y)
        with refused(ShapeError, "y: [B, N, 3] with B = 2, N = 5", "[2, 4, 3]"):
            emd(x, y[:, :4])
        with refused(ShapeError, "x:", "[2, 0, 3]"):
            emd(x[:, :0], y[:, :0])
        with refused(ValueError, "x: torch.float32", "torch.float16"):
            emd(x.half(), y.half())
        with refused(ValueError, "y: torch.float32", "torch.float64"):
            emd(x, y.double())
        with refused(ValueError, "y: device", "meta"):
            emd(x, y.to("meta"))
        with refused(ValueError, "x: finite", "6 that"):
            emd(x.index_fill(1, lengths(2), torch.nan), y)
        with refused(ValueError, "y: finite"):
            emd(x, y / 0)
        with refused(ValueError, "p: 1 or 2", "got 3"):
            emd(x, y, 3)  # type: ignore[arg-type]


def test_an_unknown_backend_is_refused() -> None:
    with refused(BackendError, "emd", "exact", "'cuda'"), forced("cuda", TABLE):
        emd(cloud(1, 2, 3), cloud(1, 2, 3))


def test_trusted_values_give_the_same() -> None:
    x, y = cloud(1, 9, 3), cloud(1, 9, 3, seed=1)
    with trust_values():
        trusted = emd(x, y)
    assert torch.equal(trusted.distance, emd(x, y).distance)
