import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from kernels.checks import trust_values
from kernels.errors import BackendError, ShapeError
from kernels.spectral_poisson import TABLE, spectral_poisson
from tests.kernels.kit import (
    DEVICE,
    assert_repeatable,
    cloud,
    each_backend,
    forced,
    lengths,
    refused,
    relative_error,
    strided,
)

each = each_backend(TABLE)


def _sphere(
    B: int, N: int, radius: float = 0.3, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    """Points spread evenly over a sphere around the middle, by a Fibonacci spiral, and normals."""
    number = torch.arange(N, dtype=torch.float64) + 0.5
    height, turn = 1 - 2 * number / N, number * torch.pi * (1 + 5**0.5)
    round_ = (1 - height**2).sqrt()
    normals = torch.stack([round_ * turn.cos(), round_ * turn.sin(), height], dim=-1)
    normals = normals.expand(B, N, 3).contiguous().to(DEVICE)
    return (0.5 + radius * normals).to(dtype), normals.to(dtype)


@each
def test_a_plate_by_hand(backend: str) -> None:
    """Two planes that face apart, node upon node and without smoothing: steps of equal height
    between them, and the same step back over the rest of the circle."""
    R = 8
    y, z = torch.meshgrid(*[torch.arange(R, device=DEVICE) / R] * 2, indexing="ij")
    low, high = torch.full_like(y, 2 / R), torch.full_like(y, 6 / R)
    points = torch.stack([torch.cat([low, high]), torch.cat([y, y]), torch.cat([z, z])], dim=-1)
    normals = torch.zeros(2, R, R, 3, device=DEVICE)
    normals[0, ..., 0], normals[1, ..., 0] = -1, 1
    with forced(backend, TABLE):
        field = spectral_poisson(
            points.view(1, -1, 3), normals.view(1, -1, 3), resolution=R, sigma=0
        )
    along = field[0, :, 0, 0]
    assert torch.allclose(field[0], along[:, None, None].expand(R, R, R), atol=1e-5)
    # The plate is as thick as the gap: outside is -0.5, inside 0.5, and a plane is half way.
    assert along[[0, 2, 4, 6]].tolist() == pytest.approx([-0.5, 0, 0.5, 0], abs=1e-5)
    assert along[1] < 0 < along[3]


@pytest.mark.parametrize(("B", "N", "R"), [(1, 1, 4), (2, 63, 7), (1, 1001, 8), (3, 30, 5)])
@pytest.mark.parametrize("sigma", [0.0, 1.3])
def test_fft_against_sums_in_float64(B: int, N: int, R: int, sigma: float) -> None:
    points = torch.rand(B, N, 3, generator=torch.Generator().manual_seed(0)).to(DEVICE)
    normals = cloud(B, N, 3)
    with forced("reference", TABLE):
        truth = spectral_poisson(points.double(), normals.double(), resolution=R, sigma=sigma)
    with forced("fourier", TABLE):
        wide = spectral_poisson(points.double(), normals.double(), resolution=R, sigma=sigma)
        single = spectral_poisson(points, normals, resolution=R, sigma=sigma)
    assert single.dtype == torch.float32
    assert relative_error(wide, truth) < 1e-11
    assert relative_error(single, truth) < 1e-4


def test_single_precision_is_enough() -> None:
    points, normals = _sphere(1, 4000)
    single = spectral_poisson(points, normals, resolution=48)
    double = spectral_poisson(points.double(), normals.double(), resolution=48)
    assert float((single - double).abs().max()) < 1e-4 * float(double.abs().max())


@pytest.mark.parametrize("R", [32, 47])
def test_the_zero_level_of_a_sphere(R: int) -> None:
    """Within a cell of it, closed, and faces outwards."""
    points, normals = _sphere(1, 4000)
    field = spectral_poisson(points, normals, resolution=R)[0].cpu().numpy()
    middle = R // 2
    assert field[middle, middle, middle] > 0.3
    assert field[0, 0, 0] == pytest.approx(-0.5, rel=1e-6)
    measure = pytest.importorskip("skimage.measure", reason="scikit-image is not on a GPU's image")
    vertices, faces, _, _ = measure.marching_cubes(field, 0.0, gradient_direction="ascent")
    place = torch.from_numpy(vertices.copy()).double()
    radius = (place - R / 2).norm(dim=1)
    assert float((radius - 0.3 * R).abs().max()) < 1
    triangles = torch.from_numpy(faces.astype("int64"))
    edges = torch.cat([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    there = set(map(tuple, edges.tolist()))
    assert len(there) == len(edges)
    assert all((b, a) in there for a, b in there)  # each edge once from either side
    a, b, c = (place - R / 2)[triangles].unbind(1)
    volume = float(torch.linalg.det(torch.stack([a, b, c], dim=1)).sum() / 6)
    assert volume == pytest.approx(4 / 3 * torch.pi * (0.3 * R) ** 3, rel=0.05)


@each
@settings(max_examples=5, deadline=None)
@given(shift=st.tuples(*[st.integers(0, 7)] * 3), seed=st.integers(0, 2**31))
def test_whole_cells_and_the_order_of_points_move_nothing_else(
    backend: str, shift: tuple[int, int, int], seed: int
) -> None:
    """Up to the scale, which hangs on what lies in the corner."""
    R = 8
    generator = torch.Generator().manual_seed(seed)
    points = torch.rand(1, 40, 3, generator=generator, dtype=torch.float64).to(DEVICE)
    normals = cloud(1, 40, 3, seed=seed, dtype=torch.float64)
    order = torch.randperm(40, generator=generator).to(DEVICE)
    moved = (points + torch.tensor(shift, device=DEVICE) / R) % 1
    with forced(backend, TABLE), trust_values():
        plain = spectral_poisson(points, normals, resolution=R)
        other = spectral_poisson(moved[:, order], normals[:, order], resolution=R)
    rolled = plain.roll(shift, dims=(1, 2, 3))
    rolled, other = (each / each.abs().max() for each in (rolled, other))
    assert torch.allclose(rolled, other, atol=1e-10)


@each
@pytest.mark.parametrize("factor", [2.0, 1e-30, 1e30])
def test_the_length_of_all_normals_does_not_matter(backend: str, factor: float) -> None:
    points, normals = _sphere(1, 60)
    with forced(backend, TABLE):
        plain = spectral_poisson(points, normals, resolution=8)
        scaled = spectral_poisson(points, normals * factor, resolution=8)
    assert torch.allclose(plain, scaled, atol=1e-5)


@each
def test_inverted_normals_invert_the_inside(backend: str) -> None:
    points, normals = _sphere(1, 60)
    with forced(backend, TABLE):
        field = spectral_poisson(points, -normals, resolution=8)
    assert field[0, 4, 4, 4] < 0
    assert field[0, 0, 0, 0].item() == pytest.approx(0.5)


@each
def test_opposite_faces_are_the_same(backend: str) -> None:
    points, normals = _sphere(1, 60)
    points[:, :9, 1] = 0
    with forced(backend, TABLE):
        low = spectral_poisson(points, normals, resolution=8)
        points[:, :9, 1] = 1
        high = spectral_poisson(points, normals, resolution=8)
    assert torch.allclose(low, high, atol=1e-5)


@each
def test_ragged_clouds_are_each_their_own(backend: str) -> None:
    points, normals = _sphere(3, 70)
    points = points + cloud(3, 70, 3) * 0.01
    valid = lengths(70, 1, 33)
    for b in range(3):
        points[b, valid[b] :], normals[b, valid[b] :] = torch.nan, torch.inf
    with forced(backend, TABLE):
        together = spectral_poisson(points, normals, resolution=8, lengths=valid)
        for b in range(3):
            n = int(valid[b])
            alone = spectral_poisson(points[b : b + 1, :n], normals[b : b + 1, :n], resolution=8)
            assert torch.allclose(together[b], alone[0], rtol=1e-4, atol=1e-5)


@each
def test_gradient(backend: str) -> None:
    points = torch.rand(
        2, 6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    ).to(DEVICE)
    normals = cloud(2, 6, 3, dtype=torch.float64)
    valid = lengths(6, 4)

    def field(a: Tensor, b: Tensor) -> Tensor:
        return spectral_poisson(a, b, resolution=4, lengths=valid)

    with forced(backend, TABLE):
        assert torch.autograd.gradcheck(
            field, (points.requires_grad_(), normals.requires_grad_()), atol=1e-4, rtol=1e-3
        )


def test_every_run_gives_the_same_bits() -> None:
    points, normals = _sphere(2, 500)

    def run() -> tuple[Tensor, ...]:
        a, b = points.clone().requires_grad_(), normals.clone().requires_grad_()
        field = spectral_poisson(a, b, resolution=16)
        field.square().sum().backward()
        assert a.grad is not None
        assert b.grad is not None
        return field, a.grad, b.grad

    assert_repeatable(run)


@each
def test_strides_do_not_matter(backend: str) -> None:
    points, normals = _sphere(2, 33)
    with forced(backend, TABLE):
        plain = spectral_poisson(points, normals, resolution=6)
        other = spectral_poisson(strided(points), normals.mT.contiguous().mT, resolution=6)
    assert torch.allclose(plain, other, atol=1e-6)


@each
def test_no_clouds_at_all(backend: str) -> None:
    with forced(backend, TABLE):
        field = spectral_poisson(cloud(0, 5, 3), cloud(0, 5, 3), resolution=4)
    assert field.shape == (0, 4, 4, 4)


@each
def test_bad_input(backend: str) -> None:
    points, normals = _sphere(2, 5)

    def refuses(
        error: type[Exception],
        *words: str,
        points: Tensor = points,
        normals: Tensor = normals,
        resolution: int = 8,
        sigma: float = 1.0,
        valid: Tensor | None = None,
    ) -> None:
        with forced(backend, TABLE), refused(error, *words):
            spectral_poisson(points, normals, resolution=resolution, sigma=sigma, lengths=valid)

    refuses(ShapeError, "points: [B, N, 3]", "[2, 5, 2]", points=points[..., :2])
    refuses(ShapeError, "normals: [B, N, 3] with B = 2, N = 5", "[2, 4, 3]", normals=normals[:, :4])
    refuses(ShapeError, "points:", "[2, 0, 3]", points=points[:, :0])
    refuses(ValueError, "points: torch.float32", "torch.float16", points=points.half())
    refuses(ValueError, "normals: torch.float32", "torch.float64", normals=normals.double())
    refuses(ValueError, "normals: device", "meta", normals=normals.to("meta"))
    refuses(ValueError, "points: finite", "30 that", points=points * torch.nan)
    refuses(ValueError, "normals: finite", normals=normals / 0)
    refuses(ValueError, "points: 0 to 1", "1.78", points=points + 1)
    refuses(ValueError, "points: 0 to 1", "-", points=points - 1)
    refuses(ValueError, "resolution: 2 to 512", "got 1", resolution=1)
    refuses(ValueError, "sigma: 0 to 16", "nan", sigma=float("nan"))
    refuses(ValueError, "lengths: values of 1 to 5", "0", valid=lengths(0, 5))
    refuses(ShapeError, "lengths: [2]", "[1]", valid=lengths(5))


@each
def test_normals_that_make_no_field_are_refused(backend: str) -> None:
    points, normals = _sphere(2, 6)
    with forced(backend, TABLE):
        with refused(ValueError, "normals: a field", "got 2"):
            spectral_poisson(points, torch.zeros_like(normals), resolution=8)
        with refused(ValueError, "normals: a field", "got 1"):
            spectral_poisson(points, normals * lengths(1, 0)[:, None, None], resolution=8)
        twice = torch.cat([points, points], dim=1)
        with refused(ValueError, "normals: a field", "got 2"):
            spectral_poisson(twice, torch.cat([normals, -normals], dim=1), resolution=8)


def test_an_unknown_backend_is_refused() -> None:
    points, normals = _sphere(1, 5)
    with refused(BackendError, "spectral_poisson", "'cuda'"), forced("cuda", TABLE):
        spectral_poisson(points, normals, resolution=8)


def test_trusted_values_are_not_read() -> None:
    points, normals = _sphere(1, 5)
    with trust_values():
        field = spectral_poisson(points * torch.nan, normals, resolution=4)
    assert field.shape == (1, 4, 4, 4)
