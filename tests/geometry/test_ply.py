import io

import meshio
import numpy as np
import pytest
import trimesh

from geometry import ply
from geometry.errors import GeometryError
from geometry.point_cloud import PointCloud
from tests.geometry.shapes import box, known, sphere

HEADER = b"ply\nformat binary_little_endian 1.0\nelement vertex %d\n%send_header\n"


def by_meshio(data, tmp_path):
    path = tmp_path / "file.ply"
    path.write_bytes(data)
    return meshio.read(path)


def by_trimesh(data, **options):
    return trimesh.load(io.BytesIO(data), file_type="ply", **options)


def test_points_in_two_independent_readers(rng, tmp_path):
    cloud = sphere(300, rng)
    data = ply.write_points(cloud)
    one = by_trimesh(data)
    assert np.array_equal(one.vertices.astype(np.float32), cloud.positions)
    assert np.array_equal(one.colors[:, :3], cloud.colors)
    other = by_meshio(data, tmp_path)
    assert np.array_equal(other.points.astype(np.float32), cloud.positions)
    for axis, name in enumerate(("nx", "ny", "nz")):
        assert np.array_equal(other.point_data[name], cloud.normals[:, axis])
    for channel, name in enumerate(("red", "green", "blue")):
        # meshio takes uchar for int8.
        assert np.array_equal(other.point_data[name].view(np.uint8), cloud.colors[:, channel])


def test_mesh_in_two_independent_readers(tmp_path):
    mesh = box(color=(128, 64, 32))
    data = ply.write_mesh(mesh)
    one = by_trimesh(data, process=False)
    assert np.array_equal(one.faces, mesh.faces)
    assert np.array_equal(one.vertices.astype(np.float32), mesh.vertices)
    assert one.visual.vertex_colors[0].tolist() == [128, 64, 32, 255]
    other = by_meshio(data, tmp_path)
    assert np.array_equal(other.cells_dict["triangle"], mesh.faces)
    assert np.array_equal(other.points.astype(np.float32), mesh.vertices)


def test_own_reader_gives_back_what_was_written(rng):
    one = PointCloud(np.ones((1, 3), np.float32))
    for cloud in (sphere(50, rng), sphere(50, rng, normals=False), one):
        back = known(ply.read_points(ply.write_points(cloud)))
        assert np.array_equal(back.positions, cloud.positions)
        assert (back.colors is None) == (cloud.colors is None)
        assert (back.normals is None) == (cloud.normals is None)
        if cloud.colors is not None:
            assert np.array_equal(back.colors, cloud.colors)
        if cloud.normals is not None:
            assert np.allclose(back.normals, cloud.normals, atol=1e-6)


def test_reads_other_layouts():
    rows = np.zeros(2, [("w", "<i2"), ("z", "<f8"), ("y", "<f8"), ("x", "<f8")])
    rows["x"] = [1, 2]
    properties = b"comment hello\nproperty short w\n"
    properties += b"".join(b"property double %s\n" % name for name in (b"z", b"y", b"x"))
    cloud = ply.read_points(HEADER % (2, properties) + rows.tobytes())
    assert cloud.positions.tolist() == [[1, 0, 0], [2, 0, 0]]
    assert cloud.colors is None


def test_vertices_of_a_mesh_are_a_cloud():
    assert len(ply.read_points(ply.write_mesh(box()))) == 8


XYZ = b"property float x\nproperty float y\nproperty float z\n"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a PLY file"),
        (b"ply\nformat ascii 1.0\nelement vertex 1\nend_header\n", "only format binary_little"),
        (HEADER % (2, XYZ) + bytes(23), "truncated PLY: 2 vertices need 24 bytes, 23 are there"),
        (HEADER % (0, XYZ), "at least one point"),
        (HEADER % (1, XYZ) + np.full(3, np.nan, "<f4").tobytes(), "NaN"),
        (HEADER % (1, b"property float x\n") + bytes(4), "need x, y and z; got x"),
        (HEADER % (1, XYZ + b"property list uchar int k\n"), "cannot read vertex line"),
        (HEADER % (1, XYZ + b"property float x\n") + bytes(16), "named twice"),
        (b"ply\nformat binary_little_endian 1.0\nelement face 1\nend_header\n", "first element"),
        ((HEADER % (1, XYZ)).replace(b"vertex 1", b"vertex -1"), "bad vertex count"),
    ],
)
def test_refuses(data, message):
    with pytest.raises(GeometryError, match=message):
        ply.read_points(data)
