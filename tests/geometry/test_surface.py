import numpy as np
import pytest

from geometry import glb
from geometry.errors import GeometryError
from geometry.mesh import Mesh
from geometry.point_cloud import PointCloud
from geometry.resample import resample, sample_surface
from geometry.simplify import cut_pinches
from geometry.surface import DEFAULT_FACES, reconstruct_surface
from tests.geometry.shapes import box, boxes, chair, distances, edge_counts, known, sphere, volume


def check_closed(mesh: Mesh):
    assert edge_counts(mesh.faces) == ({2}, {0})
    assert volume(mesh) > 0
    assert mesh.normals is not None
    assert np.allclose(np.linalg.norm(mesh.normals, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("count", [256, 4096])
@pytest.mark.parametrize("normals", [True, False])
def test_sphere(count, normals, rng):
    mesh = known(reconstruct_surface(sphere(count, rng, normals)))
    check_closed(mesh)
    radius = np.linalg.norm(mesh.vertices, axis=1)
    assert radius.mean() == pytest.approx(0.5, abs=0.02)
    assert radius.std() < 0.02
    assert ((mesh.normals * mesh.vertices).sum(axis=1) > 0).all()
    expected = (mesh.vertices / radius[:, None] + 1) / 2 * 255
    assert np.abs(mesh.colors - expected).mean() < 8


def test_thin_legs_survive(rng, validate_glb):
    truth = chair()
    cloud = resample(sample_surface(truth, 16384, rng), 4096, rng)
    mesh = reconstruct_surface(PointCloud(cloud.positions, cloud.colors))
    check_closed(mesh)
    surface = sample_surface(mesh, 8000, rng).positions
    legs = cloud.positions[cloud.positions[:, 1] < -0.05]
    assert (distances(legs, surface) < 0.025).mean() > 0.98
    assert (distances(surface, cloud.positions) < 0.03).mean() > 0.97
    validate_glb(glb.write_mesh(mesh))


@pytest.mark.parametrize("target", [100, 1000])
def test_target_faces(target, rng):
    cloud = sample_surface(chair(), 4096, rng)
    mesh = known(reconstruct_surface(cloud, target_faces=target))
    check_closed(mesh)
    assert len(mesh.faces) <= target * 1.1
    assert len(mesh.colors) == len(mesh.normals) == len(mesh.vertices)


def test_simplified_unless_told_otherwise(rng):
    cloud = sphere(4096, rng)
    small, whole = reconstruct_surface(cloud), reconstruct_surface(cloud, target_faces=10**6)
    assert len(small.faces) <= DEFAULT_FACES * 1.01 < len(whole.faces)
    kept = sample_surface(small, 5000, rng).positions
    assert np.abs(np.linalg.norm(kept, axis=1) - 0.5).mean() < 1e-3


@pytest.mark.parametrize("normals", [True, False])
def test_noise_is_smoothed_away(normals, rng):
    cloud = sphere(4096, rng, normals)
    noisy = cloud.positions + rng.normal(size=cloud.positions.shape) * 0.01
    mesh = reconstruct_surface(PointCloud(noisy.astype(np.float32), None, cloud.normals))
    check_closed(mesh)
    radius = np.linalg.norm(mesh.vertices, axis=1)
    assert radius.std() < 0.0038  # of points whose distance has a deviation of 0.01
    assert radius.mean() == pytest.approx(0.5, abs=0.002)


def test_both_sides_of_a_plate_keep_their_colours(rng):
    red, blue = (200, 20, 20), (20, 20, 200)
    xy = rng.random((4000, 2)) - 0.5
    side = np.repeat([1, -1], 2000)
    positions = np.column_stack([xy, 0.012 * side]).astype(np.float32)
    normals = np.column_stack([np.zeros((4000, 2)), side]).astype(np.float32)
    colors = np.where(side[:, None] > 0, red, blue).astype(np.uint8)
    mesh = known(reconstruct_surface(PointCloud(positions, colors, normals)))
    inner = (np.abs(mesh.vertices[:, :2]) < 0.4).all(axis=1)
    for sign, color in ((1, red), (-1, blue)):
        face = inner & (mesh.normals[:, 2] * sign > 0.9)
        assert face.sum() > 100
        off = np.abs(mesh.colors[face].astype(int) - color).max(axis=1)
        assert (off < 40).mean() > 0.995


def test_one_colour_stays_that_colour(rng):
    cloud = sphere(500, rng)
    grey = np.full((500, 3), 77, np.uint8)
    mesh = known(reconstruct_surface(PointCloud(cloud.positions, grey, cloud.normals)))
    assert (mesh.colors == 77).all()


@pytest.mark.parametrize("normals", [True, False])
def test_a_million_points(normals, rng):
    mesh = known(reconstruct_surface(sphere(1_000_000, rng, normals)))
    check_closed(mesh)
    radius = np.linalg.norm(mesh.vertices, axis=1)
    assert radius.mean() == pytest.approx(0.5, abs=0.002)
    assert radius.std() < 0.002
    expected = (mesh.vertices / radius[:, None] + 1) / 2 * 255
    assert np.abs(mesh.colors - expected).mean() < 4


def test_a_million_points_and_a_stray(rng):
    cloud = sphere(1_000_000, rng, normals=False)
    stray = np.array([[1000, 0, 0]], np.float32)
    mesh = reconstruct_surface(PointCloud(np.concatenate([cloud.positions, stray])))
    assert np.abs(mesh.vertices).max() < 1
    assert volume(mesh) == pytest.approx(np.pi / 6, rel=0.02)


def test_a_million_points_that_fill_a_cube(rng):
    mesh = reconstruct_surface(PointCloud(rng.random((1_000_000, 3)).astype(np.float32)))
    check_closed(mesh)
    assert np.abs(np.ptp(mesh.vertices, axis=0) - 1).max() < 0.1


def sheet(rng):
    return rng.random((600, 3)) * [1, 1, 0]


def line(rng):
    return np.outer(rng.random(300), [1, 1, 0])


def noise(rng):
    return rng.random((500, 3))


def copies(rng):
    return np.repeat(rng.normal(size=(60, 3)), 100, axis=0)


def outlier(rng):
    return np.concatenate([sphere(500, rng).positions, [[1000, 0, 0]]])


def clumps(rng):
    spots = rng.normal(size=(20, 3))
    return np.repeat(spots, 20, axis=0) + rng.normal(size=(400, 3)) * 1e-4


@pytest.mark.parametrize("make", [sheet, line, noise, copies, outlier, clumps])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_odd_clouds_give_a_closed_mesh(make, scale, rng):
    mesh = reconstruct_surface(PointCloud((make(rng) * scale).astype(np.float32)))
    check_closed(mesh)
    assert mesh.colors is None


def test_a_lone_point_does_not_blow_up_the_box(rng):
    mesh = reconstruct_surface(PointCloud(outlier(rng).astype(np.float32)))
    assert np.abs(mesh.vertices).max() < 1


def test_wrong_normals_still_give_a_closed_mesh(rng):
    cloud = sphere(1000, rng)
    random = rng.normal(size=(1000, 3))
    random /= np.linalg.norm(random, axis=1, keepdims=True)
    for normals in (-cloud.normals, random.astype(np.float32), np.zeros((1000, 3), np.float32)):
        check_closed(reconstruct_surface(PointCloud(cloud.positions, None, normals)))


def test_two_parts_stay_and_a_speck_goes(rng):
    parts = [((1, 1, 1), (0, 0, 0), (9, 9, 9)), ((0.5, 0.5, 0.5), (2, 0, 0), (9, 9, 9))]
    cloud = sample_surface(boxes(parts), 3000, rng).positions
    speck = np.array([1.2, 1.2, 0]) + rng.normal(size=(12, 3)) * 0.005
    vertices = reconstruct_surface(PointCloud(np.concatenate([cloud, speck]).astype("f4"))).vertices
    assert (vertices[:, 0] > 1.7).any()
    assert not ((np.abs(vertices - [1.2, 1.2, 0]) < 0.3).all(axis=1)).any()


def test_deterministic(rng):
    cloud = sphere(500, rng, normals=False)
    one, two = reconstruct_surface(cloud), reconstruct_surface(cloud)
    assert np.array_equal(one.vertices, two.vertices)
    assert np.array_equal(one.faces, two.faces)


def test_refuses(rng):
    cloud = sphere(300, rng)
    with pytest.raises(GeometryError, match="at least 16 distinct points, got 3"):
        reconstruct_surface(cloud.take(np.array([0, 1, 2] * 100)))
    with pytest.raises(GeometryError, match="resolution: must be 16 to 256, got 1000"):
        reconstruct_surface(cloud, resolution=1000)
    with pytest.raises(GeometryError, match="target_faces: must be at least 100, got 5"):
        reconstruct_surface(cloud, target_faces=5)


def test_cut_pinches_separates_two_boxes_that_share_an_edge():
    pair = boxes([((1, 1, 1), (0, 0, 0), (0, 0, 0)), ((1, 1, 1), (1, 1, 0), (0, 0, 0))])
    vertices, joined = np.unique(pair.vertices, axis=0, return_inverse=True)
    faces = joined.reshape(-1)[pair.faces].astype(np.int32)
    flap = np.array([[0, 1, 2], [2, 1, 0]], np.int32)
    assert 4 in edge_counts(faces)[0]
    points, cut = cut_pinches(vertices.astype(np.float64), np.concatenate([faces, flap]))
    assert edge_counts(cut) == ({2}, {0})
    assert volume(Mesh(points.astype(np.float32), cut)) == pytest.approx(2)


def test_box_volume(rng):
    cloud = sample_surface(box(), 4096, rng)
    assert volume(reconstruct_surface(cloud)) == pytest.approx(1, abs=0.05)
