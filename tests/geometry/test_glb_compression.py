import json

import numpy as np
import pytest

from geometry import glb
from geometry.formats import Compression
from geometry.mesh import Mesh
from geometry.point_cloud import PointCloud
from geometry.srgb import from_linear
from tests.geometry.shapes import distances, sphere
from tests.geometry.solids import torus
from tests.geometry.test_glb import parse

COMPRESSIONS: tuple[Compression, ...] = ("none", "quantized", "meshopt")


@pytest.fixture
def shown(run_node, tmp_path):
    """What three.js has of a GLB file."""

    def load(data):
        path = tmp_path / "file.glb"
        path.write_bytes(data)
        scene = run_node("load.mjs", path)
        for name in ("positions", "normals", "colors"):
            scene[name] = np.array(scene[name]).reshape(-1, 3)
        return scene

    return load


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_three_shows_the_mesh(compression, shown, validate_glb):
    mesh = torus(40, 30)
    data = glb.write_mesh(mesh, {"seed": 3}, compression)
    validate_glb(data)
    scene = shown(data)
    assert scene["kind"] == "Mesh"
    assert scene["asset"]["extras"] == {"seed": 3}
    distance = np.linalg.norm(scene["positions"][:, None] - mesh.vertices, axis=2)
    same = distance.argmin(axis=1)
    assert sorted(same) == list(range(len(mesh.vertices)))
    assert (
        distance.min(axis=1).max() < {"none": 1e-7, "quantized": 2e-5, "meshopt": 8e-5}[compression]
    )
    normals = scene["normals"] / np.linalg.norm(scene["normals"], axis=1, keepdims=True)
    assert (normals * mesh.normals[same]).sum(axis=1).min() > 0.9999
    assert np.array_equal(from_linear(scene["colors"]), mesh.colors[same])
    faces = same[np.array(scene["indices"])].reshape(-1, 3)
    assert {frozenset(face) for face in faces.tolist()} == {
        frozenset(face) for face in mesh.faces.tolist()
    }
    after = Mesh(scene["positions"].astype("f4"), np.array(scene["indices"], "i4").reshape(-1, 3))
    corners = after.vertices[after.faces]
    outward = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert (
        (outward * normals[after.faces].sum(axis=1)).sum(axis=1) > 0
    ).all()  # no face was turned over


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_three_shows_the_cloud(compression, shown, validate_glb, rng):
    cloud = sphere(700, rng)
    data = glb.write_points(cloud, None, compression)
    validate_glb(data)
    scene = shown(data)
    assert scene["kind"] == "Points"
    assert scene["userData"]["pointSize"] == pytest.approx(0.135, abs=0.02)
    same = np.linalg.norm(scene["positions"][:, None] - cloud.positions, axis=2).argmin(axis=1)
    assert sorted(same) == list(range(700))
    assert distances(scene["positions"], cloud.positions).max() < 8e-5
    assert np.array_equal(from_linear(scene["colors"]), cloud.colors[same])


@pytest.mark.parametrize(
    "shape", [torus(60, 50), torus(60, 50, colors=False)], ids=["colour", "grey"]
)
def test_each_compression_is_smaller(shape):
    sizes = [len(glb.write_mesh(shape, None, compression)) for compression in COMPRESSIONS]
    assert sizes[1] < 0.8 * sizes[0]
    assert sizes[2] < 0.5 * sizes[1]


def test_extensions_are_required_only_where_used():
    for compression, required in zip(
        COMPRESSIONS,
        (None, ["KHR_mesh_quantization"], ["KHR_mesh_quantization", "EXT_meshopt_compression"]),
        strict=True,
    ):
        document, _ = parse(glb.write_mesh(torus(5, 4), None, compression))
        assert document.get("extensionsRequired") == required
        assert document.get("extensionsUsed") == required


def test_fallback_buffer():
    document, _ = parse(glb.write_mesh(torus(50, 40), None, "meshopt"))
    own, fallback = document["buffers"]
    assert fallback["extensions"] == {"EXT_meshopt_compression": {"fallback": True}}
    assert "uri" not in json.dumps(document)
    ends = [view["byteOffset"] + view["byteLength"] for view in document["bufferViews"]]
    assert fallback["byteLength"] >= max(ends)
    for view in document["bufferViews"]:
        source = view["extensions"]["EXT_meshopt_compression"]
        assert (view["buffer"], source["buffer"]) == (1, 0)
        assert source["count"] * source["byteStride"] == view["byteLength"]
        assert source["byteOffset"] + source["byteLength"] <= own["byteLength"]


def test_vertices_of_no_face_are_left_out_of_a_compressed_mesh(validate_glb):
    vertices = np.eye(4, 3, dtype=np.float32)
    data = glb.write_mesh(Mesh(vertices, np.array([[3, 0, 1]], np.int32)), None, "meshopt")
    validate_glb(data)
    document, _ = parse(data)
    assert [accessor["count"] for accessor in document["accessors"]] == [3, 3, 3]


@pytest.mark.parametrize("compression", COMPRESSIONS[1:])
def test_copies_of_one_point(compression, shown, validate_glb):
    cloud = PointCloud(np.full((40, 3), 0.3, np.float32))
    data = glb.write_points(cloud, None, compression)
    validate_glb(data)
    assert np.allclose(shown(data)["positions"], 0.3, atol=1e-7)
