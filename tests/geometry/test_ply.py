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


ORIGIN = {
    "model": "bozzetto-xs",
    "seed": 7,
    "params": {"steps": 16},
    "job": "two\nlines",
    "end_header": "end_header",
    "licence": "d\u00e9mo \\",
    "long": "x" * 5000,
}


@pytest.mark.parametrize("ascii", [False, True])
def test_points_in_two_independent_readers(ascii, rng, tmp_path):
    cloud = sphere(300, rng)
    data = ply.write_points(cloud, ORIGIN, ascii=ascii)
    one = by_trimesh(data)
    assert np.array_equal(one.vertices.astype(np.float32), cloud.positions)
    assert np.array_equal(one.colors[:, :3], cloud.colors)
    other = by_meshio(data, tmp_path)
    assert np.array_equal(other.points.astype(np.float32), cloud.positions)
    for axis, name in enumerate(("nx", "ny", "nz")):
        assert np.array_equal(other.point_data[name], cloud.normals[:, axis])
    for channel, name in enumerate(("red", "green", "blue")):
        # Of binary files meshio takes uchar for int8.
        assert np.array_equal(other.point_data[name].view(np.uint8), cloud.colors[:, channel])


@pytest.mark.parametrize("ascii", [False, True])
def test_mesh_in_two_independent_readers(ascii, tmp_path):
    mesh = box(color=(128, 64, 32))
    data = ply.write_mesh(mesh, ORIGIN, ascii=ascii)
    one = by_trimesh(data, process=False)
    assert np.array_equal(one.faces, mesh.faces)
    assert np.array_equal(one.vertices.astype(np.float32), mesh.vertices)
    assert one.visual.vertex_colors[0].tolist() == [128, 64, 32, 255]
    other = by_meshio(data, tmp_path)
    assert np.array_equal(other.cells_dict["triangle"], mesh.faces)
    assert np.array_equal(other.points.astype(np.float32), mesh.vertices)


def test_provenance_is_in_comments_of_one_line_each(rng):
    data = ply.write_points(sphere(3, rng), ORIGIN)
    header = data[: data.index(b"end_header\n")].decode("ascii").splitlines()
    assert header[2:9] == [
        "comment bozzetto",
        "comment model: bozzetto-xs",
        "comment seed: 7",
        'comment params: {"steps": 16}',
        'comment job: "two\\nlines"',
        "comment end-header: end-header",
        'comment licence: "d\\u00e9mo \\\\"',
    ]
    assert header[9].endswith("x...")
    assert len(header[9]) == len("comment ") + 1000
    assert header[10] == "element vertex 3"


def test_extras_must_be_json(rng):
    for extras in ({"a": object()}, {"a": float("nan")}):
        with pytest.raises(GeometryError, match="extras: not JSON"):
            ply.write_points(sphere(3, rng), extras)


@pytest.mark.parametrize("ascii", [False, True])
def test_own_reader_gives_back_what_was_written(ascii, rng):
    one = PointCloud(np.full((1, 3), 1.1754944e-38, np.float32))
    for cloud in (sphere(50, rng), sphere(50, rng, normals=False), one):
        back = known(ply.read_points(ply.write_points(cloud, ORIGIN, ascii=ascii)))
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


@pytest.mark.parametrize("ascii", [False, True])
def test_vertices_of_a_mesh_are_a_cloud(ascii):
    assert len(ply.read_points(ply.write_mesh(box(), ascii=ascii))) == 8


def test_reads_lines_that_end_in_cr_lf():
    text = b"ply\nformat ascii 1.0\ncomment end_header here\nelement vertex 2\n" + XYZ
    text += b"end_header\n1 2 3\n4 5 6e-1\n"
    cloud = ply.read_points(text.replace(b"\n", b"\r\n"))
    assert np.allclose(cloud.positions, np.array([[1, 2, 3], [4, 5, 0.6]]))


def test_normals_of_any_length_become_unit():
    rows = np.array([[0, 0, 0, 1e300, 0, 0], [0, 0, 0, 0, 3e-320, 4e-320]], "<f8")
    names = (b"x", b"y", b"z", b"nx", b"ny", b"nz")
    properties = b"".join(b"property double %s\n" % name for name in names)
    cloud = known(ply.read_points(HEADER % (2, properties) + rows.tobytes()))
    assert np.allclose(cloud.normals, np.array([[1, 0, 0], [0, 0.6, 0.8]]), atol=1e-3)


TEXT = HEADER.replace(b"binary_little_endian", b"ascii")
XYZ = b"property float x\nproperty float y\nproperty float z\n"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a PLY file"),
        (
            b"ply\nformat binary_big_endian 1.0\nelement vertex 1\nend_header\n",
            "only formats ascii",
        ),
        (b"ply\nformat\nelement vertex 1\nend_header\n", "only formats ascii"),
        (b"ply\n" + b"comment\n" * 10_000 + b"end_header\n", "not a PLY file"),
        (HEADER % (10**12, XYZ), "truncated PLY: 1000000000000 vertices"),
        (HEADER % (10**12, b""), "need x, y and z; got nothing"),
        ((HEADER % (1, XYZ)).replace(b"vertex 1", b"vertex " + b"9" * 5000), "bad vertex count"),
        (HEADER % (1, XYZ + b"property float opacity\n") + bytes(16), "Gaussian splats"),
        (TEXT % (10**12, XYZ), "truncated PLY: 1000000000000 vertices, but 0 lines"),
        (TEXT % (2, XYZ) + b"1 2 3\n", "truncated PLY: 2 vertices, but 1 lines"),
        (TEXT % (1, XYZ) + b"1 2\n", "has not the 3 values"),
        (TEXT % (1, XYZ) + b"1 2 3 4\n", "has not the 3 values"),
        (TEXT % (1, XYZ) + b"1 2 x\n", "no list of numbers"),
        (TEXT % (1, XYZ) + b"1 2 nan\n", "NaN"),
        (TEXT % (1, XYZ) + b"1 2 1e99\n", "infinity"),
        (TEXT % (1, XYZ + b"property uchar red\n") + b"1 2 3 256\n", "does not fit uint8"),
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


@pytest.mark.parametrize("ascii", [False, True])
def test_damaged_files_are_read_or_refused(ascii, rng):
    whole = ply.write_points(sphere(5, rng), {"seed": 1}, ascii=ascii)
    outcomes: set[type] = set()
    for _ in range(2000):
        data = bytearray(whole)
        start = rng.integers(len(data))
        data[start : start + rng.integers(3)] = rng.bytes(rng.integers(3))
        try:
            outcomes.add(type(ply.read_points(bytes(data))))
        except GeometryError as error:
            outcomes.add(type(error))
    assert outcomes == {PointCloud, GeometryError}
