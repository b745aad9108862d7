import io
import json

import numpy as np
import pytest
import trimesh

from geometry import glb
from geometry.errors import GeometryError
from geometry.mesh import Mesh
from geometry.point_cloud import PointCloud
from tests.geometry.shapes import box, distances, sphere

DTYPES = {5123: "<u2", 5125: "<u4", 5126: "<f4"}
WIDTHS = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}


def parse(data):
    """The JSON document of a GLB, and a function from accessor number to array."""
    length = int.from_bytes(data[12:16], "little")
    document = json.loads(data[20 : 20 + length])
    chunk = data[20 + length + 8 :]

    def read(number):
        accessor = document["accessors"][number]
        view = document["bufferViews"][accessor["bufferView"]]
        width = WIDTHS[accessor["type"]]
        array = np.frombuffer(
            chunk, DTYPES[accessor["componentType"]], accessor["count"] * width, view["byteOffset"]
        )
        return array.reshape(-1, width)

    return document, read


def primitive(document):
    return document["meshes"][0]["primitives"][0]


def test_points(rng, validate_glb):
    cloud = sphere(301, rng)
    data = glb.write_points(cloud, {"model": "draft", "seed": 7})
    validate_glb(data)
    document, read = parse(data)
    assert document["asset"] == {
        "version": "2.0",
        "generator": "bozzetto",
        "extras": {"model": "draft", "seed": 7},
    }
    assert primitive(document)["mode"] == 0
    assert document["extensionsUsed"] == ["KHR_materials_unlit"]
    attributes = primitive(document)["attributes"]
    assert np.array_equal(read(attributes["POSITION"]), cloud.positions)
    accessor = document["accessors"][attributes["POSITION"]]
    assert accessor["min"] == cloud.positions.min(axis=0).tolist()
    assert accessor["max"] == cloud.positions.max(axis=0).tolist()
    assert all(view["byteOffset"] % 4 == 0 for view in document["bufferViews"])
    loaded = trimesh.load(io.BytesIO(data), file_type="glb", force="scene")
    (points,) = loaded.geometry.values()
    assert np.array_equal(points.vertices.astype(np.float32), cloud.positions)


def test_colours_are_linear_and_every_srgb_step_is_kept(validate_glb):
    every = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(-1, 3)
    data = glb.write_points(PointCloud(np.random.default_rng(1).random((256, 3), "f4"), every))
    validate_glb(data)
    document, read = parse(data)
    number = primitive(document)["attributes"]["COLOR_0"]
    assert document["accessors"][number]["normalized"] is True
    light = read(number) / 65535
    assert light[128, 0] == pytest.approx(0.2158605, abs=1e-5)
    assert light[0, 0] == 0
    assert light[255].tolist() == [1, 1, 1, 1]
    assert len(np.unique(light[:, 0])) == 256


def test_mesh(validate_glb):
    mesh = box()
    data = glb.write_mesh(mesh)
    validate_glb(data)
    document, read = parse(data)
    assert primitive(document)["mode"] == 4
    assert np.array_equal(read(primitive(document)["indices"]).reshape(-1, 3), mesh.faces)
    normals = read(primitive(document)["attributes"]["NORMAL"])
    assert np.allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-6)
    assert ((normals * mesh.vertices).sum(axis=1) > 0).all()  # outwards
    assert document["materials"][0]["pbrMetallicRoughness"]["metallicFactor"] == 0
    assert "extensionsUsed" not in document
    targets = {view["target"] for view in document["bufferViews"]}
    assert targets == {34962, 34963}
    loaded = trimesh.load(io.BytesIO(data), file_type="glb", force="mesh")
    assert loaded.is_watertight
    assert loaded.volume == pytest.approx(1)


@pytest.mark.parametrize("count", [65535, 65536])
def test_index_width_at_the_limit_of_16_bits(count, validate_glb):
    vertices = np.random.default_rng(0).random((count, 3), "f4")
    faces = np.array([[0, 1, count - 1]], np.int32)
    data = glb.write_mesh(Mesh(vertices, faces))
    validate_glb(data)
    document, read = parse(data)
    indices = primitive(document)["indices"]
    assert document["accessors"][indices]["componentType"] == (5123 if count == 65535 else 5125)
    assert read(indices)[-1, 0] == count - 1


def test_dots_of_the_suggested_size_close_the_surface(rng):
    cloud = sphere(1000, rng)
    document, _ = parse(glb.write_points(cloud))
    size = primitive(document)["extras"]["pointSize"]
    elsewhere = sphere(5000, rng).positions
    assert np.mean(distances(elsewhere, cloud.positions) > size / 2) < 0.06
    assert size < 0.15
    single, _ = parse(glb.write_points(PointCloud(np.ones((5, 3), np.float32))))
    assert primitive(single)["extras"] == {"pointSize": 0}


def test_zero_normals_are_repaired_or_left_out(rng, validate_glbs):
    cloud = sphere(20, rng)
    some = cloud.normals.copy()
    some[::2] = 0
    repaired = glb.write_points(PointCloud(cloud.positions, None, some))
    unknown = glb.write_points(PointCloud(cloud.positions, None, np.zeros_like(some)))
    validate_glbs([repaired, unknown])
    document, read = parse(repaired)
    normals = read(primitive(document)["attributes"]["NORMAL"])
    assert np.allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-6)
    assert "NORMAL" not in primitive(parse(unknown)[0])["attributes"]


def test_faces_without_area_and_unused_vertices(validate_glb):
    vertices = np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0], [5, 5, 5]], np.float32)
    validate_glb(glb.write_mesh(Mesh(vertices, np.array([[0, 1, 2], [0, 0, 1]], np.int32))))


def test_extras_must_be_json(rng):
    for extras in ({"a": object()}, {"a": float("nan")}):
        with pytest.raises(GeometryError, match="extras: not JSON"):
            glb.write_points(sphere(3, rng), extras)


def test_validator_finds_what_is_wrong(rng, validate_glb):
    data = bytearray(glb.write_mesh(box()))
    data[-4:] = b"\xff\xff\xff\x7f"  # an index out of range
    with pytest.raises(AssertionError, match="ACCESSOR"):
        validate_glb(bytes(data))
