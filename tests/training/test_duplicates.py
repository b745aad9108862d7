from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.training.shapes import box, f32, joined, pack_mesh, sphere
from training.camera import frame_vertices
from training.duplicates import (
    Pair,
    Surface,
    nearest_pair,
    summary,
    surface_chamfer,
    table,
    triangle_distances,
)
from training.shape_search import ShapeIndex, mesh_cloud

CORNERS = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], np.float64)
LEFT_HANDED = joined(
    box((1, 0.2, 0.4), (0, 0.1, 0)), box((0.2, 0.8, 0.2), (0.3, 0.5, 0.1)), sphere(0.15, 8)
)
OTHER = joined(box((0.4, 1, 0.4), (0, 0.5, 0)), box((1, 0.1, 0.3), (0, 1, 0)))


@pytest.mark.parametrize(
    ("point", "distance"),
    [
        ((0.25, 0.25, 0.3), 0.3),  # above the inside
        ((0.25, 0.25, 0), 0),
        ((0.5, -0.4, 0), 0.4),  # beside an edge
        ((1, 1, 0), 0.5**0.5),  # beside the long edge
        ((-3, -4, 0), 5),  # beyond a corner
        ((4, 0, 4), 5),
    ],
)
def test_the_distance_to_a_triangle_is_exact(point, distance):
    found = triangle_distances(np.array(point, np.float64), CORNERS)
    assert found == pytest.approx(distance, abs=1e-12)


def test_a_triangle_without_area_is_a_segment():
    corners = np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0]], np.float64)
    assert triangle_distances(np.array([1.5, 2.0, 0]), corners) == pytest.approx(2)


def test_a_surface_has_no_distance_to_itself_however_it_is_cut():
    vertices, faces = box((0.5, 0.5, 0.5))
    finer, finer_faces = joined(
        box((0.5, 0.5, 0.25), (0, 0, -0.125)), box((0.5, 0.5, 0.25), (0, 0, 0.125))
    )
    same = Surface(vertices, faces)
    assert surface_chamfer(same, Surface(vertices, faces)) < 1e-5
    split = Surface(finer, finer_faces)  # with a wall inside that the other lacks
    assert 0.01 < surface_chamfer(same, split) < 0.05


def test_concentric_spheres_are_as_far_apart_as_their_radii():
    inner, outer = Surface(*sphere(0.4, 32)), Surface(*sphere(0.5, 32))
    assert surface_chamfer(inner, outer) == pytest.approx(0.1, abs=2e-3)


def objects(*shapes) -> tuple[Any, ...]:
    """A stand-in for a pack of `shapes`, and their index."""
    meshes = [replace(pack_mesh(*shape), path=f"kit/{k}.glb") for k, shape in enumerate(shapes)]
    rng = np.random.default_rng(0)
    index = ShapeIndex.build(np.stack([mesh_cloud(mesh, 512, rng) for mesh in meshes]))
    return SimpleNamespace(mesh=meshes.__getitem__), np.arange(len(meshes)), index


def test_a_turned_mirror_image_is_found_as_a_duplicate():
    vertices, faces = LEFT_HANDED
    mirrored = frame_vertices(vertices * f32([-1, 1, 1]), np.pi / 2)
    pair = nearest_pair(pack_mesh(vertices, faces), *objects(OTHER, (mirrored, faces)))
    assert pair.train == "kit/1.glb"
    assert pair.mirrored
    assert pair.yaw in (2, 6)
    assert pair.distance < 1e-4


def test_a_different_shape_is_no_duplicate():
    pair = nearest_pair(pack_mesh(*LEFT_HANDED), *objects(OTHER))
    assert pair.distance > 0.03


def test_the_report_counts_and_lists_the_nearest_first():
    pairs = [Pair(f"a/{k}.glb", "b.glb", 0, k == 1, d) for k, d in enumerate((0.02, 0.004, 0.012))]
    report: dict[str, Any] = summary(pairs)
    assert report["below"] == {"0.005": 1, "0.01": 1, "0.015": 2}
    assert [pair["val"] for pair in report["pairs"]] == ["a/1.glb", "a/2.glb", "a/0.glb"]
    rows = table(pairs).splitlines()
    assert rows[2] == "| a/1 | b, mirrored | 0.0040 |"
    assert len(rows) == 5
