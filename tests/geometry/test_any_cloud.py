"""Whatever finite cloud comes, its files are valid."""

import io

import numpy as np
import trimesh
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geometry import glb, ply
from geometry.point_cloud import PointCloud


@st.composite
def clouds(draw):
    count = draw(st.integers(1, 300))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = 10.0 ** draw(st.integers(-6, 6))
    shift = scale * draw(st.sampled_from([0.0, 1.0, 1000.0]))
    positions = rng.normal(size=(count, 3)) * scale + shift
    kind = draw(st.sampled_from(["free", "copies", "flat", "line"]))
    if kind == "copies":
        positions[:] = positions[0]
    elif kind == "flat":
        positions[:, 1] = shift
    elif kind == "line":
        positions[:, :2] = shift
    colors = normals = None
    if draw(st.booleans()):
        colors = rng.integers(0, 256, (count, 3)).astype(np.uint8)
        if draw(st.booleans()):
            colors[:] = colors[0]
    if draw(st.booleans()):
        directions = rng.normal(size=(count, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        directions[rng.random(count) < draw(st.sampled_from([0.0, 0.3, 1.0]))] = 0
        normals = directions.astype(np.float32)
    return PointCloud(positions.astype(np.float32), colors, normals)


def test_ply_and_glb(validate_glbs):
    files: list[bytes] = []

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(clouds(), st.sampled_from(["none", "quantized", "meshopt"]), st.booleans())
    def check(cloud, compression, ascii):
        files.append(glb.write_points(cloud, None, compression))
        data = ply.write_points(cloud, ascii=ascii)
        loaded = trimesh.load(io.BytesIO(data), file_type="ply")
        assert np.array_equal(loaded.vertices.astype(np.float32), cloud.positions)
        back = ply.read_points(data)
        assert np.array_equal(back.positions, cloud.positions)
        assert (back.colors is None) == (cloud.colors is None)

    check()
    validate_glbs(files)
