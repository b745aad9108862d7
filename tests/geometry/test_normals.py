import numpy as np
import pytest

from geometry import normals as own
from geometry.errors import GeometryError
from geometry.point_cloud import PointCloud
from geometry.resample import sample_surface
from geometry.shading_normals import repair_normals, vertex_normals
from tests.geometry.shapes import box, boxes, chair, sphere


def estimate_normals(*arguments, **options):
    """The same, unannotated: here the normals are never None."""
    return own.estimate_normals(*arguments, **options)


def agreement(cloud, estimated):
    return (cloud.normals.astype(np.float64) * estimated.normals).sum(axis=1)


@pytest.mark.parametrize("count", [256, 4096])
def test_sphere_outwards(count, rng):
    cloud = sphere(count, rng)
    cosine = agreement(cloud, estimate_normals(PointCloud(cloud.positions)))
    assert cosine.min() > 0.8
    assert cosine.mean() > 0.98


def test_two_parts_and_the_inside_of_a_corner(rng):
    mesh = boxes([((1, 1, 1), (0, 0, 0), (9, 9, 9)), ((1, 1, 1), (3, 0, 0), (9, 9, 9))])
    cosine = agreement(c := sample_surface(mesh, 4096, rng), estimate_normals(c))
    assert (cosine > 0).mean() > 0.99


def test_both_faces_of_a_thin_plate(rng):
    cloud = sample_surface(box(size=(1.0, 0.02, 1.0)), 4096, rng)
    cosine = agreement(cloud, estimate_normals(cloud))
    assert (cosine > 0.5).mean() > 0.95


def test_a_thin_rod(rng):
    angle, along = rng.random((2, 100)) * [[2 * np.pi], [0.5]]
    outward = np.stack([np.cos(angle), np.zeros(100), np.sin(angle)], axis=1)
    positions = 0.015 * outward + along[:, None] * [0, 1, 0]
    estimated = estimate_normals(PointCloud(positions.astype(np.float32))).normals
    cosine = (estimated * outward).sum(axis=1)
    assert (cosine > 0).mean() > 0.8


def test_chair(rng):
    cloud = sample_surface(chair(), 4096, rng)
    assert (agreement(cloud, estimate_normals(cloud)) > 0).mean() > 0.93


def test_viewpoint(rng):
    cloud = sphere(500, rng)
    front = estimate_normals(cloud, viewpoint=(0, 0, 5)).normals
    towards = np.array([0, 0, 5]) - cloud.positions
    assert ((front * towards).sum(axis=1) >= 0).all()
    own = estimate_normals(cloud, viewpoint=3 * cloud.positions).normals
    assert ((own * cloud.positions).sum(axis=1) > 0).all()


def test_sheet_without_a_side_faces_the_camera(rng):
    sheet = rng.random((400, 3))
    sheet[:, 2] = 0
    assert (estimate_normals(PointCloud(sheet.astype(np.float32))).normals[:, 2] > 0.99).all()


@pytest.mark.parametrize("scale", [1e-30, 1e-6, 1e6, 1e30])
def test_scale_does_not_matter(scale, rng):
    cloud = sphere(300, rng)
    scaled = PointCloud((cloud.positions * np.float64(scale)).astype(np.float32))
    assert agreement(cloud, estimate_normals(scaled)).min() > 0.8


def test_floods_of_copies_and_degenerate_clouds(rng):
    flood = np.zeros((20_000, 3), np.float32)
    flood[:50] = rng.random((50, 3))
    estimated = estimate_normals(PointCloud(flood)).normals
    assert np.allclose(np.linalg.norm(estimated, axis=1), 1, atol=1e-5)
    assert (estimated[50:] == estimated[50]).all()
    assert not estimate_normals(PointCloud(flood[50:])).normals.any()
    line = np.outer(np.arange(20), [1, 2, 3]).astype(np.float32)
    assert np.isfinite(estimate_normals(PointCloud(line)).normals).all()


def test_refuses(rng):
    cloud = sphere(20, rng)
    with pytest.raises(GeometryError, match="neighbors: a plane needs at least 3, got 2"):
        estimate_normals(cloud, neighbors=2)
    with pytest.raises(GeometryError, match=r"viewpoint: expected \[3\] or \[20, 3\]"):
        estimate_normals(cloud, viewpoint=[[0, 0, 1]])


def test_mesh_normals_and_repair():
    mesh = box()
    normals = vertex_normals(mesh)
    assert ((normals * mesh.vertices).sum(axis=1) > 0.5).all()
    positions = np.array([[-1, 0, 0], [0, 0, 0], [1, 0, 0]], np.float32)
    repaired = repair_normals(np.array([[0, 0, 0], [0, 0, 0], [0, 5, 0]], np.float32), positions)
    assert repaired.tolist() == [[-1, 0, 0], [0, 0, 1], [0, 1, 0]]
