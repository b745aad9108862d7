import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from kernels.checks import trust_values
from kernels.errors import BackendError, ShapeError
from kernels.point_rasterize import (
    TABLE,
    Fragments,
    gather_features,
    pixels_of_points,
    rasterize_points,
)
from tests.kernels.kit import (
    DEVICE,
    assert_repeatable,
    backends,
    cloud,
    each_backend,
    forced,
    lengths,
    refused,
    strided,
)
from tests.kernels.parity import golden_set

each = each_backend(TABLE)
in_turn = pytest.mark.parametrize(
    "backend", [name for name in backends(TABLE) if name != "reference"]
)
# Far out squares overflow, in the interpreter's NumPy with a warning.
overflowing = pytest.mark.filterwarnings("ignore:overflow encountered")
INF = float("inf")


def _points(*rows: list[float]) -> Tensor:
    return torch.tensor([list(rows)], device=DEVICE)


def _scene(B: int, N: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    """Points over a picture, some beside it, a tenth of them behind the camera."""
    points = cloud(B, N, 3, seed=seed, dtype=dtype)
    return points * 0.6 + torch.tensor([0.0, 0.0, 0.8], dtype=dtype, device=DEVICE)


def _same(a: Fragments, b: Fragments) -> bool:
    return torch.equal(a.point, b.point) and torch.equal(a.z, b.z)


@each
def test_hand_made(backend: str) -> None:
    # Centres of the columns of a picture of 2 x 4 are at x = 1.5, 0.5, -0.5, -1.5, of its rows at
    # y = 0.5, -0.5.
    points = _points([1.5, 0.5, 2.0], [1.4, 0.5, 1.0], [-0.5, -0.4, 3.0], [-1.5, 0.5, -1.0])
    with forced(backend, TABLE):
        fragments = rasterize_points(points, (2, 4), 0.2)
        pixel = pixels_of_points(fragments, 4)
        wide = rasterize_points(points, (2, 4), 1.05)
        feature_map = torch.arange(16.0, device=DEVICE).view(1, 2, 2, 4)
        features = gather_features(feature_map, pixel, (2, 4))
    assert fragments.point.tolist() == [[[1, -1, -1, -1], [-1, -1, 2, -1]]]
    assert fragments.z.tolist() == [[[1.0, INF, INF, INF], [INF, INF, 3.0, INF]]]
    assert pixel.tolist() == [[-1, 0, 6, -1]]
    assert wide.point.tolist() == [[[1, 1, 2, -1], [1, 2, 2, 2]]]
    assert pixels_of_points(wide, 4).tolist() == [[-1, 4, 7, -1]]
    assert features.tolist() == [[[0, 0], [0, 8], [6, 14], [0, 0]]]


@in_turn
@pytest.mark.parametrize(
    ("B", "N", "size", "radius"),
    [
        (1, 1, (1, 1), 5.0),
        (2, 63, (20, 31), 0.04),
        (1, 301, (32, 32), 0.06),
        (3, 40, (33, 9), 0.5),
        (1, 300, (64, 64), 0.0075),
    ],
)
def test_every_backend_draws_the_same_picture(
    backend: str, B: int, N: int, size: tuple[int, int], radius: float
) -> None:
    points = _scene(B, N, seed=1)
    with forced(backend, TABLE):
        fragments = rasterize_points(points, size, radius)
        pixel = pixels_of_points(fragments, N)
    with forced("reference", TABLE):
        expected = rasterize_points(points, size, radius)
        assert torch.equal(pixel, pixels_of_points(expected, N))
    assert _same(fragments, expected)
    assert fragments.point.shape == (B, *size)
    assert (fragments.point >= 0).any()


@each
@pytest.mark.parametrize("shift", [0.0, 300.0])
def test_against_float64(backend: str, shift: float) -> None:
    """Nothing nearer was surely there, and what was found was there, within rounding."""
    H, W, radius = 24, 40, 0.11
    points = _scene(1, 150)
    points[..., 2] += shift
    with forced(backend, TABLE):
        index, z = rasterize_points(points, (H, W), radius)
    exact = points[0].double()
    row, column = torch.arange(H, device=DEVICE), torch.arange(W, device=DEVICE)
    up = (1 - (2 * row.double() + 1) / H)[:, None, None] - exact[:, 1]
    across = (W / H - (2 * column.double() + 1) / H)[:, None] - exact[:, 0]
    distance = (up.square() + across.square()).sqrt()  # [H, W, N]
    depth = torch.where(exact[:, 2] >= 0, exact[:, 2], torch.inf)
    surely = torch.where(distance < radius * (1 - 1e-6), depth, torch.inf).amin(2)
    at_most = torch.where(distance < radius * (1 + 1e-6), depth, torch.inf).amin(2)
    assert (z[0] <= surely).all()
    assert (z[0] >= at_most).all()
    seen = index[0] >= 0
    assert torch.equal(exact[index[0][seen], 2], z[0][seen].double())
    assert torch.equal(seen, z[0].isfinite())


@pytest.mark.parametrize("backend", TABLE.runnable(DEVICE.type, torch.float64))
def test_float64_points(backend: str) -> None:
    points = _scene(2, 80, dtype=torch.float64)
    points[:, 40:60, 2] = points[:, :20, 2] + 1e-12  # single precision would not tell them apart
    points[:, 60:, 2] = points[:, :20, 2]
    with forced(backend, TABLE):
        fragments = rasterize_points(points, (20, 24), 0.2)
    with forced("reference", TABLE):
        assert _same(fragments, rasterize_points(points, (20, 24), 0.2))
    assert fragments.z.dtype == torch.float64


@in_turn
def test_golden_pixels(backend: str) -> None:
    values = golden_set("pc2")
    points = values["points_ndc"]
    with forced(backend, TABLE):
        fragments = rasterize_points(points, 224, float(values["raster_radius"]))
        pixel = pixels_of_points(fragments, points.shape[1])
    assert torch.equal(fragments.point, values["fragments_idx"].long())
    seen = fragments.point >= 0
    assert torch.allclose(fragments.z[seen], values["zbuf"][seen].float(), rtol=1e-3)
    row, column = values["pixel_rowcol_lastwins"].long().unbind(-1)
    assert torch.equal(pixel, torch.where(row >= 0, row * 224 + column, -1))


@each
def test_equal_depths_go_to_the_lower_index(backend: str) -> None:
    points = _points([0.0, 0.0, 1.0]).repeat(1, 70, 1)
    points[:, :3, 2] = 2.0
    zeros = _points([0.0, 0.0, 0.0], [0.0, 0.0, -0.0], [0.0, 0.0, 1e-45]).flip(1)
    with forced(backend, TABLE):
        assert (rasterize_points(points, 4, 1.5).point == 3).all()
        at_camera = rasterize_points(zeros, 4, 1.5)
    assert (at_camera.point == 1).all()
    assert (at_camera.z == 0).all()


@each
def test_what_no_pixel_sees(backend: str) -> None:
    points = _points(
        [0.0, 0.0, -1e-6],  # behind the camera
        [1.5, 0.0, 1.0],  # beside the picture
        [0.0, -9.0, 1.0],
        [0.25, 0.25, 1.0],  # between centres of pixels, half a pixel's width from all
        [0.125, 0.125, 1.0],  # at a centre
    )
    with forced(backend, TABLE):
        small = rasterize_points(points[:, :4], 8, 0.12)
        touching = rasterize_points(points[:, 4:] + 0.125, 8, 0.125)
        nothing = rasterize_points(points[:, 4:], 8, 0.0)
        pixel = pixels_of_points(small, 4)
        features = gather_features(torch.ones(1, 3, 2, 2, device=DEVICE), pixel, 8)
    assert (small.point == -1).all()
    assert (small.z == INF).all()
    assert (touching.point == -1).all()  # strictly nearer
    assert (nothing.point == -1).all()
    assert (pixel == -1).all()
    assert (features == 0).all()


@in_turn
@overflowing
@pytest.mark.parametrize("radius", [3.0, 1e9, 1e30])
def test_discs_larger_than_the_picture(backend: str, radius: float) -> None:
    points = _scene(1, 40)
    points[:, ::3, :2] *= 1e4
    points[:, 1::7, 0] = 3e38
    with forced(backend, TABLE):
        fragments = rasterize_points(points, (12, 20), radius)
    with forced("reference", TABLE):
        assert _same(fragments, rasterize_points(points, (12, 20), radius))
    assert (fragments.point >= 0).all()


@in_turn
def test_every_disc_has_its_own_radius(backend: str) -> None:
    points = _scene(2, 90)
    radius = cloud(2, 90, seed=3).square() * 0.05
    radius[:, ::40] = 1.0
    radius[:, 1::40] = 0.0
    with forced(backend, TABLE):
        fragments = rasterize_points(points, (30, 25), radius)
        uniform = rasterize_points(points, (30, 25), torch.full_like(radius, 0.1))
        scalar = rasterize_points(points, (30, 25), 0.1)
    with forced("reference", TABLE):
        assert _same(fragments, rasterize_points(points, (30, 25), radius))
    assert _same(uniform, scalar)


@each
def test_ragged_clouds_are_each_their_own(backend: str) -> None:
    points, radius = _scene(3, 50), cloud(3, 50, seed=1).abs() * 0.2
    counts = lengths(50, 1, 33)
    for b in range(3):  # whatever padding holds
        points[b, counts[b] :] = torch.nan
        radius[b, counts[b] :] = -torch.inf
    with forced(backend, TABLE):
        for sizes in (0.2, radius):
            together = rasterize_points(points, (9, 14), sizes, counts)
            pixel = pixels_of_points(together, 50)
            for b in range(3):
                n = int(counts[b])
                size = sizes[b : b + 1, :n] if isinstance(sizes, Tensor) else sizes
                alone = rasterize_points(points[b : b + 1, :n], (9, 14), size)
                assert torch.equal(together.point[b], alone.point[0])
                assert torch.equal(together.z[b], alone.z[0])
                assert (pixel[b, n:] == -1).all()


@each
def test_no_clouds_at_all(backend: str) -> None:
    with forced(backend, TABLE):
        fragments = rasterize_points(_scene(0, 5), (3, 4), 0.1)
        pixel = pixels_of_points(fragments, 5)
        features = gather_features(torch.ones(0, 7, 2, 2, device=DEVICE), pixel, (3, 4))
    assert fragments.point.shape == fragments.z.shape == (0, 3, 4)
    assert pixel.shape == (0, 5)
    assert features.shape == (0, 5, 7)


@each
@settings(max_examples=5)
@given(seed=st.integers(0, 2**31), down=st.integers(-3, 3), across=st.integers(-3, 3))
def test_order_and_place_do_not_matter(backend: str, seed: int, down: int, across: int) -> None:
    """On a lattice of powers of two, where sums are exact and discs meet pixels' centres."""
    points = (_scene(1, 24, seed=seed) * 64).round() / 64
    points[..., 2] = torch.arange(24, device=DEVICE)
    order = torch.randperm(24, generator=torch.Generator().manual_seed(seed)).to(DEVICE)
    moved = points - torch.tensor([across / 8, down / 8, 0.0], device=DEVICE)
    with forced(backend, TABLE):
        plain = rasterize_points(points, 16, 0.25)
        shuffled = rasterize_points(points[:, order], 16, 0.25)
        mirrored = rasterize_points(points * torch.tensor([-1.0, 1, 1], device=DEVICE), 16, 0.25)
        upended = rasterize_points(points[..., [1, 0, 2]], 16, 0.25)
        shifted = rasterize_points(moved, 16, 0.25)
    assert torch.equal(shuffled.z, plain.z)
    seen = plain.point >= 0
    assert torch.equal(order[shuffled.point[seen]], plain.point[seen])
    assert torch.equal(mirrored.point, plain.point.flip(2))
    assert torch.equal(upended.point, plain.point.mT)
    inner = slice(3, -3)
    from_rows = slice(3 + down, 13 + down)
    from_columns = slice(3 + across, 13 + across)
    assert torch.equal(shifted.point[:, from_rows, from_columns], plain.point[:, inner, inner])


@each
@pytest.mark.parametrize("pixels", [(6, 6, 1), (1, 1, 5), (513, 3, 2)])
def test_the_last_pixel_of_a_point_counts(backend: str, pixels: tuple[int, int, int]) -> None:
    H, W, N = pixels
    index = torch.randint(-1, N, (2, H, W), generator=torch.Generator().manual_seed(0)).to(DEVICE)
    with forced(backend, TABLE):
        pixel = pixels_of_points(Fragments(index, torch.zeros(2, H, W, device=DEVICE)), N)
    for b in range(2):
        for n in range(N):
            owned = (index[b].flatten() == n).nonzero().flatten().tolist()
            assert pixel[b, n] == max(owned, default=-1)


@each
def test_points_have_no_gradient(backend: str) -> None:
    with forced(backend, TABLE):
        fragments = rasterize_points(_scene(1, 5).requires_grad_(), 4, 0.5)
    assert not fragments.z.requires_grad


@each
def test_strides_do_not_matter(backend: str) -> None:
    points, radius = _scene(2, 70), cloud(2, 70).abs() * 0.2
    with forced(backend, TABLE):
        plain = rasterize_points(points, (9, 12), radius)
        other = rasterize_points(points.mT.contiguous().mT, (9, 12), strided(radius))
        turned = Fragments(other.point.mT.contiguous().mT, other.z)
        assert torch.equal(pixels_of_points(plain, 70), pixels_of_points(turned, 70))
    assert _same(plain, other)


@each
def test_every_run_gives_the_same_bits(backend: str) -> None:
    points, start = _scene(2, 60), cloud(2, 20, 5, 5)

    def run() -> tuple[Tensor, ...]:
        feature_map = start.clone().requires_grad_()
        with forced(backend, TABLE):
            fragments = rasterize_points(points, 24, 0.15)
            pixel = pixels_of_points(fragments, 60)
            features = gather_features(feature_map, pixel, 24)
        features.square().sum().backward()
        assert feature_map.grad is not None
        return (*fragments, pixel, features, feature_map.grad)

    assert_repeatable(run)


def test_one_large_disc_does_not_widen_all_others() -> None:
    """100,000 windows of 512 x 512 would take minutes."""
    points = _scene(1, 100_000).cpu()
    radius = torch.full((1, 100_000), 0.004)
    points[0, 500], radius[0, 500] = torch.tensor([0.0, 0.0, 1e3]), 5.0
    with forced("painter", TABLE):
        fragments = rasterize_points(points, 512, radius)
    assert (fragments.point >= 0).all()
    assert (fragments.point == 500).any()


@each
def test_bad_points(backend: str) -> None:
    points = _scene(2, 5)

    def broken(value: float) -> Tensor:
        return points.index_fill(1, lengths(2), value)

    with forced(backend, TABLE):
        with refused(ShapeError, "points: [B, N, 3]", "[2, 5, 2]"):
            rasterize_points(points[..., :2], 4, 0.1)
        with refused(ShapeError, "points:", "[2, 0, 3]"):
            rasterize_points(points[:, :0], 4, 0.1)
        with refused(ValueError, "points:", "torch.float32", "torch.float16"):
            rasterize_points(points.half(), 4, 0.1)
        with refused(ValueError, "points: finite", "6 that"):
            rasterize_points(broken(torch.nan), 4, 0.1)
        with refused(ValueError, "points: finite"):
            rasterize_points(broken(torch.inf), 4, 0.1)
        for size in (0, (4, 0), (-1, 4), (4, 32_769)):
            with refused(ValueError, "image_size:", "1 to 32768"):
                rasterize_points(points, size, 0.1)
        for radius in (-0.1, torch.nan, torch.inf):
            with refused(ValueError, "radius: 0.0 to 1e+30", str(radius)):
                rasterize_points(points, 4, radius)
        with refused(ShapeError, "radius: [B, N] with B = 2, N = 5", "[2, 4]"):
            rasterize_points(points, 4, points[:, :4, 0])
        with refused(ValueError, "radius: torch.float32", "torch.float64"):
            rasterize_points(points, 4, torch.ones(2, 5, dtype=torch.float64, device=DEVICE))
        with refused(ValueError, "radius: device", "meta"):
            rasterize_points(points, 4, torch.ones(2, 5, device="meta"))
        with refused(ValueError, "radius: finite", "2 that"):
            rasterize_points(points, 4, broken(torch.nan)[..., 0])
        with refused(ValueError, "radius:", "at least 0", "-3"):
            rasterize_points(points, 4, torch.ones_like(points[..., 0]) * -3)
        with refused(ValueError, "lengths: values of 1 to 5", "6"):
            rasterize_points(points, 4, 0.1, lengths(5, 6))
        with refused(ShapeError, "lengths: [2]", "[3]"):
            rasterize_points(points, 4, 0.1, lengths(1, 2, 3))


@each
def test_bad_fragments(backend: str) -> None:
    z = torch.zeros(2, 3, 4, device=DEVICE)
    index = z.long()
    with forced(backend, TABLE):
        with refused(ShapeError, "z: [B, H, W] with B = 2, H = 3, W = 4", "[1, 3, 4]"):
            pixels_of_points(Fragments(index, z[:1]), 5)
        with refused(ValueError, "point: torch.int64", "torch.int32"):
            pixels_of_points(Fragments(index.int(), z), 5)
        with refused(ValueError, "N: 1 to", "got 0"):
            pixels_of_points(Fragments(index, z), 0)
        with refused(ValueError, "point: values of -1 to 4", "5"):
            pixels_of_points(Fragments(index + 5, z), 5)
        with refused(ValueError, "point: values of -1 to 4", "-2"):
            pixels_of_points(Fragments(index - 2, z), 5)
        with refused(ValueError, "z: device", "meta"):
            pixels_of_points(Fragments(index, z.to("meta")), 5)


def test_an_unknown_backend_is_refused() -> None:
    with refused(BackendError, "point_rasterize", "painter", "'cuda'"), forced("cuda", TABLE):
        rasterize_points(_scene(1, 2), 4, 0.1)


@each
def test_trusted_values_are_not_read(backend: str) -> None:
    with trust_values(), forced(backend, TABLE):
        fragments = rasterize_points(_scene(1, 2), 4, 0.1, lengths(7))
    assert fragments.point.shape == (1, 4, 4)
