import numpy as np

from tests.training.shapes import box, joined, pack_mesh
from training.materials import face_components, recolour


def test_components_follow_shared_vertices():
    vertices, faces = joined(box(), box(center=(2, 0, 0)), box(center=(4, 0, 0)))
    part = face_components(faces, len(vertices))
    np.testing.assert_array_equal(part, np.repeat([0, 1, 2], 12))


def test_a_single_colour_object_gets_one_colour_per_part():
    vertices, faces = joined(*[box(center=(2 * k, 0, 0)) for k in range(8)])
    mesh = pack_mesh(vertices, faces, colors=(255, 255, 255))
    rng = np.random.default_rng(0)
    several = 0
    for _ in range(40):
        colors = recolour(mesh, rng).reshape(8, 12, 3)
        assert (colors == colors[:, :1]).all()
        several += len(np.unique(colors[:, 0], axis=0)) > 1
    assert 10 < several < 40


def test_a_coloured_object_keeps_its_pattern():
    mesh = pack_mesh(*box())
    mesh.face_colors[:6] = [30, 120, 200]
    rng = np.random.default_rng(1)
    kept = 0
    for _ in range(40):
        colors = recolour(mesh, rng)
        assert len(np.unique(colors, axis=0)) <= 2
        assert (colors[:6] == colors[0]).all()
        kept += (colors == mesh.face_colors).all()
    assert 5 < kept < 35


def test_the_mesh_itself_is_not_changed():
    mesh = pack_mesh(*box())
    before = mesh.face_colors.copy()
    for seed in range(10):
        recolour(mesh, np.random.default_rng(seed))
    np.testing.assert_array_equal(mesh.face_colors, before)
