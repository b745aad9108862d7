import pytest
import torch
from torch import Tensor

from kernels.errors import ShapeError
from kernels.voxelize import average_voxelize
from models.diffusion.pvcnn2 import Pvcnn2, Pvcnn2Config
from models.diffusion.pvcnn2_blocks import GridNorm, Level, PointNorm, VoxelConv

SMALL = Pvcnn2Config(
    embed_dim=16,
    extra_feature_channels=2,
    width_multiplier=0.25,
    voxel_resolution_multiplier=0.5,
    centers=(64, 32, 16, 8),
    condition_dim=5,
)


@pytest.fixture(scope="module")
def net() -> Pvcnn2:
    torch.manual_seed(0)
    return Pvcnn2(SMALL).eval().requires_grad_(False)


def given(rows: int = 3, count: int = 128) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    points = torch.randn(rows, count, 5, generator=generator)
    condition = torch.randn(rows, 5, generator=generator)
    return points, torch.tensor([3, 500, 999])[:rows], condition


def test_shapes(net):
    assert net(*given()).shape == (3, 128, 3)
    coloured = Pvcnn2(Pvcnn2Config(num_classes=6, width_multiplier=0.25)).eval()
    with torch.no_grad():
        assert coloured(torch.randn(1, 40, 3), torch.tensor([7])).shape == (1, 40, 6)


def test_rows_do_not_see_each_other(net):
    points, t, condition = given()
    together = net(points, t, condition)
    for row in range(3):
        rows = slice(row, row + 1)
        alone = net(points[rows], t[rows], condition[rows])
        torch.testing.assert_close(alone, together[rows], rtol=1e-4, atol=1e-4)


def test_time_condition_and_features_count(net):
    points, t, condition = given()
    plain = net(points, t, condition)
    more = points.clone()
    more[..., 3:] += 1
    for other in (
        net(points, t.flip(0), condition)[::2],
        net(points, t, condition + 1),
        net(more, t, condition),
    ):
        size = plain[::2] if len(other) == 2 else plain
        assert (other - size).abs().mean() > 1e-3


def test_moving_and_scaling_keep_cells():
    points, _, _ = given()
    level, moved = Level(points[..., :3]), Level(points[..., :3] * 4 + 2)
    assert torch.equal(level.cells(8).cell, moved.cells(8).cell)


@pytest.mark.parametrize("count", [1, 5, 64])
def test_as_few_points_as_there_may_be(net, count):
    points, t, condition = given(count=count)
    assert net(points, t, condition).isfinite().all()


def test_all_points_in_one_place(net):
    points, t, condition = given()
    points[..., :3] = 0.25
    assert net(points, t, condition).isfinite().all()


def test_what_does_not_fit_is_refused(net):
    points, t, condition = given()
    with pytest.raises(ShapeError, match="points"):
        net(points[..., :4], t, condition)
    with pytest.raises(ShapeError, match="condition"):
        net(points, t)
    with pytest.raises(ShapeError, match="condition"):
        Pvcnn2(Pvcnn2Config())(points[..., :3], t, condition)
    with pytest.raises(ShapeError, match="t:"):
        net(points, t[:2], condition)
    points[0, 0, 0] = float("nan")
    with pytest.raises(ValueError, match="finite"):
        net(points, t, condition)


def test_double_precision_agrees(net):
    points, t, condition = given()
    double = Pvcnn2(SMALL).eval().double()
    double.load_state_dict(net.state_dict())
    with torch.no_grad():
        out = double(points.double(), t, condition.double())
        single = net(points, t, condition)
    torch.testing.assert_close(single.double(), out, rtol=1e-4, atol=1e-4)


def test_every_parameter_learns():
    torch.manual_seed(0)
    net = Pvcnn2(SMALL)
    points, t, condition = given()
    net(points, t, condition).square().mean().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        # A bias before a norm and a gate behind a dead ReLU may have none.
        assert parameter.ndim < 2 or ".fc." in name or parameter.grad.any(), name


@pytest.mark.parametrize("rows", [1, 3])
def test_a_sparse_convolution_is_the_dense_one(rows):
    torch.manual_seed(0)
    conv = VoxelConv(6, 16)
    features = torch.randn(rows, 40, 6, requires_grad=True)
    cell = torch.randint(8**3, (rows, 40))
    cell[:, :2] = torch.tensor([0, 8**3 - 1])  # corners
    cell[:, 2] = cell[:, 3]  # two in one cell
    sparse = conv(features, cell, 8)
    dense = torch.nn.functional.conv3d(
        average_voxelize(features, cell, 8).mean, conv.weight, conv.bias, padding=1
    )
    torch.testing.assert_close(sparse, dense, rtol=1e-5, atol=1e-5)

    up, of = torch.randn_like(dense), [features, *conv.parameters()]
    wanted = torch.autograd.grad((dense * up).sum(), of)
    found = torch.autograd.grad((sparse * up).sum(), of)
    for actual, expected in zip(found, wanted, strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)


def test_norms_are_those_of_channels_first_and_exact_where_most_is_alike():
    grid = torch.full((2, 16, 12, 12, 12), 0.7)
    grid[:, :, 3, 4, 5] += torch.randn(2, 16, generator=torch.Generator().manual_seed(0)) / 8
    grid = grid.contiguous(memory_format=torch.channels_last_3d)
    with torch.no_grad():
        exact = GridNorm(16).double()(grid.double())
        torch.testing.assert_close(GridNorm(16)(grid).double(), exact, rtol=1e-3, atol=1e-4)
        points = grid.permute(0, 2, 3, 4, 1)
        alike = PointNorm(16)(points)
    torch.testing.assert_close(alike.double(), exact.permute(0, 2, 3, 4, 1), rtol=1e-3, atol=1e-4)
