import io

import numpy as np
import pytest
import trimesh

from geometry import obj, stl
from geometry.mesh import Mesh
from geometry.shading_normals import vertex_normals
from tests.geometry.shapes import box


def load(data, kind):
    return trimesh.load(io.BytesIO(data), file_type=kind, process=False, force="mesh")


@pytest.mark.parametrize("with_normals", [False, True])
def test_obj_in_trimesh(with_normals):
    mesh = box(color=(128, 64, 32))
    if with_normals:
        mesh = Mesh(mesh.vertices, mesh.faces, mesh.colors, vertex_normals(mesh))
    loaded = trimesh.load(
        io.BytesIO(obj.write_mesh(mesh)), file_type="obj", process=False, maintain_order=True
    )
    assert np.array_equal(loaded.vertices[loaded.faces], mesh.vertices[mesh.faces])
    assert loaded.visual.vertex_colors[0].tolist() == [128, 64, 32, 255]
    assert loaded.volume == pytest.approx(1)


def test_obj_has_provenance_in_comments():
    origin = {"model": "draft", "licence": "ends in \\", "job": "a\nv 9 9 9"}
    data = obj.write_mesh(box(), origin)
    lines = data.decode("ascii").splitlines()
    assert lines[:2] == ["# bozzetto", "# model: draft"]
    assert all(line.startswith("# ") for line in lines[:4])
    assert not any(line.endswith("\\") for line in lines)  # it would join the next line
    assert len(load(data, "obj").vertices) == 8


def test_faces_without_area():
    vertices = np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0]], np.float32)
    flat = Mesh(vertices, np.array([[0, 1, 2], [0, 0, 1]], np.int32))
    for kind, data in (("obj", obj.write_mesh(flat)), ("stl", stl.write_mesh(flat))):
        loaded = load(data, kind)
        assert len(loaded.faces) == 2
        assert np.isfinite(loaded.vertices).all()


def test_obj_keeps_float32_exactly_and_needs_no_colour():
    vertices = (np.random.default_rng(0).normal(size=(3, 3)) * 1e-5).astype(np.float32)
    data = obj.write_mesh(Mesh(vertices, np.array([[0, 1, 2]], np.int32)))
    rows = [line.split()[1:] for line in data.decode().splitlines() if line.startswith("v ")]
    assert np.array_equal(np.array(rows, np.float32), vertices)


def test_stl_in_trimesh():
    mesh = box(size=(1.0, 2.0, 3.0))
    data = stl.write_mesh(mesh)
    assert len(data) == 84 + 50 * 12
    assert not data.startswith(b"solid")
    loaded = load(data, "stl")
    assert np.array_equal(loaded.triangles.astype(np.float32), mesh.vertices[mesh.faces])
    assert loaded.volume == pytest.approx(6)
    assert np.allclose(np.linalg.norm(loaded.face_normals, axis=1), 1)


def test_stl_of_a_face_without_area_has_a_zero_normal():
    flat = Mesh(np.zeros((3, 3), np.float32), np.array([[0, 1, 2]], np.int32))
    assert not any(stl.write_mesh(flat)[84:96])
