from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates
from torch import Tensor
from torch.nn import functional as F

from kernels.checks import trust_values
from kernels.errors import BackendError, ShapeError
from kernels.trilinear_sample import TABLE, library, trilinear_sample
from tests.kernels.kit import (
    DEVICE,
    assert_repeatable,
    cloud,
    each_backend,
    forced,
    refused,
    relative_error,
    strided,
)
from tests.kernels.parity import golden

each = each_backend(TABLE)
each_way = pytest.mark.parametrize(
    ("align_corners", "padding"),
    [(True, "border"), (True, "zeros"), (False, "border"), (False, "zeros")],
)
Padding = Literal["border", "zeros"]


def _places(*shape: int, seed: int = 1, dtype: torch.dtype = torch.float32) -> Tensor:
    """Points of which some are beyond the grid."""
    return (cloud(*shape, 3, seed=seed, dtype=torch.float64) * 0.7).to(dtype)


@each
def test_hand_made(backend: str) -> None:
    grid = torch.arange(12, dtype=torch.float32, device=DEVICE).view(1, 1, 2, 2, 3)
    points = torch.tensor(
        [[[-1.0, -1, -1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1], [0, 0, 0], [0.5, -1, 0]]],
        device=DEVICE,
    )
    with forced(backend, TABLE):
        inner = trilinear_sample(grid, points, align_corners=True)
        faces = trilinear_sample(grid, points, align_corners=False)
        fading = trilinear_sample(grid, points, align_corners=False, padding="zeros")
    assert inner[0, :, 0].tolist() == [0, 2, 3, 6, 5.5, 4.5]
    # A cell is 2/3 wide along x: 0.5 is 0.75 of the way from the middle column to the last.
    assert faces[0, :, 0].tolist() == pytest.approx([0, 2, 3, 6, 5.5, 4.75])
    # On an outer face an axis counts one half.
    expected = [0, 2 / 8, 3 / 8, 6 / 8, 5.5, 4.75 / 2]
    assert fading[0, :, 0].tolist() == pytest.approx(expected)


@each
@each_way
@pytest.mark.parametrize(
    ("B", "C", "D", "H", "W", "N"),
    [(1, 1, 1, 1, 1, 1), (2, 3, 4, 5, 6, 63), (1, 7, 9, 1, 3, 1001), (3, 2, 2, 2, 2, 5)],
)
def test_against_float64(
    backend: str,
    B: int,
    C: int,
    D: int,
    H: int,
    W: int,
    N: int,
    align_corners: bool,
    padding: Padding,
) -> None:
    grid, points = cloud(B, C, D, H, W), _places(B, N)
    with forced(backend, TABLE):
        out = trilinear_sample(grid, points, align_corners=align_corners, padding=padding)
    assert relative_error(out, _by_scipy(grid, points, align_corners, padding)) < 1e-6


def _by_scipy(grid: Tensor, points: Tensor, align_corners: bool, padding: str) -> Tensor:
    """[B, N, C] in float64, from another library."""
    sides = torch.tensor(grid.shape[2:]).double()
    zyx = points.double().cpu().flip(-1)
    places = (zyx + 1) / 2 * (sides - 1) if align_corners else ((zyx + 1) * sides - 1) / 2
    mode: Literal["nearest", "grid-constant"] = (
        "nearest" if padding == "border" else "grid-constant"
    )
    rows = [
        [map_coordinates(channel, where.T.numpy(), order=1, mode=mode) for channel in sample]
        for sample, where in zip(grid.double().cpu().numpy(), places, strict=True)
    ]
    return torch.from_numpy(np.array(rows)).to(DEVICE).mT


@each
def test_devoxelisation_is_the_same_thing(backend: str) -> None:
    """Published `trilinear_devoxelize` has axes (x, y, z) and places in cells, 0 to r - 1."""
    for name, case in golden("trilinear_devoxelize").items():
        r = int(case["resolution"])
        points = (2 * case["coords"] / (r - 1) - 1).mT.flip(-1).contiguous()
        with forced(backend, TABLE):
            out = trilinear_sample(case["features"].float(), points, align_corners=True)
        assert torch.allclose(out.mT.double(), case["out"], rtol=1e-5, atol=1e-6), name


@each
def test_a_plane_is_a_grid_of_depth_one(backend: str) -> None:
    plane, points = cloud(2, 5, 1, 8, 9), _places(2, 50)
    points[..., 2] = 0
    with forced(backend, TABLE):
        out = trilinear_sample(plane, points, align_corners=False, padding="zeros")
    flat = F.grid_sample(plane[:, :, 0], points[:, :, None, :2], align_corners=False)
    assert torch.allclose(out, flat[..., 0].mT, rtol=1e-6, atol=1e-6)


@each
@each_way
def test_nodes_are_met_exactly(backend: str, align_corners: bool, padding: Padding) -> None:
    grid = cloud(1, 2, 5, 5, 5)  # sides whose node places are exact in binary
    node = torch.arange(5, device=DEVICE)
    place = node / 2 - 1 if align_corners else (2 * node + 1) / 5 - 1
    z, y, x = torch.cartesian_prod(place, place, place).unbind(-1)
    with forced(backend, TABLE):
        out = trilinear_sample(
            grid,
            torch.stack([x, y, z], dim=-1)[None],
            align_corners=align_corners,
            padding=padding,
        )
    assert torch.allclose(out[0].mT, grid.view(2, 125), rtol=1e-6, atol=2e-6)


@each
@each_way
@pytest.mark.parametrize("far", [1.0 + 1e-3, 50.0, 1e9, 1e30, 3e38])
def test_far_away(backend: str, align_corners: bool, padding: Padding, far: float) -> None:
    grid = cloud(1, 1, 3, 4, 5)
    points = torch.tensor([[[far, 0, 0], [-far, -far, -far], [far, far, far]]], device=DEVICE)
    with forced(backend, TABLE):
        out = trilinear_sample(grid, points, align_corners=align_corners, padding=padding)[0, :, 0]
    if padding == "border":
        assert out[0].item() == pytest.approx(grid[0, 0, 1, 1:3, 4].mean().item(), rel=1e-5)
        corners = grid[0, 0, [0, 2], [0, 3], [0, 4]]
        # Just beyond the outer face of a cell, all is clamped; without one it is as near as that.
        assert torch.allclose(out[1:], corners, rtol=1e-5)
    elif far >= 50:
        assert (out == 0).all()
    else:
        assert (out.abs() < grid.abs().max()).all()


@each
@pytest.mark.parametrize("factor", [1e-30, 1e30])
def test_tiny_and_huge_values(backend: str, factor: float) -> None:
    grid, points = cloud(1, 2, 3, 4, 5), _places(1, 40)
    with forced(backend, TABLE):
        plain = trilinear_sample(grid, points, align_corners=True)
        scaled = trilinear_sample(grid * factor, points, align_corners=True)
    assert torch.allclose(scaled / factor, plain, rtol=1e-5, atol=1e-6)


@each
@settings(max_examples=15)
@given(seed=st.integers(0, 2**31), align_corners=st.booleans())
def test_affine_fields_are_reproduced(backend: str, seed: int, align_corners: bool) -> None:
    """Between the outer nodes, and whatever the order of the points."""
    a, b, c, d = cloud(4, seed=seed).tolist()
    sides = (4, 6, 5)
    axes = [
        torch.linspace(-1, 1, side) if align_corners else (2 * torch.arange(side) + 1) / side - 1
        for side in sides
    ]
    z, y, x = torch.meshgrid(*axes, indexing="ij")
    grid = (a * x + b * y + c * z + d)[None, None].to(DEVICE)
    points = cloud(1, 37, 3, seed=seed + 1).clamp(-0.75, 0.75)
    order = torch.randperm(37, generator=torch.Generator().manual_seed(seed)).to(DEVICE)
    with forced(backend, TABLE):
        out = trilinear_sample(grid, points, align_corners=align_corners)
        shuffled = trilinear_sample(grid, points[:, order], align_corners=align_corners)
    expected = points @ torch.tensor([a, b, c], device=DEVICE) + d
    assert torch.allclose(out[..., 0], expected, rtol=1e-5, atol=1e-5)
    assert torch.equal(shuffled, out[:, order])


@each
def test_strides_do_not_matter(backend: str) -> None:
    grid, points = cloud(2, 3, 4, 5, 6), _places(2, 33)
    with forced(backend, TABLE):
        plain = trilinear_sample(grid, points, align_corners=True)
        other = trilinear_sample(strided(grid), strided(points), align_corners=True)
        last = grid.contiguous(memory_format=torch.channels_last_3d)
        channels_last = trilinear_sample(last, points, align_corners=True)
    assert torch.equal(plain, other)
    assert torch.equal(plain, channels_last)


@each
def test_no_grids_at_all(backend: str) -> None:
    with forced(backend, TABLE):
        out = trilinear_sample(cloud(0, 3, 4, 5, 6), cloud(0, 7, 3), align_corners=True)
    assert out.shape == (0, 7, 3)


@each
@each_way
def test_gradient(backend: str, align_corners: bool, padding: Padding) -> None:
    grid = cloud(2, 2, 3, 1, 4, dtype=torch.float64).requires_grad_()
    points = _places(2, 9, dtype=torch.float64).requires_grad_()

    def sampled(a: Tensor, b: Tensor) -> Tensor:
        return trilinear_sample(a, b, align_corners=align_corners, padding=padding)

    with forced(backend, TABLE):
        assert torch.autograd.gradcheck(sampled, (grid, points))
        if backend == "reference":
            assert torch.autograd.gradgradcheck(sampled, (grid, points))


@each_way
def test_gradient_as_on_a_gpu(align_corners: bool, padding: Padding) -> None:
    """The function that stands in for `grid_sample` there, on any device."""
    grid = cloud(2, 3, 4, 5, 6, dtype=torch.float64)
    points = _places(2, 40, dtype=torch.float64)
    points[:, 0], points[:, 1] = 1, -1  # corners, where slopes are a matter of convention
    points[:, 2] = torch.tensor([0.2, -0.6, -1 / 3], device=DEVICE)  # on a node
    weight = cloud(2, 40, 3, seed=3, dtype=torch.float64)
    for needed in ((True, True), (True, False), (False, True)):
        found = []
        for way in (library.Repeatable.apply, library._sampled):
            a, b = grid.clone().requires_grad_(needed[0]), points.clone().requires_grad_(needed[1])
            torch.use_deterministic_algorithms(False)
            (way(a, b, align_corners, padding) * weight).sum().backward()
            found.append((a.grad, b.grad))
        for ours, theirs, wanted in zip(*found, needed, strict=True):
            assert (ours is not None) == (theirs is not None) == wanted
            assert ours is None or torch.allclose(ours, theirs, rtol=1e-10, atol=1e-10)


@each
def test_every_run_gives_the_same_bits(backend: str) -> None:
    grid, points = cloud(2, 3, 4, 5, 6), _places(2, 300)

    def run() -> tuple[Tensor, ...]:
        a, b = grid.clone().requires_grad_(), points.clone().requires_grad_()
        with forced(backend, TABLE):
            out = trilinear_sample(a, b, align_corners=True)
        out.square().sum().backward()
        assert a.grad is not None
        assert b.grad is not None
        return out, a.grad, b.grad

    assert_repeatable(run)


@each
def test_bad_input(backend: str) -> None:
    grid, points = cloud(2, 3, 4, 5, 6), cloud(2, 7, 3)
    with forced(backend, TABLE):

        def refuses(
            error: type[Exception], *words: str, grid: Tensor = grid, points: Tensor = points
        ) -> None:
            with refused(error, *words):
                trilinear_sample(grid, points, align_corners=True)

        refuses(ShapeError, "grid: [B, C, D, H, W]", "[2, 4, 5, 6]", grid=grid[:, 0])
        refuses(ShapeError, "grid:", "[2, 3, 0, 5, 6]", grid=grid[:, :, :0])
        refuses(ShapeError, "points: [B, N, 3] with B = 2", "[1, 7, 3]", points=points[:1])
        refuses(ShapeError, "points:", "[2, 7, 2]", points=points[..., :2])
        refuses(ShapeError, "points:", "[2, 0, 3]", points=points[:, :0])
        refuses(ValueError, "grid: torch.float32", "torch.float16", grid=grid.half())
        refuses(ValueError, "points: torch.float32", "torch.float64", points=points.double())
        refuses(ValueError, "points: device", "meta", points=points.to("meta"))
        refuses(ValueError, "grid: finite", "720 that", grid=grid / 0)
        refuses(ValueError, "points: finite", "42 that", points=points * torch.nan)
        with refused(ValueError, "padding: one of border, zeros", "'reflection'"):
            trilinear_sample(grid, points, align_corners=True, padding="reflection")  # type: ignore[arg-type]


def test_an_unknown_backend_is_refused() -> None:
    with refused(BackendError, "trilinear_sample", "grid_sample", "'cuda'"), forced("cuda", TABLE):
        trilinear_sample(cloud(1, 1, 1, 1, 1), cloud(1, 2, 3), align_corners=True)


def test_trusted_values_are_not_read() -> None:
    with trust_values():
        out = trilinear_sample(cloud(1, 1, 2, 2, 2) / 0, cloud(1, 2, 3), align_corners=True)
    assert out.shape == (1, 2, 1)
