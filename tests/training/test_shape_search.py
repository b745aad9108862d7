import numpy as np
import pytest

from tests.training.shapes import box, f32, joined, pack_mesh, sphere
from training.camera import frame_vertices
from training.meshes import split
from training.shape_search import YAWS, ShapeIndex, index_pack, mesh_cloud

# None looks like itself from another side, or like another one.
SHAPES = [
    joined(box((1, 0.2, 0.3), (0, 0.1, 0)), box((0.2, 0.6, 0.3), (0.4, 0.5, 0))),
    joined(box((0.3, 1, 0.3), (0, 0.5, 0)), box((0.7, 0.2, 0.2), (0.3, 0.9, 0.1))),
    joined(sphere(0.4, 12), box((0.1, 0.1, 0.9), (0.1, 0, 0.5))),
    joined(box((0.9, 0.1, 0.9), (0, 0.5, 0)), box((0.1, 0.5, 0.1), (0.4, 0.25, 0.4))),
]


def clouds(seed, n_points=600):
    rng = np.random.default_rng(seed)
    return np.stack([mesh_cloud(pack_mesh(*shape), n_points, rng) for shape in SHAPES])


def seen_from(shape, azimuth, seed=9):
    """A fresh cloud of a shape in the truth frame of a camera at `azimuth` (degrees)."""
    vertices, faces = SHAPES[shape]
    framed = frame_vertices(vertices, np.radians(azimuth))
    return mesh_cloud(pack_mesh(framed, faces), 600, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def index():
    outlines = [frame_vertices(vertices, 0.0) for vertices, _ in SHAPES]
    return ShapeIndex.build(clouds(0), outlines)


@pytest.mark.parametrize("yaw", range(YAWS))
@pytest.mark.parametrize("shape", range(len(SHAPES)))
def test_a_turned_shape_is_found_with_its_turn(index, shape, yaw):
    query = seen_from(shape, 45 * yaw)
    assert index.shortlist(query, 1) == [(shape, yaw)]
    best = index.nearest(query, depth=2)[0]
    assert (best.object, best.yaw) == (shape, yaw)
    assert best.distance < 0.03


def test_a_framed_cloud_is_what_that_camera_sees(index):
    for shape, (vertices, _) in enumerate(SHAPES):
        for yaw in (1, 6):
            truth = frame_vertices(vertices, np.radians(45 * yaw))
            framed = index.framed(shape, yaw)
            np.testing.assert_allclose(framed.min(axis=0), truth.min(axis=0), atol=0.03)
            np.testing.assert_allclose(framed.max(axis=0), truth.max(axis=0), atol=0.03)


def test_the_frame_does_not_depend_on_where_a_cloud_stands():
    near = ShapeIndex.build(clouds(0))
    far = ShapeIndex.build(clouds(0) * np.float32(3) + f32([5, -2, 1]))
    np.testing.assert_allclose(near.framed(2, 3), far.framed(2, 3), atol=1e-5)
    np.testing.assert_allclose(near.fields, far.fields, atol=1e-5)


def test_matches_come_nearest_first(index):
    matches = index.nearest(seen_from(1, 100), depth=4)
    distances = [match.distance for match in matches]
    assert distances == sorted(distances)
    assert sorted(match.object for match in matches) == [0, 1, 2, 3]


def test_a_wrong_turn_of_the_descriptor_is_set_right(index):
    class Mistaken(ShapeIndex):
        def shortlist(self, cloud, k):
            return [(number, (yaw + 4) % YAWS) for number, yaw in super().shortlist(cloud, k)]

    mistaken = Mistaken(index.clouds, index.frames, index.fields)
    best = mistaken.nearest(seen_from(3, 90), depth=4)[0]
    assert (best.object, best.yaw) == (3, 2)


def test_an_index_of_a_pack_is_kept_and_read_again(pack, tmp_path):
    few = split(pack).train[:6]
    first = index_pack(pack, few, n_points=32, cache_dir=tmp_path)
    [kept] = tmp_path.iterdir()
    written = kept.stat().st_mtime_ns
    second = index_pack(pack, few, n_points=32, cache_dir=tmp_path)
    assert kept.stat().st_mtime_ns == written
    np.testing.assert_array_equal(first.fields, second.fields)
    np.testing.assert_array_equal(first.framed(3, 5), second.framed(3, 5))
    index_pack(pack, few[:5], n_points=32, cache_dir=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
