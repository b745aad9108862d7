import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree
from torch import Tensor

from kernels.checks import trust_values
from kernels.errors import BackendError, ShapeError
from kernels.three_nn_interpolate import TABLE, ThreeNearest, three_nn, three_nn_interpolate
from tests.kernels.kit import (
    DEVICE,
    assert_as_exact,
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


def _mean(nearest: ThreeNearest, features: Tensor) -> Tensor:
    """[B, N, C] in float64."""
    clouds = torch.arange(len(features), device=DEVICE)[:, None, None]
    found = features.double()[clouds, nearest.center_index]
    return (found * nearest.weights.double()[..., None]).sum(2)


def _assert_right(nearest: ThreeNearest, points: Tensor, centers: Tensor) -> None:
    """Against float64: each index stands for its distance, and weights follow from distances."""
    sq_dist = (points.double()[:, :, None] - centers.double()[:, None]).square().sum(-1)
    truth = sq_dist.sort(2).values[..., :3]
    known = truth.shape[2]
    found = sq_dist.gather(2, nearest.center_index)[..., :known]
    assert torch.allclose(found, truth, rtol=1e-6, atol=1e-44)
    assert (nearest.center_index[..., known:] == 0).all()
    assert (nearest.center_index[..., :known].sort(2).values.diff(dim=2) > 0).all()
    missing = truth.new_full((*truth.shape[:2], 3 - known), 1e10)
    inverse = 1 / torch.cat([truth, missing], dim=2).clamp(1e-10, 1e10)
    weights = inverse / inverse.sum(2, keepdim=True)
    assert torch.allclose(nearest.weights.double(), weights, rtol=5e-6, atol=1e-12)


@each
def test_hand_made(backend: str) -> None:
    points = torch.tensor([[[0.0, 0, 0], [9, 0, 0]]], device=DEVICE)
    centers = torch.tensor([[[2.0, 0, 0], [0, 1, 0], [9, 0, 0], [0, 0, -1]]], device=DEVICE)
    features = torch.tensor([[[1.0, 0], [2, 0], [4, 1], [8, 0]]], device=DEVICE)
    with forced(backend, TABLE):
        index, weights = three_nn(points, centers)
        out = three_nn_interpolate(points, centers, features)
    # Squared distances 1, 1, 4: weights 4, 4 and 1 ninths. The second point lies in a centre.
    assert index.tolist() == [[[1, 3, 0], [2, 0, 1]]]
    assert weights[0, 0].tolist() == pytest.approx([4 / 9, 4 / 9, 1 / 9])
    assert weights[0, 1].tolist() == pytest.approx([1, 1e-10 / 49, 1e-10 / 82])
    assert out[0, 0].tolist() == pytest.approx([41 / 9, 0])
    assert out[0, 1].tolist() == pytest.approx([4, 1])


@each
@pytest.mark.parametrize(
    ("B", "N", "M", "C"),
    [
        (1, 1, 1, 1),
        (2, 63, 2, 5),
        (1, 33, 3, 65),
        (2, 64, 4, 16),
        (1, 1001, 33, 3),
        (3, 40, 100, 130),
        (1, 5, 1001, 7),
    ],
)
def test_against_float64(backend: str, B: int, N: int, M: int, C: int) -> None:
    points, centers, features = cloud(B, N, 3), cloud(B, M, 3, seed=1), cloud(B, M, C, seed=2)
    with forced(backend, TABLE):
        nearest = three_nn(points, centers)
        out = three_nn_interpolate(points, centers, features)
    _assert_right(nearest, points, centers)
    clouds = torch.arange(B, device=DEVICE)[:, None, None]
    eager = (features[clouds, nearest.center_index] * nearest.weights[..., None]).sum(2)
    assert_as_exact(out, eager, _mean(nearest, features))


@pytest.mark.parametrize("backend", TABLE.runnable(DEVICE.type, torch.float64))
def test_float64_clouds(backend: str) -> None:
    """In float32 the points all lie in one place."""
    points, centers = (1 + 1e-9 * cloud(2, n, 3, seed=n, dtype=torch.float64) for n in (40, 50))
    features = cloud(2, 50, 4, dtype=torch.float64)
    with forced(backend, TABLE):
        index, weights = three_nn(points, centers)
        out = three_nn_interpolate(points, centers, features)
    assert weights.dtype == out.dtype == torch.float64
    sq_dist = (points[:, :, None] - centers[:, None]).square().sum(-1)
    assert torch.equal(index, sq_dist.sort(2).indices[..., :3])
    assert torch.allclose(out, _mean(ThreeNearest(index, weights), features), rtol=1e-14)


@each
def test_golden_values(backend: str) -> None:
    for name, case in golden("three_nn_interpolate").items():
        points, centers, features = (case[key].mT for key in ("points", "centers", "features"))
        with forced(backend, TABLE):
            index, weights = three_nn(points, centers)
            out = three_nn_interpolate(points, centers, features)
        assert torch.equal(index, case["indices"].mT.long()), name
        assert torch.allclose(weights.double(), case["weights"].mT, rtol=1e-5, atol=1e-6), name
        loose = name in {"coincident", "duplicate_centers"}
        rtol, atol = (1e-4, 1e-5) if loose else (1e-5, 1e-6)
        assert torch.allclose(out.double(), case["out"].mT, rtol=rtol, atol=atol), name


@each
def test_equal_distances_go_to_the_lower_index(backend: str) -> None:
    side = torch.arange(5, device=DEVICE, dtype=torch.float32)
    grid = torch.cartesian_prod(side, side, side)[None]
    order = torch.randperm(125, generator=torch.Generator().manual_seed(0)).to(DEVICE)
    for centers in (grid, grid[:, order], torch.cat([grid, grid.flip(1)], dim=1)):
        for points in (grid, grid + 0.5):
            with forced(backend, TABLE):
                index = three_nn(points, centers).center_index
            sq_dist = (points[:, :, None] - centers[:, None]).square().sum(-1)
            lowest = sq_dist.sort(dim=2, stable=True).indices[..., :3]
            assert torch.equal(index, lowest)


@each
def test_copies_of_one_centre(backend: str) -> None:
    centers = torch.ones(1, 70, 3, device=DEVICE)
    with forced(backend, TABLE):
        index, weights = three_nn(cloud(1, 9, 3), centers)
    assert (index == torch.arange(3, device=DEVICE)).all()
    assert torch.allclose(weights, torch.full_like(weights, 1 / 3))


@each
@pytest.mark.parametrize("factor", [2.0**-60, 2.0**-10, 2.0**60])
def test_tiny_and_huge_coordinates(backend: str, factor: float) -> None:
    points, centers = cloud(1, 40, 3), cloud(1, 50, 3, seed=1)
    with forced(backend, TABLE):
        near, plain = three_nn(points * factor, centers * factor), three_nn(points, centers)
    assert torch.equal(near.center_index, plain.center_index)
    if factor != 2.0**-10:  # all distances beyond the same limit
        assert torch.allclose(near.weights, torch.full_like(near.weights, 1 / 3))


@each
@pytest.mark.filterwarnings("ignore:overflow encountered")  # of the interpreter's NumPy
def test_centres_whose_squares_overflow_are_missing(backend: str) -> None:
    centers = cloud(1, 40, 3) * 1e18 + 3e19
    centers[:, 7] = 1
    points = cloud(1, 5, 3)
    with forced(backend, TABLE):
        some = three_nn(points, centers)
        none = three_nn(points - 3e19, centers)
    assert (some.center_index == lengths(7, 0, 0)).all()
    assert (none.center_index == 0).all()
    assert torch.allclose(none.weights, torch.full_like(none.weights, 1 / 3))


@each
def test_far_from_the_origin(backend: str) -> None:
    points, centers = cloud(1, 60, 3) + 1000, cloud(1, 60, 3, seed=1) + 1000
    with forced(backend, TABLE):
        _assert_right(three_nn(points, centers), points, centers)


@each
def test_strides_do_not_matter(backend: str) -> None:
    points, centers, features = cloud(2, 33, 3), cloud(2, 44, 3, seed=1), cloud(2, 44, 6, seed=2)
    with forced(backend, TABLE):
        plain = three_nn_interpolate(points, centers, features)
        other = three_nn_interpolate(strided(points), centers.mT.contiguous().mT, strided(features))
    assert torch.equal(plain, other)


@each
def test_no_clouds_at_all(backend: str) -> None:
    points, centers, features = cloud(0, 5, 3), cloud(0, 7, 3), cloud(0, 7, 4).requires_grad_()
    with forced(backend, TABLE):
        assert three_nn(points, centers).center_index.shape == (0, 5, 3)
        out = three_nn_interpolate(points, centers, features)
        out.sum().backward()
    assert out.shape == (0, 5, 4)
    assert features.grad is not None
    assert features.grad.shape == (0, 7, 4)


@each
@settings(max_examples=10)
@given(seed=st.integers(0, 2**31), turn=rotations(), shift=st.floats(-10, 10))
def test_order_place_and_pose_do_not_matter(
    backend: str, seed: int, turn: Tensor, shift: float
) -> None:
    points, centers = cloud(1, 37, 3, seed=seed), cloud(1, 41, 3, seed=seed + 1)
    features = cloud(1, 41, 2, seed=seed + 2)
    order = torch.randperm(41, generator=torch.Generator().manual_seed(seed)).to(DEVICE)
    with forced(backend, TABLE):
        plain = three_nn(points, centers)
        shuffled = three_nn(points, centers[:, order])
        out = three_nn_interpolate(points, centers, features)
        again = three_nn_interpolate(points, centers[:, order], features[:, order])
    assert torch.equal(order[shuffled.center_index], plain.center_index)
    assert torch.equal(shuffled.weights, plain.weights)
    assert torch.equal(out, again)
    moved = [(each.double() @ turn.T + shift).float() for each in (points, centers)]
    with forced(backend, TABLE):
        _assert_right(three_nn(*moved), *moved)


@each
def test_equal_features_stay_what_they_are(backend: str) -> None:
    """Weights add up to 1, also where there are fewer than three centres."""
    for M in (1, 2, 50):
        features = torch.full((1, M, 3), 7.0, device=DEVICE)
        with forced(backend, TABLE):
            out = three_nn_interpolate(cloud(1, 30, 3), cloud(1, M, 3, seed=1), features)
        assert torch.allclose(out, torch.full_like(out, 7), rtol=1e-6)


@each
def test_gradient(backend: str) -> None:
    points, centers, features = (
        cloud(2, n, c, seed=n, dtype=torch.float64) for n, c in ((9, 3), (5, 3), (5, 4))
    )
    if backend == "triton":  # float32 alone: its gradient is that of the reference
        weight = cloud(2, 9, 4, seed=3)
        grads = []
        for name in ("triton", "reference"):
            mine = features.float().requires_grad_()
            with forced(name, TABLE):
                out = three_nn_interpolate(points.float(), centers.float(), mine)
            (out * weight).sum().backward()
            assert mine.grad is not None
            grads.append(mine.grad)
        ours, theirs = grads
        assert torch.allclose(ours, theirs, rtol=1e-5, atol=1e-6)
        return
    with forced(backend, TABLE):
        assert torch.autograd.gradcheck(
            lambda f: three_nn_interpolate(points, centers, f), (features.requires_grad_(),)
        )


@each
def test_gradient_goes_to_features_alone(backend: str) -> None:
    points, centers = (cloud(1, n, 3).requires_grad_() for n in (9, 5))
    features = cloud(1, 5, 2).requires_grad_()
    with forced(backend, TABLE):
        assert not three_nn(points, centers).weights.requires_grad
        three_nn_interpolate(points, centers, features).sum().backward()
    assert points.grad is None
    assert centers.grad is None
    assert features.grad is not None
    # Each point hands out a weight of 1 for each channel.
    assert features.grad.sum().item() == pytest.approx(18, rel=1e-5)


@each
@pytest.mark.parametrize(
    "dtype", [torch.float16, pytest.param(torch.bfloat16, marks=pytest.mark.gpu)]
)
def test_half_precision_features(backend: str, dtype: torch.dtype) -> None:
    points, centers = cloud(2, 70, 3), cloud(2, 33, 3, seed=1)
    features = cloud(2, 33, 20, seed=2, dtype=dtype).requires_grad_()
    with forced(backend, TABLE):
        nearest = three_nn(points, centers)
        out = three_nn_interpolate(points, centers, features)
    clouds = torch.arange(2, device=DEVICE)[:, None, None]
    held = features.detach()
    eager = (held[clouds, nearest.center_index] * nearest.weights[..., None].to(dtype)).sum(2)
    assert_as_exact(out.detach(), eager, _mean(nearest, held))
    out.sum().backward()
    assert features.grad is not None
    assert features.grad.dtype == dtype


@each
def test_every_run_gives_the_same_bits(backend: str) -> None:
    points, centers, features = cloud(2, 300, 3), cloud(2, 70, 3, seed=1), cloud(2, 70, 9, seed=2)

    def run() -> tuple[Tensor, ...]:
        mine = features.clone().requires_grad_()
        with forced(backend, TABLE):
            out = three_nn_interpolate(points, centers, mine)
        out.square().sum().backward()
        assert mine.grad is not None
        return out, mine.grad

    assert_repeatable(run)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tree_agrees_with_another_library(dtype: torch.dtype) -> None:
    points, centers = (cloud(2, n, 3, seed=n, dtype=dtype).cpu() for n in (5000, 1500))
    with forced("kd_tree", TABLE):
        index = three_nn(points, centers).center_index
    for b in range(2):
        tree = cKDTree(centers[b].double().numpy())
        assert np.array_equal(index[b].numpy(), tree.query(points[b].double().numpy(), k=3)[1])


def test_tree_bears_a_flood_of_copies() -> None:
    """100,000 equal points take SciPy's tree half a minute."""
    centers = torch.cat([torch.zeros(1, 100_000, 3), cloud(1, 10, 3).cpu()], dim=1)
    with forced("kd_tree", TABLE):
        index = three_nn(cloud(1, 50, 3).cpu() / 100, centers).center_index
    assert (index == torch.arange(3)).all()


@each
def test_bad_input(backend: str) -> None:
    points, centers, features = cloud(2, 5, 3), cloud(2, 6, 3), cloud(2, 6, 4)
    with forced(backend, TABLE):
        with refused(ShapeError, "points: [B, N, 3]", "[2, 5, 2]"):
            three_nn(points[..., :2], centers)
        with refused(ShapeError, "centers: [B, M, 3] with B = 2", "[1, 6, 3]"):
            three_nn(points, centers[:1])
        with refused(ShapeError, "centers:", "[2, 0, 3]"):
            three_nn(points, centers[:, :0])
        with refused(ShapeError, "features: [B, M, C] with B = 2, M = 6", "[2, 5, 4]"):
            three_nn_interpolate(points, centers, features[:, :5])
        with refused(ShapeError, "features:", "[6, 4]"):
            three_nn_interpolate(points, centers, features[0])
        with refused(ShapeError, "features:", "[2, 6, 0]"):
            three_nn_interpolate(points, centers, features[..., :0])
        with refused(ValueError, "points: torch.float32 or torch.float64", "torch.float16"):
            three_nn(points.half(), centers.half())
        with refused(ValueError, "centers:", "torch.float32", "torch.float64"):
            three_nn_interpolate(points, centers.double(), features)
        with refused(ValueError, "features: torch.float32", "torch.float64"):
            three_nn_interpolate(points, centers, features.double())
        with refused(ValueError, "centers: device", "meta"):
            three_nn(points, centers.to("meta"))
        with refused(ValueError, "features: device", "meta"):
            three_nn_interpolate(points, centers, features.to("meta"))
        with refused(ValueError, "points: finite", "6 that"):
            three_nn(points.index_fill(1, lengths(2), torch.nan), centers)
        with refused(ValueError, "centers: finite"):
            three_nn_interpolate(points, centers / 0, features)


@each
def test_features_may_hold_anything(backend: str) -> None:
    features = cloud(1, 6, 2)
    features[:, 0] = torch.nan
    centers = torch.arange(18.0, device=DEVICE).view(1, 6, 3)
    with forced(backend, TABLE):
        out = three_nn_interpolate(centers[:, [0, 5]], centers, features)
    assert torch.isnan(out[0, 0]).all()
    assert torch.isfinite(out[0, 1]).all()


def test_an_unknown_backend_is_refused() -> None:
    with refused(BackendError, "three_nn_interpolate", "'cuda'"), forced("cuda", TABLE):
        three_nn(cloud(1, 2, 3), cloud(1, 2, 3))


def test_trusted_values_are_not_read() -> None:
    points = cloud(1, 3, 3)
    points[0, 1] = torch.nan
    with trust_values(), forced("reference", TABLE):
        assert three_nn(points, cloud(1, 4, 3)).center_index.shape == (1, 3, 3)
