import numpy as np
import pytest

from training.buildings.facades import storeys
from training.buildings.generate import BUILDING_SOURCE, KINDS, random_building, random_style
from training.buildings.roofs import ROOFS, roof
from training.buildings.solids import Rect, box, joined, loft, quad, ring
from training.materials import face_components

RED, GREY = (200, 30, 20), (90, 90, 90)


def volume(solid):
    """Of a closed solid whose faces look outwards, positive."""
    a, b, c = np.moveaxis(solid.vertices[solid.faces], 1, 0)
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6)


def unmatched_edges(solid):
    """Directed edges, by place, whose opposite is not there as often."""
    corners = np.round(solid.vertices, 6)[solid.faces]
    edges: dict[tuple[tuple[float, ...], ...], int] = {}
    for face in corners:
        for k in range(3):
            a, b = tuple(face[k]), tuple(face[(k + 1) % 3])
            if a != b:
                edges[a, b] = edges.get((a, b), 0) + 1
    return [edge for edge, count in edges.items() if edges.get(edge[::-1], 0) != count]


def test_a_box_is_closed_and_has_its_volume():
    solid = box(Rect(1, 2, 4, 6), 0.5, 2.5, RED, GREY)

    assert volume(solid) == pytest.approx(3 * 4 * 2)
    assert unmatched_edges(solid) == []
    top = solid.vertices[solid.faces].min(axis=1)[:, 1] == 2.5
    assert (solid.colors[top] == GREY).all()
    assert (solid.colors[~top] == RED).all()


def test_a_loft_to_a_point_is_a_pyramid():
    rect = Rect(0, 0, 6, 6)
    solid = loft([ring(rect, 0), ring(rect.inset(3, 3), 2)], [RED], RED)

    assert volume(solid) == pytest.approx(6 * 6 * 2 / 3)


def test_insets_stop_at_a_line():
    assert Rect(0, 0, 4, 2).inset(9, 1).size == (0, 0)
    assert Rect(0, 0, 4, 2).inset(-1, -1).size == (6, 4)


def test_joined_solids_keep_their_own_faces():
    flat = quad(np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]), RED)
    both = joined([flat, box(Rect(0, 0, 1, 1), 0, 1, GREY)])

    assert both.faces[:2].max() < 4 <= both.faces[2:].min()
    assert both.faces.max() == len(both.vertices) - 1


@pytest.mark.parametrize("kind", ROOFS)
def test_every_roof_is_closed_stands_on_the_walls_and_rises(kind):
    solid = roof(kind, Rect(-4, -3, 4, 3), 6.0, 0.8, 0.0, RED, GREY)

    assert unmatched_edges(solid) == []
    assert volume(solid) > 0
    low, high = solid.vertices[:, 1].min(), solid.vertices[:, 1].max()
    assert 5.5 < low <= 6.0 < high
    assert np.abs(solid.vertices[:, 0]).max() <= 4 + 1e-9
    assert np.abs(solid.vertices[:, 2]).max() <= 3 + 1e-9


@pytest.mark.parametrize(
    ("kind", "ridge"), [("gable", 8.0), ("hip", 8.0 - 6.0), ("pyramid", 0.0), ("gambrel", 8.0)]
)
def test_the_ridge_is_as_long_as_the_type_wants(kind, ridge):
    """Along the longer side, whichever that is."""
    for turned in (False, True):
        rect = Rect(-3, -4, 3, 4) if turned else Rect(-4, -3, 4, 3)
        solid = roof(kind, rect, 6.0, 0.5, 0.0, RED, GREY)
        top = solid.vertices[solid.vertices[:, 1] > 6.0 + 1.5 - 1e-6]
        along, across = (2, 0) if turned else (0, 2)

        assert np.ptp(top[:, along]) == pytest.approx(ridge)
        assert np.ptp(top[:, across]) == pytest.approx(0)


def test_gables_have_the_colour_of_the_wall():
    solid = roof("gable", Rect(-4, -3, 4, 3), 6.0, 0.5, 0.0, RED, GREY)
    corners = solid.vertices[solid.faces]
    upright = (np.ptp(corners[:, :, 0], axis=1) < 1e-9) & (np.ptp(corners[:, :, 1], axis=1) > 1)

    assert upright.any()
    assert (solid.colors[upright] == GREY).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_building_is_a_mesh_as_packs_have_them(kind):
    rng = np.random.default_rng(4)
    for _ in range(8):
        mesh = random_building(rng, kind)

        assert mesh.category == kind
        assert mesh.source == BUILDING_SOURCE
        assert mesh.vertices.dtype == np.float32
        assert mesh.faces.dtype == np.int32
        assert mesh.face_colors.dtype == np.uint8
        assert np.isfinite(mesh.vertices).all()
        assert np.ptp(mesh.vertices, axis=0).max() == pytest.approx(1, abs=1e-6)
        assert mesh.vertices[:, 1].min() == 0
        assert mesh.face_colors.shape == mesh.faces.shape
        assert mesh.faces.min() >= 0
        assert mesh.faces.max() < len(mesh.vertices)
        assert len(mesh.faces) < 60_000
        assert int(face_components(mesh.faces, len(mesh.vertices)).max()) > 0


def test_buildings_are_fixed_by_their_seed_and_differ():
    first, again, other = (random_building(np.random.default_rng(seed)) for seed in (0, 0, 1))

    np.testing.assert_array_equal(first.vertices, again.vertices)
    np.testing.assert_array_equal(first.face_colors, again.face_colors)
    assert first.vertices.shape != other.vertices.shape


def test_all_kinds_are_drawn():
    rng = np.random.default_rng(0)
    assert {random_building(rng).category for _ in range(60)} == set(KINDS)


def test_walls_show_windows_and_a_door():
    rng = np.random.default_rng(0)
    style = random_style(rng)
    solid = storeys(Rect(0, 0, 12, 9), 0.0, 3, style, rng)
    for colour in (style.window, style.door, style.wall):
        assert (solid.colors == colour).all(axis=1).any()
    plain = storeys(Rect(0, 0, 12, 9), 0.0, 3, style.plain(), rng)
    assert not (plain.colors == style.window).all(axis=1).any()
