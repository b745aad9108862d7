import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from kernels.checks import trust_values
from kernels.errors import BackendError, ShapeError
from kernels.voxelize import TABLE, average_voxelize, voxel_coordinates
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


def _cells(B: int, N: int, R: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(R**3, (B, N), generator=generator).to(DEVICE)


def _exact(features: Tensor, cell: Tensor, R: int) -> tuple[Tensor, Tensor]:
    """Means and counts in float64 by a matrix of memberships: [B, C, R, R, R], [B, R, R, R]."""
    member = (cell[:, None] == torch.arange(R**3, device=DEVICE)[:, None]).double()  # [B, R^3, N]
    count = member.sum(dim=2)
    mean = member @ features.double() / count.clamp(min=1)[..., None]
    return mean.mT.reshape(len(cell), -1, R, R, R), count.view(-1, R, R, R)


@each
def test_hand_made(backend: str) -> None:
    features = torch.tensor([[[1.0, 10], [2, 20], [4, 40], [8, 80]]], device=DEVICE)
    cell = torch.tensor([[7, 2, 7, -1]], device=DEVICE)
    with forced(backend, TABLE):
        mean, count = average_voxelize(features, cell, 2)
    assert mean.shape == (1, 2, 2, 2, 2)
    assert mean[0, 0].flatten().tolist() == [0, 0, 2, 0, 0, 0, 0, 2.5]
    assert mean[0, 1].flatten().tolist() == [0, 0, 20, 0, 0, 0, 0, 25]
    assert count.flatten().tolist() == [0, 0, 1, 0, 0, 0, 0, 2]
    assert mean[0, 0, 0, 1, 0] == 2  # cell 2 is x 0, y 1, z 0
    assert count.dtype == torch.int32


@each
@pytest.mark.parametrize(
    ("B", "N", "C", "R"),
    [(1, 1, 1, 1), (2, 63, 5, 3), (1, 1001, 3, 6), (3, 128, 64, 4), (1, 300, 100, 2)],
)
def test_against_float64(backend: str, B: int, N: int, C: int, R: int) -> None:
    features, cell = cloud(B, N, C), _cells(B, N, R)
    with forced(backend, TABLE):
        mean, count = average_voxelize(features, cell, R)
    with forced("reference", TABLE):
        eager, _ = average_voxelize(features, cell, R)
    truth, truth_count = _exact(features, cell, R)
    assert_as_exact(mean, eager, truth)
    assert torch.equal(count.double(), truth_count)
    assert mean.is_contiguous(memory_format=torch.channels_last_3d)


@pytest.mark.parametrize("backend", TABLE.runnable(DEVICE.type, torch.float64))
def test_float64_features(backend: str) -> None:
    features, cell = cloud(2, 100, 4, dtype=torch.float64), _cells(2, 100, 3)
    with forced(backend, TABLE):
        mean = average_voxelize(features, cell, 3).mean
    assert mean.dtype == torch.float64
    assert torch.allclose(mean, _exact(features, cell, 3)[0], rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("backend", TABLE.runnable(DEVICE.type, torch.float16))
@pytest.mark.parametrize(
    "dtype", [torch.float16, pytest.param(torch.bfloat16, marks=pytest.mark.gpu)]
)
def test_half_precision_is_rounded_once(backend: str, dtype: torch.dtype) -> None:
    features, cell = cloud(1, 200, 7, dtype=dtype), _cells(1, 200, 2)
    with forced(backend, TABLE):
        mean = average_voxelize(features, cell, 2).mean
    truth = _exact(features, cell, 2)[0]
    assert mean.dtype == dtype
    assert torch.allclose(mean.double(), truth, rtol=torch.finfo(dtype).eps, atol=1e-6)


@each
def test_golden_values(backend: str) -> None:
    for name, case in golden("avg_voxelize").items():
        R = int(case["resolution"])
        x, y, z = case["coords"].long().unbind(dim=1)
        cell = (x * R + y) * R + z
        assert torch.equal(cell, case["flat_index"].long())
        with forced(backend, TABLE):
            mean, count = average_voxelize(case["features"].mT, cell, R)
        assert torch.equal(count, case["count"]), name
        assert torch.allclose(mean.double(), case["out"], rtol=1e-5, atol=1e-6), name


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_golden_coordinates(dtype: torch.dtype) -> None:
    rtol, atol = (1e-5, 1e-6) if dtype == torch.float32 else (1e-12, 1e-12)
    cases = golden("voxelization")
    for name, case in cases.items():
        if "vox_coords" not in case:
            continue
        R = int(case["resolution"])
        points, normalize = case["coords"].mT.to(dtype), bool(case["normalize"])
        coords, cell = voxel_coordinates(points, R, normalize, float(case["eps"]))
        assert coords.dtype == dtype
        assert torch.allclose(coords.mT.double(), case["norm_coords"], rtol=rtol, atol=atol), name
        x, y, z = case["vox_coords"].long().unbind(dim=1)
        assert torch.equal(cell, (x * R + y) * R + z), name
    point = cases["single_point_eps0"]["coords"].mT
    with refused(ValueError, "points: two distinct points", "eps is 0"):
        voxel_coordinates(point, 8)
    assert set(cases) >= {"random", "half_cells", "coplanar", "random_nonorm"}


def test_coordinates_midway_go_to_the_even_cell() -> None:
    places = torch.tensor([0.0, 0.5, 1.5, 2.5, 3.5, 4.0], device=DEVICE)  # in cells, of R = 4
    points = (places / 4 * 2 - 1)[None, :, None].expand(1, -1, 3)
    both = torch.cat([points, -points], dim=1)  # whose mean is 0
    coords, cell = voxel_coordinates(both, 4, normalize=False)
    assert coords[0, :6, 0].tolist() == [0.0, 0.5, 1.5, 2.5, 3, 3]
    assert (cell[0, :6] % 4).tolist() == [0, 0, 2, 2, 3, 3]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("place", [0.1, 1e3, -7e11])
def test_clouds_of_one_place_have_no_extent(dtype: torch.dtype, place: float) -> None:
    points = torch.full((2, 7, 3), place, device=DEVICE, dtype=dtype)
    points[0] = cloud(7, 3)
    with refused(ValueError, "points: two distinct points", "got 1 of one place"):
        voxel_coordinates(points, 8)
    apart = voxel_coordinates(points, 8, eps=abs(place))
    assert torch.allclose(apart.coords[1], torch.full((), 4.0, device=DEVICE, dtype=dtype))


@pytest.mark.parametrize("factor", [1e-38, 1e-22, 1e3, 1e37])
def test_size_does_not_matter_to_normalized_clouds(factor: float) -> None:
    points = cloud(2, 50, 3)
    plain, scaled = voxel_coordinates(points, 8), voxel_coordinates(points * factor, 8)
    assert torch.allclose(scaled.coords, plain.coords, rtol=1e-5)


def test_an_extent_beyond_the_type_is_refused() -> None:
    points = torch.tensor([[[3e38, 0, 0], [-3e38, 0, 0], [-3e38, 1, 1]]], device=DEVICE)
    with refused(ValueError, "points: an extent", "torch.float32", "infinite"):
        voxel_coordinates(points, 8)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), turn=rotations(), shift=st.floats(-100, 100))
def test_normalized_clouds_fill_the_grid_wherever_they_are(
    seed: int, turn: Tensor, shift: float
) -> None:
    points = cloud(1, 41, 3, seed=seed, dtype=torch.float64)
    plain, moved = voxel_coordinates(points, 16), voxel_coordinates(points + shift, 16)
    assert torch.allclose(moved.coords, plain.coords, atol=1e-9)
    turned = voxel_coordinates(points @ turn.T, 16).coords
    inside = ((plain.coords % 15) != 0).all(dim=-1) & ((turned % 15) != 0).all(dim=-1)
    middle = torch.full((3,), 8.0, device=DEVICE, dtype=torch.float64)
    reach = (plain.coords - middle).norm(dim=-1)[inside]
    assert torch.allclose((turned - middle).norm(dim=-1)[inside], reach, atol=1e-9)
    assert reach.max() <= 8 * (1 + 1e-12)
    x, y, z = (plain.cell // 256, plain.cell // 16 % 16, plain.cell % 16)
    assert (torch.stack([x, y, z], dim=-1) - plain.coords).abs().max() <= 0.5


@each
def test_ragged_clouds_are_each_their_own(backend: str) -> None:
    points, features = cloud(3, 70, 3), cloud(3, 70, 5, seed=1)
    counts = lengths(70, 2, 33)
    for b in range(3):  # whatever padding holds
        points[b, counts[b] :] = torch.inf
        features[b, counts[b] :] = torch.nan
    coords, cell = voxel_coordinates(points, 4, lengths=counts)
    with forced(backend, TABLE):
        mean, count = average_voxelize(features, cell, 4)
        for b in range(3):
            n = int(counts[b])
            alone = voxel_coordinates(points[b : b + 1, :n], 4)
            assert torch.allclose(coords[b, :n], alone.coords[0], rtol=1e-6, atol=1e-6)
            assert torch.equal(cell[b, :n], alone.cell[0])
            assert (coords[b, n:] == 0).all()
            assert (cell[b, n:] == -1).all()
            its_mean, its_count = average_voxelize(features[b : b + 1, :n], alone.cell, 4)
            assert torch.equal(mean[b], its_mean[0])
            assert torch.equal(count[b], its_count[0])
            assert count[b].sum() == n


@each
def test_clouds_of_padding_alone_leave_the_grid_empty(backend: str) -> None:
    with forced(backend, TABLE):
        mean, count = average_voxelize(
            torch.full((1, 9, 2), torch.nan, device=DEVICE), _cells(1, 9, 1) - 1, 3
        )
    assert (mean == 0).all()
    assert (count == 0).all()


@each
def test_all_points_in_one_cell(backend: str) -> None:
    features = cloud(1, 301, 3) + 1000
    cell = torch.full((1, 301), 26, device=DEVICE)
    with forced(backend, TABLE):
        mean, count = average_voxelize(features, cell, 3)
    assert torch.allclose(
        mean[0, :, 2, 2, 2].double(), features.double().mean(dim=(0, 1)), rtol=1e-5
    )
    assert count[0, 2, 2, 2] == 301
    assert mean.count_nonzero() == 3


@each
@pytest.mark.parametrize("factor", [1e-40, 1e-20, 1e30])
def test_tiny_and_huge_features(backend: str, factor: float) -> None:
    features, cell = cloud(1, 60, 3) * factor, _cells(1, 60, 2)
    with forced(backend, TABLE):
        mean = average_voxelize(features, cell, 2).mean
    assert torch.allclose(mean.double(), _exact(features, cell, 2)[0], rtol=1e-5, atol=1e-43)


@each
def test_equal_features_keep_their_value(backend: str) -> None:
    features = cloud(1, 1, 8).expand(1, 64, 8)
    with forced(backend, TABLE):
        mean = average_voxelize(features, _cells(1, 64, 1), 1).mean
    assert torch.allclose(mean.flatten(), features[0, 0], rtol=1e-6)


@each
def test_strides_do_not_matter(backend: str) -> None:
    features, cell = cloud(2, 33, 6), _cells(2, 33, 3)
    with forced(backend, TABLE):
        plain = average_voxelize(features, cell, 3)
        other = average_voxelize(strided(features), strided(cell), 3)
        transposed = average_voxelize(features.mT.contiguous().mT, cell, 3)
    for a, b, c in zip(plain, other, transposed, strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a, c)


def test_no_clouds_at_all() -> None:
    coords, cell = voxel_coordinates(cloud(0, 5, 3), 4)
    assert coords.shape == (0, 5, 3)
    for backend in TABLE.runnable(DEVICE.type):
        with forced(backend, TABLE):
            mean, count = average_voxelize(cloud(0, 5, 2), cell, 4)
        assert mean.shape == (0, 2, 4, 4, 4)
        assert count.shape == (0, 4, 4, 4)


@each
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_order_of_points_does_not_matter(backend: str, seed: int) -> None:
    features, cell = cloud(2, 77, 3, seed=seed), _cells(2, 77, 3, seed)
    order = torch.randperm(77, generator=torch.Generator().manual_seed(seed)).to(DEVICE)
    with forced(backend, TABLE):
        plain = average_voxelize(features, cell, 3)
        shuffled = average_voxelize(features[:, order], cell[:, order], 3)
    assert torch.equal(plain.counts, shuffled.counts)
    assert torch.allclose(plain.mean, shuffled.mean, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("most_pairs", [0, 1 << 30])
def test_ranking_and_sorting_give_the_same_bits(
    most_pairs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kernels.voxelize import kernel

    monkeypatch.setattr(kernel, "_MOST_PAIRS", most_pairs)
    features, cell = cloud(2, 257, 4), _cells(2, 257, 3) - 1  # some of it padding
    order = kernel._order(cell, 27)
    assert order.dtype == torch.int64
    assert torch.equal(order, cell.argsort(dim=1, stable=True))
    with forced("triton", TABLE):
        ours = average_voxelize(features, cell, 3)
    # Points of a cell are added in their order on the CPU too, so that there is one answer.
    plain = ours.mean.cpu(), ours.counts.cpu()
    with forced("reference", TABLE):
        theirs = average_voxelize(features.cpu(), cell.cpu(), 3)
    assert torch.equal(plain[0], theirs.mean)
    assert torch.equal(plain[1], theirs.counts)


@each
def test_gradient(backend: str) -> None:
    features = cloud(2, 40, 3, dtype=torch.float64)
    cell = _cells(2, 40, 2) - 1
    if backend == "triton":  # float32 alone: its gradient is that of the reference
        weight = cloud(2, 3, 2, 2, 2, seed=1, dtype=torch.float64)
        gradients = []
        for name, dtype in (("triton", torch.float32), ("reference", torch.float64)):
            leaf = features.to(dtype).requires_grad_()
            with forced(name, TABLE):
                (average_voxelize(leaf, cell, 2).mean * weight.to(dtype)).sum().backward()
            assert leaf.grad is not None
            gradients.append(leaf.grad.double())
        assert gradients[1].abs().max() > 0.1
        assert torch.allclose(gradients[0], gradients[1], rtol=1e-5, atol=1e-6)
        return
    with forced(backend, TABLE):
        assert torch.autograd.gradcheck(
            lambda x: average_voxelize(x, cell, 2).mean, (features.requires_grad_(),)
        )


def test_padding_gets_no_gradient_and_coordinates_are_detached() -> None:
    points = cloud(1, 4, 3).requires_grad_()
    coords, _ = voxel_coordinates(points, 4)
    assert not coords.requires_grad
    features = cloud(1, 4, 2).requires_grad_()
    cell = torch.tensor([[0, 0, -1, 5]], device=DEVICE)
    mean, count = average_voxelize(features, cell, 2)
    assert not count.requires_grad
    mean.sum().backward()
    assert features.grad is not None
    assert features.grad[0, :, 0].tolist() == [0.5, 0.5, 0, 1]


@each
def test_every_run_gives_the_same_bits(backend: str) -> None:
    features, cell = cloud(2, 300, 20), _cells(2, 300, 3)

    def run() -> tuple[Tensor, ...]:
        leaf = features.clone().requires_grad_()
        with forced(backend, TABLE):
            found = average_voxelize(leaf, cell, 3)
        found.mean.square().sum().backward()
        assert leaf.grad is not None
        return (*found, leaf.grad)

    assert_repeatable(run)


@each
def test_bad_input(backend: str) -> None:
    features, cell = cloud(2, 5, 3), _cells(2, 5, 2)
    with forced(backend, TABLE):
        with refused(ShapeError, "features: [B, N, C]", "[5, 3]"):
            average_voxelize(features[0], cell, 2)
        with refused(ShapeError, "features:", "[2, 0, 3]"):
            average_voxelize(features[:, :0], cell[:, :0], 2)
        with refused(ShapeError, "features:", "[2, 5, 0]"):
            average_voxelize(features[..., :0], cell, 2)
        with refused(ShapeError, "cell: [B, N] with B = 2, N = 5", "[2, 4]"):
            average_voxelize(features, cell[:, :4], 2)
        with refused(ValueError, "features:", "torch.bfloat16", "torch.int64"):
            average_voxelize(features.long(), cell, 2)
        with refused(ValueError, "cell: torch.int64", "torch.int32"):
            average_voxelize(features, cell.int(), 2)
        with refused(ValueError, "cell: device", "meta"):
            average_voxelize(features, cell.to("meta"), 2)
        with refused(ValueError, "resolution: 1 to 1024", "0"):
            average_voxelize(features, cell, 0)
        with refused(ValueError, "cell: values of -1 to 7", "8"):
            average_voxelize(features, cell.index_fill(1, lengths(2), 8), 2)
        with refused(ValueError, "cell: values of -1 to 7", "-2"):
            average_voxelize(features, cell.index_fill(1, lengths(2), -2), 2)
        with refused(ValueError, "features: finite", "6 that"):
            average_voxelize(features.index_fill(1, lengths(2), torch.nan), cell, 2)
        with refused(ValueError, "features: finite"):
            average_voxelize(features / 0, cell, 2)


def test_bad_points() -> None:
    points = cloud(2, 5, 3)
    with refused(ShapeError, "points: [B, N, 3]", "[2, 5, 2]"):
        voxel_coordinates(points[..., :2], 4)
    with refused(ShapeError, "points:", "[2, 0, 3]"):
        voxel_coordinates(points[:, :0], 4)
    with refused(ValueError, "points:", "torch.float32", "torch.float16"):
        voxel_coordinates(points.half(), 4)
    with refused(ValueError, "resolution: 1 to 1024", "1025"):
        voxel_coordinates(points, 1025)
    with refused(ValueError, "eps:", "-1"):
        voxel_coordinates(points, 4, eps=-1)
    with refused(ValueError, "eps:", "nan"):
        voxel_coordinates(points, 4, eps=torch.nan)
    with refused(ValueError, "points: finite", "6 that"):
        voxel_coordinates(points.index_fill(1, lengths(2), torch.nan), 4)
    with refused(ValueError, "lengths: values of 1 to 5", "6"):
        voxel_coordinates(points, 4, lengths=lengths(5, 6))
    with refused(ShapeError, "lengths: [2]", "[1]"):
        voxel_coordinates(points, 4, lengths=lengths(5))


def test_an_unknown_backend_is_refused() -> None:
    with refused(BackendError, "voxelize", "reference", "'cuda'"), forced("cuda", TABLE):
        average_voxelize(cloud(1, 2, 3), _cells(1, 2, 2), 2)


@each
def test_trusted_values_are_not_read(backend: str) -> None:
    features = cloud(1, 4, 3)
    features[0, 1] = torch.inf
    with trust_values(), forced(backend, TABLE):
        mean = average_voxelize(features, lengths(0, 3, 3, 1)[None], 2).mean
    assert torch.isinf(mean).sum() == 3
    with trust_values():  # 0 / 0, as published
        assert torch.isnan(voxel_coordinates(torch.ones(1, 3, 3, device=DEVICE), 2).coords).all()
