"""Over 500 GLB files of all sorts of clouds and meshes, all of them valid."""

from itertools import cycle, product

import numpy as np

from geometry import glb
from geometry.formats import Compression
from geometry.mesh import Mesh
from geometry.point_cloud import PointCloud
from geometry.texture import TexturedMesh
from tests.geometry.shapes import box, chair
from tests.geometry.solids import cloud_of, torus

COMPRESSIONS: tuple[Compression, ...] = ("none", "quantized", "meshopt")
SHAPES = ("free", "flat", "line", "copies", "grid", "far")
SCALES = (1e-6, 1.0, 1e6, 1e30)
COUNTS = (1, 2, 3, 15, 16, 17, 100, 256, 257, 700)
EXTRAS = (None, {"model": "bozzetto-xs", "seed": 1, "params": {"a": [1, None, "\u00e9\n"]}})


def positions(shape, scale, count, rng):
    points = rng.normal(size=(count, 3))
    if shape == "flat":
        points[:, 1] = 0.3
    elif shape == "line":
        points[:, :2] = 0.3
    elif shape == "copies":
        points[:] = points[0]
    elif shape == "grid":
        points = np.rint(points)
    elif shape == "far":
        points += 1000
    return (points * scale).astype(np.float32)


def colors(kind, count, rng):
    if kind == "none":
        return None
    if kind == "one":
        return np.tile(np.array([10, 128, 255], np.uint8), (count, 1))
    return rng.integers(0, 256, (count, 3)).astype(np.uint8)


def normals(kind, count, rng):
    if kind == "none":
        return None
    vectors = rng.normal(size=(count, 3))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[rng.random(count) < {"all": 0.0, "some": 0.4, "unknown": 1.0}[kind]] = 0
    return vectors.astype(np.float32)


def of_clouds(rng):
    counts = cycle(COUNTS)
    for shape, scale, color, normal in product(
        SHAPES, SCALES, ("none", "one", "many"), ("none", "all", "some", "unknown")
    ):
        count = next(counts)
        cloud = PointCloud(
            positions(shape, scale, count, rng),
            colors(color, count, rng),
            normals(normal, count, rng),
        )
        yield glb.write_points(cloud, EXTRAS[count % 2], COMPRESSIONS[count % 3])


def of_meshes(rng):
    """Random faces over each shape, many of them without area, and sound ones."""
    counts = cycle(COUNTS)
    for shape, scale, color, compression in product(SHAPES, SCALES, ("none", "many"), COMPRESSIONS):
        count = next(counts)
        mesh = Mesh(
            positions(shape, scale, count, rng),
            rng.integers(0, count, (2 * count, 3)).astype(np.int32),
            colors(color, count, rng),
            normals(("none", "all", "unknown")[count % 3], count, rng),
        )
        yield glb.write_mesh(mesh, EXTRAS[count % 2], compression)
    for mesh, compression in product((box(), chair(), torus(30, 20)), COMPRESSIONS):
        yield glb.write_mesh(mesh, None, compression)
        yield glb.write_points(cloud_of(mesh), None, compression)


def at_the_border_of_16_bits(rng):
    for count, compression in product((65534, 65535, 65536, 70000), COMPRESSIONS):
        points = positions("free", 1.0, count, rng)
        last = np.arange(count - 9, count, dtype=np.int32).reshape(3, 3)
        yield glb.write_mesh(Mesh(points, last, colors("many", count, rng)), None, compression)
        yield glb.write_points(PointCloud(points, colors("many", count, rng)), None, compression)
    for compression in COMPRESSIONS:
        yield glb.write_mesh(torus(330, 200, colors=False), None, compression)


def with_pictures(rng):
    for scale, side, compression in product(SCALES, (1, 3, 64), COMPRESSIONS):
        mesh = torus(12, 9)
        image = rng.integers(0, 256, (side, side, 3)).astype(np.uint8)
        uv = rng.random((len(mesh.vertices), 2)).astype(np.float32)
        uv[:2] = [[0, 0], [1, 1]]
        vertices = (mesh.vertices * scale).astype(np.float32)
        textured = TexturedMesh(vertices, mesh.faces, mesh.normals, uv, image)
        yield glb.write_mesh(textured, EXTRAS[side % 2], compression)


def test_over_500_files_are_valid(validate_glbs, rng):
    files = [
        *of_clouds(rng),
        *of_meshes(rng),
        *at_the_border_of_16_bits(rng),
        *with_pictures(rng),
    ]
    assert len(files) > 500
    assert len(set(files)) > 500
    validate_glbs(files)
