import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from kernels.checks import trust_values
from kernels.errors import BackendError, ShapeError
from kernels.group import TABLE, group, group_relative
from tests.kernels.kit import (
    DEVICE,
    assert_repeatable,
    cloud,
    each_backend,
    forced,
    refused,
    strided,
)
from tests.kernels.parity import golden

each = each_backend(TABLE)


def _numbers(*shape: int, below: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(below, shape, generator=generator).to(DEVICE)


def _by_hand(features: Tensor, index: Tensor) -> Tensor:
    clouds = zip(features, index, strict=True)
    return torch.stack([torch.stack([cloud[row] for row in rows]) for cloud, rows in clouds])


@each
def test_hand_made(backend: str) -> None:
    points = torch.tensor([[[0.0, 0, 0], [1, 2, 3], [4, 4, 4]]], device=DEVICE)
    centers = torch.tensor([[[1.0, 1, 1]]], device=DEVICE)
    features = torch.tensor([[[7.0], [8], [9]]], device=DEVICE)
    index = torch.tensor([[[2, 1, 2]]], device=DEVICE)
    with forced(backend, TABLE):
        assert group(features, index).tolist() == [[[[9], [8], [9]]]]
        near = group_relative(points, centers, features, index)
        assert near.tolist() == [[[[3, 3, 3, 9], [0, 1, 2, 8], [3, 3, 3, 9]]]]
        assert torch.equal(group_relative(points, centers, None, index), near[..., :3])


@each
def test_golden_values(backend: str) -> None:
    for name, case in golden("grouping").items():
        with forced(backend, TABLE):
            out = group(case["features"].mT, case["indices"].long())
        assert torch.equal(out.double(), case["out"].permute(0, 2, 3, 1)), name


@each
@pytest.mark.parametrize(
    ("B", "N", "C", "M", "U"),
    [(1, 1, 1, 1, 1), (2, 63, 5, 7, 3), (1, 1001, 33, 5, 8), (3, 9, 64, 17, 1), (1, 7, 2, 1, 300)],
)
def test_against_indexing(backend: str, B: int, N: int, C: int, M: int, U: int) -> None:
    features, points, centers = cloud(B, N, C), cloud(B, N, 3, seed=1), cloud(B, M, 3, seed=2)
    index = _numbers(B, M, U, below=N)
    grouped = _by_hand(features, index)
    near = _by_hand(points, index) - centers[:, :, None]
    with forced(backend, TABLE):
        assert torch.equal(group(features, index), grouped)
        assert torch.equal(group_relative(points, centers, None, index), near)
        both = group_relative(points, centers, features, index)
    assert torch.equal(both, torch.cat([near, grouped], dim=3))


@each
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_types_are_copied_bit_for_bit(backend: str, dtype: torch.dtype) -> None:
    features, index = cloud(2, 20, 6).to(dtype), _numbers(2, 5, 4, below=20)
    with forced(backend, TABLE):
        out = group(features, index)
    assert out.dtype == dtype
    assert torch.equal(out, _by_hand(features, index))


@each
def test_float64_coordinates(backend: str) -> None:
    points, centers = (cloud(1, n, 3, seed=n, dtype=torch.float64) for n in (20, 5))
    index = _numbers(1, 5, 4, below=20)
    with forced(backend, TABLE):
        near = group_relative(points, centers, None, index)
    assert torch.equal(near, _by_hand(points, index) - centers[:, :, None])


@each
def test_features_may_hold_anything(backend: str) -> None:
    features = cloud(1, 4, 2)
    features[0, 1] = torch.nan
    features[0, 2] = -torch.inf
    index = torch.tensor([[[0, 1, 2]]], device=DEVICE)
    with forced(backend, TABLE):
        out = group(features, index)
        both = group_relative(cloud(1, 4, 3), cloud(1, 1, 3), features, index)
    assert torch.equal(out[0, 0].nan_to_num(nan=7.0), features[0, :3].nan_to_num(nan=7.0))
    assert torch.equal(both[..., 3:].nan_to_num(nan=7.0), out.nan_to_num(nan=7.0))
    assert torch.isfinite(both[..., :3]).all()


@each
def test_a_point_far_out_is_exact_beside_its_centre(backend: str) -> None:
    points = cloud(1, 9, 3) + 1000
    index = torch.arange(9, device=DEVICE)[None, :, None]
    with forced(backend, TABLE):
        assert (group_relative(points, points, None, index) == 0).all()


@each
def test_strides_do_not_matter(backend: str) -> None:
    features, points, centers = cloud(2, 9, 5), cloud(2, 9, 3, seed=1), cloud(2, 4, 3, seed=2)
    index = _numbers(2, 4, 3, below=9)
    with forced(backend, TABLE):
        plain = group_relative(points, centers, features, index)
        other = group_relative(
            strided(points), centers.mT.contiguous().mT, strided(features), index.mT.contiguous().mT
        )
        assert torch.equal(group(strided(features), strided(index)), group(features, index))
    assert torch.equal(plain, other)


@each
def test_no_clouds_at_all(backend: str) -> None:
    index = _numbers(0, 4, 2, below=5)
    with forced(backend, TABLE):
        assert group(cloud(0, 5, 6), index).shape == (0, 4, 2, 6)
        assert group_relative(cloud(0, 5, 3), cloud(0, 4, 3), None, index).shape == (0, 4, 2, 3)


@each
@settings(max_examples=10)
@given(seed=st.integers(0, 2**31), shift=st.integers(-8, 8))
def test_order_of_points_and_place_do_not_matter(backend: str, seed: int, shift: int) -> None:
    points = (cloud(1, 21, 3, seed=seed) * 64).round() / 64  # which a shift leaves exact
    index = _numbers(1, 5, 4, below=21, seed=seed)
    order = torch.randperm(21, generator=torch.Generator().manual_seed(seed)).to(DEVICE)
    centers = points[:, :5]
    with forced(backend, TABLE):
        plain = group_relative(points, centers, points, index)
        shuffled = group_relative(
            points[:, order], centers, points[:, order], order.argsort()[index]
        )
        moved = group_relative(points + shift, centers + shift, points, index)
    assert torch.equal(plain, shuffled)
    assert torch.equal(plain, moved)


@each
def test_gradient(backend: str) -> None:
    """Points that stand in several neighbourhoods, twice in one, and in none."""
    index = torch.tensor([[[0, 1, 1], [4, 1, 0]], [[3, 3, 3], [2, 0, 1]]], device=DEVICE)
    points, features = (cloud(2, 6, n, dtype=torch.float64) for n in (3, 2))
    centers = cloud(2, 2, 3, dtype=torch.float64)
    leaves = tuple(each.requires_grad_() for each in (points, centers, features))

    def relative(points: Tensor, centers: Tensor, features: Tensor | None = None) -> Tensor:
        return group_relative(points, centers, features, index)

    with forced(backend, TABLE):
        assert torch.autograd.gradcheck(relative, leaves)
        assert torch.autograd.gradcheck(relative, leaves[:2])
        assert torch.autograd.gradcheck(lambda f: group(f, index), leaves[2:])


@each
def test_gradient_in_float32_counts_neighbourhoods(backend: str) -> None:
    features, index = cloud(2, 50, 4).requires_grad_(), _numbers(2, 30, 8, below=50)
    with forced(backend, TABLE):
        group(features, index).sum().backward()
    assert features.grad is not None
    counts = torch.stack([torch.bincount(row.flatten(), minlength=50) for row in index.cpu()])
    assert torch.equal(features.grad.cpu(), counts[..., None].expand(2, 50, 4).float())


@each
def test_gradient_of_what_needs_one_alone(backend: str) -> None:
    points, centers = cloud(1, 6, 3), cloud(1, 2, 3).requires_grad_()
    with forced(backend, TABLE):
        group_relative(points, centers, points, _numbers(1, 2, 5, below=6)).sum().backward()
    assert centers.grad is not None
    assert (centers.grad == -5).all()
    assert points.grad is None


@each
def test_every_run_gives_the_same_bits(backend: str) -> None:
    index = _numbers(2, 40, 16, below=30)
    weight = cloud(2, 40, 16, 8, seed=5)

    def run() -> tuple[Tensor, ...]:
        leaves = [cloud(2, n, c, seed=n).requires_grad_() for n, c in ((30, 3), (40, 3), (30, 5))]
        with forced(backend, TABLE):
            out = group_relative(leaves[0], leaves[1], leaves[2], index)
        (out * weight).sum().backward()
        return (out, *[leaf.grad for leaf in leaves if leaf.grad is not None])

    assert len(run()) == 4
    assert_repeatable(run)


@each
def test_bad_input(backend: str) -> None:
    features, points, centers = cloud(2, 6, 4), cloud(2, 6, 3), cloud(2, 5, 3)
    index = _numbers(2, 5, 3, below=6)
    with forced(backend, TABLE):
        with refused(ShapeError, "features: [B, N, C]", "[6, 4]"):
            group(features[0], index)
        with refused(ShapeError, "index: [B, M, U] with B = 2", "[1, 5, 3]"):
            group(features, index[:1])
        with refused(ShapeError, "index: [B, M, U]", "[2, 5, 0]"):
            group(features, index[..., :0])
        with refused(ValueError, "index: torch.int64", "torch.int32"):
            group(features, index.int())
        with refused(ValueError, "index: values of 0 to 5", "6"):
            group(features, torch.full_like(index, 6))
        with refused(ValueError, "index: values of 0 to 5", "-1"):
            group_relative(points, centers, features, torch.full_like(index, -1))
        with refused(ValueError, "index: device", "meta"):
            group(features, index.to("meta"))
        with refused(ValueError, "features:", "torch.float32", "torch.int64"):
            group(index, index)
        with refused(ShapeError, "centers: [B, M, 3]", "[2, 5, 2]"):
            group_relative(points, centers[..., :2], None, index)
        with refused(ShapeError, "index: [B, M, U] with B = 2, M = 4", "[2, 5, 3]"):
            group_relative(points, centers[:, :4], None, index)
        with refused(ShapeError, "features: [B, N, C] with B = 2, N = 6", "[2, 5, 4]"):
            group_relative(points, centers, features[:, :5], index)
        with refused(ValueError, "features:", "torch.float32", "torch.float64"):
            group_relative(points, centers, features.double(), index)
        with refused(ValueError, "points:", "torch.float32", "torch.float16"):
            group_relative(points.half(), centers.half(), None, index)
        with refused(ValueError, "points: finite"):
            group_relative(points / 0, centers, None, index)
        with refused(ValueError, "centers: finite"):
            group_relative(points, centers * torch.nan, None, index)
        with refused(ValueError, "index: at most", "2147483648"):
            group(features.expand(2, 6, 4), index[:, :1, :1].expand(2, 1 << 15, 1 << 14))


def test_an_unknown_backend_is_refused() -> None:
    with refused(BackendError, "group", "rows", "'cuda'"), forced("cuda", TABLE):
        group(cloud(1, 2, 3), _numbers(1, 1, 1, below=2))


def test_trusted_values_are_not_read() -> None:
    with trust_values():
        near = group_relative(cloud(1, 2, 3) / 0, cloud(1, 1, 3), None, _numbers(1, 1, 1, below=2))
    assert not torch.isfinite(near).any()
