from itertools import pairwise

import numpy as np
import pytest

from geometry.vertex_order import first_use, order_points, order_triangles
from tests.geometry.shapes import box, chair
from tests.geometry.solids import torus


@pytest.mark.parametrize(
    "faces",
    [
        box().faces,
        chair().faces,  # six parts
        torus(30, 20).faces[np.random.default_rng(0).permutation(1200)],
        np.array([[0, 1, 2], [0, 1, 2], [0, 0, 0], [1, 0, 3], [0, 1, 4]]),  # shared too often
    ],
    ids=["box", "parts", "shuffled", "bad"],
)
def test_every_face_once(faces):
    assert sorted(order_triangles(faces)) == list(range(len(faces)))


def test_faces_that_follow_each_other_share_an_edge():
    mesh = torus(30, 20)
    shuffled = mesh.faces[np.random.default_rng(0).permutation(len(mesh.faces))]
    walked = shuffled[order_triangles(shuffled)]
    shared = [len({*one} & {*other}) for one, other in pairwise(walked)]
    assert np.mean(np.array(shared) == 2) > 0.98


def test_first_use():
    assert first_use(np.array([[7, 2, 2], [9, 7, 0]])).tolist() == [7, 2, 9, 0]


def test_points_that_follow_each_other_are_near(rng):
    points = rng.random((2000, 3)).astype(np.float32)
    order = order_points(points)
    assert sorted(order) == list(range(2000))
    steps = np.linalg.norm(np.diff(points[order], axis=0), axis=1)
    assert np.median(steps) < 0.25 * np.median(np.linalg.norm(np.diff(points, axis=0), axis=1))


@pytest.mark.parametrize("scale", [0.0, 1e-40, 1e38])
def test_points_at_the_limits_of_float32(scale, rng):
    points = (rng.normal(size=(50, 3)) * scale).astype(np.float32)
    assert sorted(order_points(points)) == list(range(50))
