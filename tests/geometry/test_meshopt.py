import base64
import json

import numpy as np
import pytest

from geometry import meshopt
from geometry.errors import GeometryError
from geometry.vertex_order import first_use, order_triangles
from tests.geometry.solids import torus


@pytest.fixture
def decode(run_node):
    """Decodes (mode, count, stride, data) by meshoptimizer, all in one process."""

    def run(blocks):
        names = ("mode", "count", "stride", "data")
        asked = [
            dict(zip(names, (*block[:3], base64.b64encode(block[3]).decode()), strict=True))
            for block in blocks
        ]
        answer = run_node("decode.mjs", stdin=json.dumps(asked))
        return [base64.b64decode(data) for data in answer]

    return run


def canonical(faces):
    """Each face from its smallest corner on; of several such, the first in order."""
    turns = np.stack([np.roll(faces, -turn, axis=1) for turn in range(3)], axis=1)
    return [min(map(tuple, three)) for three in turns.tolist()]


def test_attributes_of_every_size_come_back(decode, rng):
    cases = []
    for count in (1, 2, 15, 16, 17, 255, 256, 257, 1000):
        for stride in (4, 8, 12, 20, 64, 256):
            steps = rng.choice([0, 0.1, 1, 3, 100], stride)  # all codings
            rows = (rng.normal(size=(count, stride)) * steps).cumsum(axis=0)
            cases.append(rows.astype(np.int64).astype(np.uint8))
    blocks = [("ATTRIBUTES", *rows.shape, meshopt.encode_attributes(rows)) for rows in cases]
    for rows, decoded in zip(cases, decode(blocks), strict=True):
        assert decoded == rows.tobytes(), rows.shape


def test_layout_of_equal_rows():
    data = meshopt.encode_attributes(np.tile(np.array([1, 2, 3, 4], np.uint8), (16, 1)))
    assert data == b"\xa0" + bytes(4) + bytes(28) + b"\x01\x02\x03\x04"


def test_rows_of_wider_types_are_their_bytes(decode):
    rows = np.arange(60, dtype="<u2").reshape(15, 4) * 1000
    (decoded,) = decode([("ATTRIBUTES", 15, 8, meshopt.encode_attributes(rows))])
    assert np.array_equal(np.frombuffer(decoded, "<u2").reshape(15, 4), rows)


@pytest.mark.parametrize("shape", [(0, 4), (3, 3), (3, 260)])
def test_attributes_refused(shape):
    with pytest.raises(GeometryError, match="meshopt"):
        meshopt.encode_attributes(np.zeros(shape, np.uint8))


def walked(mesh):
    """The faces of `mesh` in the order, and with the numbers, of the GLB writer."""
    faces = mesh.faces[order_triangles(mesh.faces)]
    used = first_use(faces)
    number = np.empty(len(mesh.vertices), np.int64)
    number[used] = np.arange(len(used))
    return number[faces]


def test_triangles_come_back(decode, rng):
    cases = [
        walked(torus(40, 30)),
        torus(20, 10).faces,
        rng.permutation(torus(20, 10).faces),
        rng.integers(0, 500, (2000, 3)),
        rng.integers(0, 4, (500, 3)),  # many without area, and edges with many faces
        np.array([[0, 0, 0]]),
        np.array([[0, 1, 2], [3, 4, 5], [2, 1, 0], [9, 9, 8]]),
        np.array([[1, 0, 2], [7, 0, 3], [4, 3, 2]]),
        np.array([[2**31 - 1, 0, 5], [7, 2**31 - 2, 1], [0, 1, 2]]),
    ]
    blocks = [("TRIANGLES", f.size, 4, meshopt.encode_triangles(f)) for f in cases]
    for faces, data in zip(cases, decode(blocks), strict=True):
        decoded = np.frombuffer(data, "<u4").reshape(-1, 3).astype(np.int64)
        assert canonical(decoded) == canonical(faces)


def test_the_walk_makes_faces_cost_a_byte_each():
    mesh = torus(60, 40)
    ordered, as_it_is = (meshopt.encode_triangles(f) for f in (walked(mesh), mesh.faces))
    assert len(ordered) < 1.05 * len(mesh.faces) < len(as_it_is)
