import numpy as np
import pytest

from tests.training.shapes import box, f32, i32, joined, sphere
from training.camera import DegenerateMeshError
from training.render import Scene
from training.surface import sample_outer_surface, sample_surface


def test_samples_are_on_the_surface_and_uniform_by_area():
    vertices, faces = box((1, 2, 3))
    drawn = sample_surface(Scene(vertices, faces), 20_000, np.random.default_rng(0))
    off = np.abs(np.abs(drawn.points) - f32([0.5, 1, 1.5])).min(axis=1)
    assert off.max() < 1e-6
    side = np.bincount(drawn.faces // 4, minlength=3) / 20_000
    np.testing.assert_allclose(side, np.array([6, 3, 2]) / 11, atol=0.02)
    assert np.abs(drawn.points.mean(axis=0)).max() < 0.03


def test_what_is_hidden_inside_gets_no_points():
    scene = Scene(*joined(sphere(0.5, 16), box((0.3, 0.3, 0.3))))
    drawn = sample_outer_surface(scene, 2000, np.random.default_rng(0))
    assert len(drawn.points) == 2000
    assert np.linalg.norm(drawn.points, axis=1).min() > 0.48


def test_both_sides_of_an_open_sheet_are_outside():
    sheet = f32([[0, 0, 0], [1, 0, 0], [0, 1, 0]])
    drawn = sample_outer_surface(Scene(sheet, i32([[0, 1, 2]])), 100, np.random.default_rng(0))
    assert (drawn.faces == 0).all()


def test_no_points_cost_nothing():
    drawn = sample_outer_surface(Scene(*box()), 0, np.random.default_rng(0))
    assert drawn.points.shape == (0, 3)


def test_a_mesh_without_area_is_degenerate():
    line = f32([[0, 0, 0], [1, 0, 0], [2, 0, 0]])
    with pytest.raises(DegenerateMeshError):
        sample_surface(Scene(line, i32([[0, 1, 2]])), 10, np.random.default_rng(0))


def test_normals_point_outwards_whatever_the_winding():
    vertices, faces = sphere(0.5, 16)
    turned = np.where(np.arange(len(faces))[:, None] % 2 == 0, faces, faces[:, ::-1])
    scene = Scene(vertices, i32(turned))
    drawn = sample_outer_surface(scene, 500, np.random.default_rng(0))
    assert (np.einsum("nc,nc->n", drawn.normals(scene), drawn.points) > 0.45).all()


def test_points_without_an_outside_have_no_normals():
    scene = Scene(*box())
    with pytest.raises(ValueError, match="outside"):
        sample_surface(scene, 10, np.random.default_rng(0)).normals(scene)
