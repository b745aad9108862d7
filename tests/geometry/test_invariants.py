import numpy as np
import pytest

from geometry.errors import GeometryError
from geometry.mesh import Mesh
from geometry.point_cloud import PointCloud

POINTS = np.zeros((4, 3), np.float32)
FACES = np.array([[0, 1, 2]], np.int32)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((4, 2), np.float32),), r"positions: expected \[N, 3\] float32, got \[4, 2\]"),
        ((np.zeros((4, 3)),), "got .* float64"),
        ((np.zeros((0, 3), np.float32),), "at least one point"),
        ((np.full((4, 3), np.nan, np.float32),), "positions: has NaN or infinity"),
        ((np.full((4, 3), np.inf, np.float32),), "positions: has NaN or infinity"),
        ((POINTS, np.zeros((3, 3), np.uint8)), r"colors: expected \[4, 3\] uint8, got \[3, 3\]"),
        ((POINTS, None, np.zeros((4, 3))), r"normals: expected \[4, 3\] float32"),
    ],
)
def test_point_cloud_refuses(arguments, message):
    with pytest.raises(GeometryError, match=message):
        PointCloud(*arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((POINTS, FACES.astype(np.int64)), r"faces: expected \[N, 3\] int32, got \[1, 3\] int64"),
        ((POINTS, np.zeros((0, 3), np.int32)), "at least one face"),
        ((POINTS, FACES + 2), r"indices must lie in 0\.\.3, got 2\.\.4"),
        ((POINTS, FACES - 1), r"got -1\.\.1"),
        ((POINTS, FACES, np.zeros((1, 3), np.uint8)), "colors: expected"),
        ((POINTS * np.nan, FACES), "vertices: has NaN"),
    ],
)
def test_mesh_refuses(arguments, message):
    with pytest.raises(GeometryError, match=message):
        Mesh(*arguments)


def test_take_keeps_the_order_asked_for():
    cloud = PointCloud(np.arange(12, dtype=np.float32).reshape(4, 3), np.eye(4, 3, dtype=np.uint8))
    some = cloud.take(np.array([2, 0]))
    assert some.positions[:, 0].tolist() == [6.0, 0.0]
    assert some.colors is not None
    assert some.colors[0].tolist() == [0, 0, 1]
    assert some.normals is None
    assert len(cloud.take(np.array([True, False, True, False]))) == 2
