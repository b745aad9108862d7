import pytest
import torch

from models.diffusion.denoiser import DenoiserConfig, PictureTokens
from models.diffusion.network import (
    CONFIGS,
    BozzettoConfig,
    BozzettoNet,
    finite_rows,
    parameter_count,
)
from models.feedforward.draft import DraftConfig

SMALL = BozzettoConfig(
    DraftConfig(image_size=32, channels=(8, 16, 16), width=32, layers=1, heads=2),
    DenoiserConfig(width=32, features=16, latents=8, rounds=2, heads=2),
)


@pytest.fixture(scope="module")
def net() -> BozzettoNet:
    torch.manual_seed(0)
    return BozzettoNet(SMALL).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def picture(net: BozzettoNet) -> PictureTokens:
    torch.manual_seed(1)
    return net.encode(torch.rand(3, 4, 32, 32))[1]


def noisy(rows=3, count=70):
    torch.manual_seed(2)
    return torch.randn(rows, count, 3), torch.tensor([0.02, 0.4, 4.0])[:rows]


def test_shapes_and_ranges(net, picture):
    x, sigma = noisy()
    out = net(x, sigma, picture)
    assert out.points.shape == out.colors.shape == out.normals.shape == (3, 70, 3)
    assert len(out.estimates) == SMALL.denoiser.rounds
    assert out.estimates[-1] is out.points
    torch.testing.assert_close(out.normals.norm(dim=-1), torch.ones(3, 70))


def test_where_little_noise_is_left_little_is_changed(net, picture):
    x, _ = noisy()
    out = net(x, torch.full((3,), 1e-4), picture)
    torch.testing.assert_close(out.points, x, atol=2e-3, rtol=0)


def test_the_order_of_points_does_not_matter(net, picture):
    x, sigma = noisy()
    order = torch.randperm(70)
    mixed, plain = net(x[:, order], sigma, picture), net(x, sigma, picture)
    torch.testing.assert_close(mixed.points, plain.points[:, order], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(mixed.colors, plain.colors[:, order], atol=1e-4, rtol=1e-4)


def test_rows_do_not_see_each_other(net, picture):
    x, sigma = noisy()
    together = net(x, sigma, picture).points
    for row in range(3):
        rows = slice(row, row + 1)
        alone = net(x[rows], sigma[rows], picture.row(row)).points
        torch.testing.assert_close(alone, together[rows], atol=1e-4, rtol=1e-4)


def test_more_points_than_ever_before(net, picture):
    torch.manual_seed(3)
    out = net(torch.randn(3, 5000, 3), torch.ones(3), picture)
    assert finite_rows(out.points, out.colors, out.normals).all()


def test_a_dropped_picture_tells_nothing(net, picture):
    x, sigma = noisy()
    drop = torch.tensor([True, False, True])
    x = x[:1].expand(3, -1, -1)
    sigma = torch.full((3,), 0.5)
    out, whole = net(x, sigma, picture, drop).points, net(x, sigma, picture).points
    torch.testing.assert_close(out[0], out[2])  # whatever the picture
    torch.testing.assert_close(out[1], whole[1])
    assert not torch.allclose(out[0], whole[0], atol=1e-3)


def test_noise_far_away_stays_finite(net, picture):
    out = net(torch.full((3, 20, 3), 1e6), torch.full((3,), 1e4), picture)
    assert finite_rows(out.points).all()


def test_rows_that_are_not_finite_are_found():
    a, b = torch.zeros(3, 2), torch.zeros(3, 4, 2)
    a[0, 1], b[2, 3, 0] = torch.nan, torch.inf
    assert finite_rows(a, b).tolist() == [False, True, False]


@pytest.mark.parametrize(("name", "most"), [("bozzetto-xs", 9_500_000), ("bozzetto-s", 25_000_000)])
def test_sizes(name, most):
    assert parameter_count(BozzettoNet(CONFIGS[name])) <= most
