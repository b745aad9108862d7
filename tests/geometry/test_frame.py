import numpy as np
import pytest

from geometry import frame
from geometry.errors import GeometryError
from geometry.mesh import Mesh
from geometry.point_cloud import PointCloud
from tests.geometry.shapes import box


def test_centre_is_the_boxes_and_sphere_has_diameter_one(rng):
    # Most points on one side: a mean would lie there, the box's centre does not.
    positions = np.concatenate([rng.random((500, 3)), [[-3.0, 0.0, 0.0]]]).astype(np.float32)
    placed = frame.normalise(PointCloud(positions)).positions
    assert np.allclose(placed.min(axis=0) + placed.max(axis=0), 0, atol=1e-6)
    assert np.linalg.norm(placed, axis=1).max() == pytest.approx(0.5, abs=1e-6)


def test_mesh_keeps_faces_colours_and_shape():
    mesh = box(size=(2.0, 4.0, 4.0), centre=(10.0, -5.0, 0.0))
    placed = frame.normalise(mesh)
    assert isinstance(placed, Mesh)
    assert placed.faces is mesh.faces
    assert placed.colors is mesh.colors
    assert np.allclose(np.ptp(placed.vertices, axis=0), np.array([2, 4, 4]) / 6)


def test_one_frame_serves_cloud_and_mesh():
    mesh = box(size=(2.0, 2.0, 2.0))
    shared = frame.measure(mesh.vertices)
    inner = frame.apply(shared, PointCloud((mesh.vertices[:1] / 2).astype(np.float32)))
    assert np.linalg.norm(inner.positions) == pytest.approx(0.25)


def test_one_point_goes_to_the_origin():
    placed = frame.normalise(PointCloud(np.full((3, 3), 7.0, np.float32)))
    assert not placed.positions.any()


@pytest.mark.parametrize("scale", [1e-42, 1e-6, 1e6, 3e38])
def test_extreme_scales(scale, rng):
    positions = (rng.uniform(-1, 1, (50, 3)) * scale).astype(np.float32)
    placed = frame.normalise(PointCloud(positions)).positions
    assert np.linalg.norm(placed, axis=1).max() == pytest.approx(0.5, abs=1e-5)


def test_refuses_what_has_no_frame():
    with pytest.raises(GeometryError, match="at least one point, all finite"):
        frame.measure(np.zeros((0, 3)))
    with pytest.raises(GeometryError, match="all finite"):
        frame.measure(np.full((2, 3), np.nan))
    far = frame.Frame(np.zeros(3), 1e30)
    with pytest.raises(GeometryError, match="NaN or infinity"):
        frame.apply(far, PointCloud(np.full((1, 3), 1e20, np.float32)))
