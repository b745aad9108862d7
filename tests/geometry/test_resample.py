import numpy as np
import pytest

from geometry.errors import GeometryError
from geometry.mesh import Mesh
from geometry.point_cloud import PointCloud
from geometry.resample import resample, sample_surface
from tests.geometry.shapes import box, distances, known, sphere


def gaps(positions):
    return distances(positions, positions, k=2)


@pytest.mark.parametrize("source", [1, 2, 3, 300, 5000])
@pytest.mark.parametrize("count", [1, 256, 4096, 16384])
def test_exact_count_without_copies(source, count, rng):
    cloud = resample(sphere(source, rng), count, rng)
    assert len(cloud) == count
    assert len(np.unique(cloud.positions, axis=0)) == count
    assert cloud.colors is not None
    assert len(cloud.colors) == count


def test_fewer_are_spread_evenly_whatever_the_density(rng):
    dense = sphere(16384, rng).positions
    dense = np.concatenate([dense[dense[:, 2] > 0], dense[dense[:, 2] < 0][:1500]])
    some = resample(PointCloud(dense), 1000, rng).positions
    assert gaps(some).min() > 0.5 * gaps(some).mean()
    assert (some[:, 2] < 0).mean() == pytest.approx(0.5, abs=0.06)
    rows = {row.tobytes() for row in dense}
    assert all(row.tobytes() in rows for row in some)


def test_more_stay_on_the_surface_and_mix_attributes(rng):
    cloud = sphere(1000, rng)
    more = known(resample(cloud, 4096, rng))
    assert np.array_equal(more.positions[:1000], cloud.positions)
    assert (np.abs(np.linalg.norm(more.positions, axis=1) - 0.5) < 0.01).all()
    assert np.allclose(np.linalg.norm(more.normals, axis=1), 1, atol=1e-5)
    assert ((more.normals * more.positions).sum(axis=1) > 0.45).all()


def test_one_colour_stays_that_colour(rng):
    cloud = PointCloud(sphere(300, rng).positions, np.full((300, 3), (200, 3, 77), np.uint8))
    assert (known(resample(cloud, 900, rng)).colors == (200, 3, 77)).all()


def test_copies_in_the_input_are_not_points(rng):
    few = np.repeat(sphere(40, rng).positions, 400, axis=0)
    assert len(np.unique(resample(PointCloud(few), 2000, rng).positions, axis=0)) == 2000


def test_a_tiny_dense_spot_neither_hangs_nor_takes_all(rng):
    spot = rng.normal(size=(12_000, 3)) * 1e-5
    cloud = PointCloud(np.concatenate([spot, sphere(4000, rng).positions]).astype(np.float32))
    some = resample(cloud, 1000, rng).positions
    assert (np.linalg.norm(some, axis=1) > 0.4).mean() > 0.9


def test_seed_decides(rng):
    cloud = sphere(3000, rng)
    for count in (500, 5000):
        one, two = (resample(cloud, count, np.random.default_rng(5)) for _ in range(2))
        assert np.array_equal(one.positions, two.positions)


def test_surface_sampling_is_uniform_by_area_and_interpolates(rng):
    mesh = box(size=(1.0, 1.0, 4.0))
    cloud = known(sample_surface(mesh, 9000, rng))
    ends = np.abs(cloud.positions[:, 2]) > 1.9999
    assert ends.mean() == pytest.approx(2 / 18, abs=0.01)
    assert (cloud.colors == mesh.colors[0]).all()
    assert ((cloud.normals * cloud.positions).sum(axis=1) > 0).all()
    corners = Mesh(
        mesh.vertices[:3], np.array([[0, 1, 2]], np.int32), np.diag([255] * 3).astype("u1")
    )
    assert known(sample_surface(corners, 500, rng)).colors.std(axis=0).min() > 20


def test_surface_sampling_skips_faces_without_area(rng):
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [9, 9, 9]], np.float32)
    mesh = Mesh(vertices, np.array([[3, 3, 3], [0, 1, 2], [0, 3, 3]], np.int32))
    assert sample_surface(mesh, 200, rng).positions.max() <= 1


def test_refuses(rng):
    with pytest.raises(GeometryError, match="num_points: must be at least 1, got 0"):
        resample(sphere(5, rng), 0, rng)
    flat = Mesh(np.zeros((3, 3), np.float32), np.array([[0, 1, 2]], np.int32))
    with pytest.raises(GeometryError, match="no area"):
        sample_surface(flat, 5, rng)
