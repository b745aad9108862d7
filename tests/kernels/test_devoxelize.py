import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from kernels.checks import trust_values
from kernels.devoxelize import TABLE, corners, devoxelize
from kernels.errors import BackendError, ShapeError
from kernels.voxelize import average_voxelize, voxel_coordinates
from tests.kernels.kit import (
    DEVICE,
    assert_as_exact,
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


def _coords(B: int, N: int, R: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    """Uniform in the grid; every fourth point has whole coordinates, the last faces among them."""
    generator = torch.Generator().manual_seed(seed)
    coords = torch.rand(B, N, 3, generator=generator, dtype=dtype) * (R - 1)
    coords[:, ::4] = coords[:, ::4].round()
    coords[:, ::8, 1] = R - 1
    return coords.to(DEVICE)


def _exact(grid: Tensor, coords: Tensor) -> Tensor:
    """[B, N, C] in float64: a tent about each point, along each axis, over the whole grid."""
    cells = torch.arange(grid.shape[2], device=DEVICE, dtype=torch.float64)
    tents = (1 - (coords.double()[..., None] - cells).abs()).clamp(min=0)  # [B, N, 3, R]
    x, y, z = tents.unbind(dim=2)
    return torch.einsum("bcxyz,bnx,bny,bnz->bnc", grid.double(), x, y, z)


@each
def test_hand_made(backend: str) -> None:
    grid = torch.zeros(1, 2, 3, 3, 3, device=DEVICE)
    grid[0, 0, 1, 0, 2] = 8
    grid[0, 1, 1, 1, 2] = 4
    coords = torch.tensor(
        [[[1.0, 0, 2], [0.5, 0, 2], [1.25, 0.5, 1.5], [2, 2, 2], [1, 1, 1.75]]], device=DEVICE
    )
    with forced(backend, TABLE):
        found = devoxelize(grid, coords)
    assert found.tolist() == [[[8, 0], [4, 0], [1.5, 0.75], [0, 0], [0, 3]]]


@each
@pytest.mark.parametrize(
    ("B", "N", "C", "R"),
    [(1, 1, 1, 1), (2, 63, 5, 3), (1, 1001, 3, 6), (3, 40, 64, 4), (1, 33, 100, 2)],
)
def test_against_float64(backend: str, B: int, N: int, C: int, R: int) -> None:
    grid, coords = cloud(B, C, R, R, R), _coords(B, N, R)
    with forced(backend, TABLE):
        found = devoxelize(grid, coords)
    with forced("reference", TABLE):
        eager = devoxelize(grid, coords)
    assert_as_exact(found, eager, _exact(grid, coords))


@pytest.mark.parametrize("backend", TABLE.runnable(DEVICE.type, torch.float64))
def test_float64_grids(backend: str) -> None:
    grid, coords = cloud(2, 4, 5, 5, 5, dtype=torch.float64), _coords(2, 50, 5, dtype=torch.float64)
    with forced(backend, TABLE):
        found = devoxelize(grid, coords)
    assert found.dtype == torch.float64
    assert torch.allclose(found, _exact(grid, coords), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("backend", TABLE.runnable(DEVICE.type, torch.float16))
@pytest.mark.parametrize(
    "dtype", [torch.float16, pytest.param(torch.bfloat16, marks=pytest.mark.gpu)]
)
def test_half_precision_is_rounded_once(backend: str, dtype: torch.dtype) -> None:
    grid, coords = cloud(1, 7, 4, 4, 4, dtype=dtype), _coords(1, 90, 4)
    with forced(backend, TABLE):
        found = devoxelize(grid, coords)
    assert found.dtype == dtype
    truth = _exact(grid, coords)
    assert torch.allclose(found.double(), truth, rtol=torch.finfo(dtype).eps, atol=1e-6)


@each
def test_golden_values(backend: str) -> None:
    for name, case in golden("trilinear_devoxelize").items():
        R = int(case["resolution"])
        coords = case["coords"].mT.contiguous()
        index, weight = corners(coords, R)
        assert torch.equal(index.mT, case["corner_index"].long()), name
        assert torch.allclose(weight.mT.double(), case["corner_weight"], rtol=1e-5, atol=1e-6)
        with forced(backend, TABLE):
            found = devoxelize(case["features"], coords)
        assert torch.allclose(found.mT.double(), case["out"], rtol=1e-5, atol=1e-6), name


def test_golden_values_in_float64() -> None:
    for name, case in golden("trilinear_devoxelize").items():
        with forced("reference", TABLE):
            found = devoxelize(case["features"].double(), case["coords"].double().mT)
        assert torch.allclose(found.mT, case["out"], rtol=1e-12, atol=1e-12), name


@each
def test_agrees_with_grid_sample(backend: str) -> None:
    R = 9
    grid, coords = cloud(2, 6, R, R, R), _coords(2, 100, R)
    with forced(backend, TABLE):
        found = devoxelize(grid, coords)
    places = (coords.double() * (2 / (R - 1)) - 1).flip(-1)[:, :, None, None]
    theirs = F.grid_sample(grid.double(), places, mode="bilinear", align_corners=True)
    assert torch.allclose(found.double(), theirs[..., 0, 0].mT, rtol=1e-5, atol=1e-6)


@each
def test_on_the_lattice_cells_come_back_untouched(backend: str) -> None:
    """Whole coordinates read their own cell alone: an infinite neighbour would show."""
    R = 4
    grid = cloud(1, 3, R, R, R)
    side = torch.arange(R, device=DEVICE, dtype=torch.float32)
    lattice = torch.cartesian_prod(side, side, side)[None]
    with forced(backend, TABLE):
        assert torch.equal(devoxelize(grid, lattice)[0], grid[0].flatten(1).T)
        grid[0, :, 1, 1, 1] = torch.inf
        with trust_values():
            found = devoxelize(grid, lattice[:, [0, 20, 22, 37, 63]])  # 000, 110, 112, 211, 333
    assert torch.isfinite(found).all()


@each
def test_linear_fields_are_reproduced(backend: str) -> None:
    R = 7
    side = torch.arange(R, device=DEVICE, dtype=torch.float32)
    grid = torch.stack(torch.meshgrid(side, side, side, indexing="ij"))[None]
    coords = _coords(1, 200, R)
    with forced(backend, TABLE):
        found = devoxelize(grid, coords)
    assert torch.allclose(found, coords, rtol=1e-6, atol=1e-6)


@each
@pytest.mark.parametrize("factor", [1e-40, 1e-20, 1e37])
def test_tiny_and_huge_features(backend: str, factor: float) -> None:
    grid, coords = cloud(1, 3, 4, 4, 4) * factor, _coords(1, 60, 4)
    with forced(backend, TABLE):
        found = devoxelize(grid, coords)
    truth = _exact(grid, coords)
    assert torch.allclose(found.double(), truth, rtol=1e-5, atol=max(1e-6 * factor, 1e-44))


@each
def test_equal_points_get_equal_features(backend: str) -> None:
    grid, coords = cloud(1, 5, 4, 4, 4), _coords(1, 1, 4, seed=3).expand(1, 37, 3)
    with forced(backend, TABLE):
        found = devoxelize(grid, coords)
    assert (found == found[:, :1]).all()


@each
def test_strides_do_not_matter(backend: str) -> None:
    grid, coords = cloud(2, 6, 4, 4, 4), _coords(2, 33, 4)
    with forced(backend, TABLE):
        plain = devoxelize(grid, coords)
        for other in (
            grid.contiguous(memory_format=torch.channels_last_3d),
            strided(grid),
            grid.transpose(2, 4).contiguous().transpose(2, 4),
        ):
            assert torch.equal(devoxelize(other, coords), plain)
        assert torch.equal(devoxelize(grid, strided(coords)), plain)
        assert torch.equal(devoxelize(grid, coords.mT.contiguous().mT), plain)


@each
def test_no_clouds_at_all(backend: str) -> None:
    with forced(backend, TABLE):
        assert devoxelize(cloud(0, 4, 3, 3, 3), cloud(0, 5, 3)).shape == (0, 5, 4)


@each
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31), axes=st.permutations([0, 1, 2]))
def test_order_of_points_and_axes_does_not_matter(backend: str, seed: int, axes: list[int]) -> None:
    grid, coords = cloud(1, 3, 4, 4, 4, seed=seed), _coords(1, 41, 4, seed % 1000)
    order = torch.randperm(41, generator=torch.Generator().manual_seed(seed)).to(DEVICE)
    with forced(backend, TABLE):
        plain = devoxelize(grid, coords)
        shuffled = devoxelize(grid, coords[:, order])
        turned = devoxelize(grid.permute(0, 1, *(2 + axis for axis in axes)), coords[..., axes])
    assert torch.equal(shuffled, plain[:, order])
    assert torch.allclose(turned, plain, rtol=1e-5, atol=1e-6)


@each
def test_undoes_a_voxelization_of_points_apart(backend: str) -> None:
    points, features = cloud(2, 12, 3), cloud(2, 12, 5, seed=1)
    coords, cell = voxel_coordinates(points, 16)
    grid, count = average_voxelize(features, cell, 16)
    with forced(backend, TABLE):
        found = devoxelize(grid, coords.round())
    alone = torch.gather(count.flatten(1), 1, cell) == 1
    assert alone.sum() > 12
    assert torch.equal(found[alone], features[alone])


@each
def test_gradient(backend: str) -> None:
    grid = cloud(2, 3, 3, 3, 3, dtype=torch.float64)
    coords = _coords(2, 20, 3, dtype=torch.float64)
    if backend == "triton":  # float32 alone: its gradient is that of the reference
        weight = cloud(2, 20, 3, seed=1, dtype=torch.float64)
        gradients = []
        for name, dtype in (("triton", torch.float32), ("reference", torch.float64)):
            leaf = grid.to(dtype).requires_grad_()
            with forced(name, TABLE):
                (devoxelize(leaf, coords.to(dtype)) * weight.to(dtype)).sum().backward()
            assert leaf.grad is not None
            gradients.append(leaf.grad.double())
        assert gradients[1].abs().max() > 0.1
        assert torch.allclose(gradients[0], gradients[1], rtol=1e-5, atol=1e-6)
        return
    with forced(backend, TABLE):
        assert torch.autograd.gradcheck(
            lambda x: devoxelize(x, coords), (grid.requires_grad_(),), fast_mode=False
        )


def test_gradient_of_half_precision_is_summed_in_float32() -> None:
    """Of 3,000 points in one cell: float16 stops counting at 2,048."""
    grid = torch.zeros(1, 1, 2, 2, 2, device=DEVICE, dtype=torch.float16, requires_grad=True)
    coords = torch.zeros(1, 3000, 3, device=DEVICE)
    with forced("reference", TABLE):
        devoxelize(grid, coords).sum().backward()
    assert grid.grad is not None
    assert grid.grad.flatten().tolist() == [3000, 0, 0, 0, 0, 0, 0, 0]


@each
def test_coordinates_get_no_gradient(backend: str) -> None:
    coords = _coords(1, 5, 3).requires_grad_()
    grid = cloud(1, 2, 3, 3, 3).requires_grad_()
    with forced(backend, TABLE):
        devoxelize(grid, coords).sum().backward()
    assert coords.grad is None
    assert grid.grad is not None
    assert grid.grad.sum().item() == pytest.approx(10)


@each
def test_every_run_gives_the_same_bits(backend: str) -> None:
    grid, coords = cloud(2, 20, 4, 4, 4), _coords(2, 200, 4)

    def run() -> tuple[Tensor, ...]:
        leaf = grid.clone().requires_grad_()
        with forced(backend, TABLE):
            found = devoxelize(leaf, coords)
        found.square().sum().backward()
        assert leaf.grad is not None
        return found, leaf.grad

    assert_repeatable(run)


@each
def test_bad_input(backend: str) -> None:
    grid, coords = cloud(2, 4, 3, 3, 3), _coords(2, 5, 3)
    with forced(backend, TABLE):
        with refused(ShapeError, "grid: [B, C, R, R, R]", "[2, 4, 3, 3]"):
            devoxelize(grid[..., 0], coords)
        with refused(ShapeError, "grid: [B, C, R, R, R]", "[2, 4, 3, 3, 2]"):
            devoxelize(grid[..., :2], coords)
        with refused(ShapeError, "coords: [B, N, 3] with B = 2", "[1, 5, 3]"):
            devoxelize(grid, coords[:1])
        with refused(ShapeError, "coords:", "[2, 0, 3]"):
            devoxelize(grid, coords[:, :0])
        with refused(ValueError, "grid:", "torch.bfloat16", "torch.int64"):
            devoxelize(grid.long(), coords)
        with refused(ValueError, "coords: torch.float32", "torch.float64"):
            devoxelize(grid, coords.double())
        with refused(ValueError, "coords: torch.float64", "torch.float32"):
            devoxelize(grid.double(), coords)
        with refused(ValueError, "coords: device", "meta"):
            devoxelize(grid, coords.to("meta"))
        with refused(ValueError, "coords: finite", "6 that"):
            devoxelize(grid, coords.index_fill(1, lengths(2), torch.nan))
        with refused(ValueError, "grid: finite"):
            devoxelize(grid / 0, coords)
        with refused(ValueError, "coords: values of 0 to 2", "2.00000024"):
            devoxelize(grid, coords.index_fill(1, lengths(2), 2.0000002))
        with refused(ValueError, "coords: values of 0 to 2", "-9.31322575e-10"):
            devoxelize(grid, coords.index_fill(1, lengths(2), -(2**-30)))


def test_an_unknown_backend_is_refused() -> None:
    with refused(BackendError, "devoxelize", "bag", "'cuda'"), forced("cuda", TABLE):
        devoxelize(cloud(1, 2, 3, 3, 3), _coords(1, 2, 3))


def test_kernel_reads_nothing_outside_whatever_it_trusts() -> None:
    grid = cloud(1, 2, 3, 3, 3)
    coords = torch.tensor([[[-5.0, 0, 0], [0, 40, 0], [1, 0, 50]]], device=DEVICE)
    with trust_values(), forced("triton", TABLE):
        found = devoxelize(grid, coords)
    faces = torch.stack([grid[0, :, 0, 0, 0], grid[0, :, 0, 2, 0], grid[0, :, 1, 0, 2]])
    assert torch.allclose(found[0], faces, rtol=1e-4, atol=1e-4)
