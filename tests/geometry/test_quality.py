import numpy as np
import pytest
import trimesh

from geometry.errors import GeometryError
from geometry.mesh import Mesh
from geometry.point_cloud import PointCloud
from geometry.quality import MeshQuality, measure_quality
from geometry.resample import sample_surface
from geometry.surface import reconstruct_surface
from tests.geometry.shapes import box, boxes, chair, sphere


def moved(cloud: PointCloud, distance: float) -> PointCloud:
    """Points of a box's surface, moved outwards."""
    assert cloud.normals is not None
    return PointCloud((cloud.positions + distance * cloud.normals).astype(np.float32))


@pytest.mark.parametrize("distance", [0.0, 0.01, 0.2])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_distance_does_not_depend_on_the_scale(distance, scale, rng):
    mesh = box()
    cloud = moved(sample_surface(mesh, 3000, rng), distance)
    big = Mesh(mesh.vertices * np.float32(scale), mesh.faces)
    quality = measure_quality(big, PointCloud(cloud.positions * np.float32(scale)))
    corner = cloud.positions - cloud.positions.mean(axis=0)
    diameter = 2 * np.linalg.norm(corner, axis=1).max()
    assert quality.mean_distance == pytest.approx(distance / diameter, rel=0.02, abs=1e-6)
    assert quality == MeshQuality(True, 1, 12, quality.mean_distance)


def test_against_all_faces(rng):
    cloud = sample_surface(chair(), 800, rng)
    mesh = reconstruct_surface(cloud, target_faces=600)
    away = [np.inf] * len(cloud)
    for corners in mesh.vertices[mesh.faces].astype(np.float64):
        triangles = np.broadcast_to(corners, (len(cloud), 3, 3))
        closest = trimesh.triangles.closest_point(triangles, cloud.positions)
        away = np.minimum(away, np.linalg.norm(closest - cloud.positions, axis=1))
    extent = np.ptp(cloud.positions, axis=0)
    centred = cloud.positions - (cloud.positions.min(axis=0) + extent / 2)
    exact = np.mean(away) / (2 * np.linalg.norm(centred, axis=1).max())
    assert measure_quality(mesh, cloud).mean_distance == pytest.approx(exact, rel=0.03)


@pytest.mark.parametrize("target", [200, 5000, 10**6])
def test_watertight_and_components_as_trimesh_has_them(target, rng):
    cloud = sphere(2000, rng)
    two = PointCloud(np.concatenate([cloud.positions, cloud.positions + np.float32(2)]))
    mesh = reconstruct_surface(two, target_faces=target)
    quality = measure_quality(mesh, two)
    judged = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    assert quality.watertight == judged.is_watertight is True
    assert quality.components == judged.body_count == 2
    assert quality.faces == len(mesh.faces)


def test_corners_that_only_share_positions_are_joined():
    mesh = box()
    apart = Mesh(
        mesh.vertices[mesh.faces].reshape(-1, 3), np.arange(36, dtype=np.int32).reshape(-1, 3)
    )
    assert measure_quality(apart, PointCloud(mesh.vertices)) == MeshQuality(True, 1, 12, 0.0)


@pytest.mark.parametrize("fault", ["hole", "flipped", "doubled"])
def test_what_is_not_watertight(fault):
    mesh = box()
    faces = mesh.faces.copy()
    if fault == "hole":
        faces = faces[1:]
    elif fault == "flipped":
        faces[0] = faces[0][::-1]
    else:
        faces = np.concatenate([faces, faces[:1]])
    quality = measure_quality(Mesh(mesh.vertices, faces), PointCloud(mesh.vertices))
    assert not quality.watertight


def test_faces_without_area_only_count():
    mesh = box()
    flat = np.array([[0, 0, 1], [0, 1, 1]], np.int32)
    more = Mesh(mesh.vertices, np.concatenate([mesh.faces, flat]))
    assert measure_quality(more, PointCloud(mesh.vertices)) == MeshQuality(True, 1, 14, 0.0)
    with pytest.raises(GeometryError, match="no area"):
        measure_quality(Mesh(mesh.vertices, flat), PointCloud(mesh.vertices))


def test_many_points_and_copies_of_one(rng):
    mesh = boxes([((1, 1, 1), (0, 0, 0), (9, 9, 9)), ((1, 1, 1), (3, 0, 0), (9, 9, 9))])
    many = measure_quality(mesh, sample_surface(mesh, 1_000_000, rng))
    assert many.components == 2
    assert many.mean_distance < 1e-6
    copies = PointCloud(np.zeros((100_000, 3), np.float32))
    assert np.isfinite(measure_quality(mesh, copies).mean_distance)
