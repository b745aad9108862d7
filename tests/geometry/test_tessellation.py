import numpy as np
import pytest

from geometry.mesh import Mesh
from geometry.shading_normals import face_vectors
from geometry.tessellation import coarser, facing_out, finer, used
from tests.geometry.shapes import box, chair, edge_counts, volume


def test_splitting_keeps_the_surface():
    split = finer(box())
    assert volume(split) == pytest.approx(1)
    assert edge_counts(split.faces) == ({2}, {0})
    edges = split.vertices[split.faces] - split.vertices[np.roll(split.faces, -1, axis=1)]
    assert np.linalg.norm(edges, axis=2).max() < 0.1


def test_merging_keeps_the_shape_and_thin_parts():
    many = finer(chair())
    for _ in range(2):
        many = finer(Mesh(many.vertices, many.faces, many.colors))
    few = coarser(many, len(many.faces) // 3)
    assert len(few.faces) < len(many.faces)
    assert np.abs(face_vectors(few.vertices, few.faces)).sum() == pytest.approx(
        np.abs(face_vectors(many.vertices, many.faces)).sum(), rel=0.1
    )
    assert np.ptp(few.vertices, axis=0) == pytest.approx(np.ptp(many.vertices, axis=0), abs=0.03)


def test_merging_to_a_point_leaves_a_face():
    point = Mesh(np.zeros((3, 3), np.float32), np.tile(np.array([[0, 1, 2]], np.int32), (9, 1)))
    assert len(coarser(point, 4).faces) == 1


def test_closed_meshes_are_known_and_turned():
    mesh, closed = facing_out(chair())
    assert closed
    assert np.array_equal(mesh.faces, chair().faces)
    inwards = Mesh(mesh.vertices, mesh.faces[:, ::-1].copy())
    turned, closed = facing_out(inwards)
    assert closed
    assert volume(turned) > 0
    open_, closed = facing_out(Mesh(mesh.vertices, mesh.faces[1:]))
    assert not closed
    assert np.array_equal(open_.faces, mesh.faces[1:])


def test_unused_vertices_go():
    mesh = Mesh(np.arange(15, dtype=np.float32).reshape(5, 3), np.array([[4, 1, 3]], np.int32))
    kept = used(mesh)
    assert np.array_equal(kept.vertices, mesh.vertices[[1, 3, 4]])
    assert kept.faces.tolist() == [[2, 0, 1]]
