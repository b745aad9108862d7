import numpy as np
import pytest

from geometry.errors import GeometryError
from geometry.mesh import Mesh
from geometry.point_cloud import PointCloud
from geometry.quality import measure_quality
from geometry.resample import sample_surface
from geometry.surface import reconstruct_surface
from geometry.texels import texels_of_faces
from geometry.texture import UNKNOWN_COLOR, TexturedMesh, bake_texture
from tests.geometry.shapes import box, chair, distances, sphere


def looked_up(textured, corners, weights):
    """[N, 3] colours as a renderer filters them: bilinear, with (0, 0) at the upper left corner."""
    uv = np.einsum("nk,nkc->nc", weights, textured.uv[corners].astype(float))
    size = len(textured.image)
    place = np.clip(uv * size - 0.5, 0, size - 1)
    low = np.minimum(place.astype(int), size - 2)
    part = place - low
    color = np.zeros((len(uv), 3))
    for right in (0, 1):
        for down in (0, 1):
            share = np.where([right, down], part, 1 - part).prod(axis=1)
            texel = textured.image[low[:, 1] + down, low[:, 0] + right]
            color += share[:, None] * texel
    return color


def anywhere(textured, rng, edges):
    """Random places on each face, or on its edges: where seams would show."""
    corners = np.repeat(textured.faces, 3, axis=0)
    weights = rng.dirichlet([1, 1, 1], len(corners))
    if edges:
        weights[np.arange(len(corners)), np.arange(len(corners)) % 3] = 0
        weights /= weights.sum(axis=1, keepdims=True)
    return corners, weights


@pytest.mark.parametrize("size", [64, 256, 1000, 2048])
@pytest.mark.parametrize("edges", [False, True])
def test_the_texture_shows_the_colours_of_the_cloud(size, edges, rng):
    cloud = sphere(4096, rng)
    textured = bake_texture(reconstruct_surface(cloud, target_faces=2000), cloud, size)
    assert textured.image.shape == (size, size, 3)
    corners, weights = anywhere(textured, rng, edges)
    place = np.einsum("nk,nkc->nc", weights, textured.vertices[corners].astype(float))
    outward = place / np.linalg.norm(place, axis=1, keepdims=True)
    off = np.abs(looked_up(textured, corners, weights) - (outward + 1) / 2 * 255)
    assert off.mean() < (6 if size == 64 else 3)
    assert np.quantile(off, 0.999) < (60 if size == 64 else 20)


def test_the_surface_stays_what_it_was(rng):
    cloud = sample_surface(chair(), 4096, rng)
    mesh = reconstruct_surface(cloud, target_faces=3000)
    textured = bake_texture(mesh, cloud, 256)
    assert np.array_equal(
        np.sort(textured.vertices[textured.faces].reshape(-1, 9), axis=0),
        np.sort(mesh.vertices[mesh.faces].reshape(-1, 9), axis=0),
    )
    joined = measure_quality(Mesh(textured.vertices, textured.faces), cloud)
    assert joined == measure_quality(mesh, cloud)
    assert (distances(textured.vertices, mesh.vertices) == 0).all()


def test_charts_do_not_overlap(rng):
    cloud = sample_surface(chair(), 4096, rng)
    textured = bake_texture(reconstruct_surface(cloud, target_faces=2000), cloud, 512)
    a, b, c = (textured.uv[textured.faces[:, k]].astype(float) * 512 for k in range(3))
    area = np.abs(np.cross(np.append(b - a, 0 * a[:, :1], 1), np.append(c - a, 0 * a[:, :1], 1)))
    covered = texels_of_faces(np.stack([a, b, c], axis=1), 512)
    assert len(covered.index) == pytest.approx(area.sum() / 2, rel=0.03)


def test_deterministic(rng):
    cloud = sphere(1000, rng)
    mesh = reconstruct_surface(cloud, target_faces=1000)
    one, two = bake_texture(mesh, cloud, 128), bake_texture(mesh, cloud, 128)
    for name in ("vertices", "faces", "normals", "uv", "image"):
        assert np.array_equal(getattr(one, name), getattr(two, name))


def test_without_colours(rng):
    cloud = sphere(500, rng)
    bare = PointCloud(cloud.positions)
    mesh = reconstruct_surface(cloud, target_faces=500)
    grey = bake_texture(Mesh(mesh.vertices, mesh.faces), bare, 64)
    assert (grey.image == UNKNOWN_COLOR).all()
    assert np.ptp(bake_texture(mesh, bare, 64).image) > 100  # the colours of the vertices
    simplified = bake_texture(mesh, bare, 64, max_faces=300)
    assert np.ptp(simplified.image) > 100


@pytest.mark.parametrize("colour", [0, 77, 255])
def test_one_colour(colour, rng):
    positions = sphere(300, rng).positions
    cloud = PointCloud(positions, np.full((300, 3), colour, np.uint8))
    assert (bake_texture(box(), cloud, 128).image == colour).all()


def test_large_meshes_are_simplified_and_stay_closed(rng):
    cloud = sphere(2000, rng)
    mesh = reconstruct_surface(cloud, target_faces=10**6)
    textured = bake_texture(mesh, cloud, 128, max_faces=1500)
    assert len(textured.faces) <= 1500
    assert measure_quality(Mesh(textured.vertices, textured.faces), cloud).watertight


def test_an_open_mesh(rng):
    cloud = sphere(500, rng)
    mesh = reconstruct_surface(cloud, target_faces=10**6)
    half = Mesh(mesh.vertices, mesh.faces[mesh.vertices[mesh.faces].mean(axis=1)[:, 1] > 0])
    assert len(bake_texture(half, cloud, 128, max_faces=800).faces) <= 800


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_faces_without_area_copies_and_scales(scale, rng):
    mesh, cloud = box(), sample_surface(box(), 400, rng)
    flat = np.array([[0, 0, 1], [2, 2, 2]], np.int32)
    broken = Mesh(mesh.vertices * np.float32(scale), np.concatenate([mesh.faces, flat]))
    twice = cloud.take(np.arange(800) % 400)
    far = PointCloud(twice.positions * np.float32(scale), twice.colors, twice.normals)
    textured = bake_texture(broken, far, 128)
    assert len(textured.faces) == 12
    assert np.abs(textured.image.astype(int) - (200, 100, 50)).max() <= 1


def test_a_cloud_of_one_point():
    cloud = PointCloud(np.zeros((1, 3), np.float32), np.array([[9, 8, 7]], np.uint8))
    assert (bake_texture(box(), cloud, 64).image == (9, 8, 7)).all()


def test_refuses(rng):
    cloud = sphere(100, rng)
    for size in (63, 4097):
        with pytest.raises(GeometryError, match=f"must be 64 to 4096, got {size}"):
            bake_texture(box(), cloud, size)
    flat = Mesh(box().vertices, np.zeros((3, 3), np.int32))
    with pytest.raises(GeometryError, match="no area"):
        bake_texture(flat, cloud, 64)
    good = bake_texture(box(), cloud, 64)
    for name, value, message in (
        ("uv", good.uv + 1, "must lie in 0..1"),
        ("uv", good.uv[:-1], "uv: expected"),
        ("image", good.image[:, :-1], "image: expected"),
        ("faces", good.faces + 100, "indices must lie in"),
    ):
        parts = {key: getattr(good, key) for key in TexturedMesh.__slots__}
        with pytest.raises(GeometryError, match=message):
            TexturedMesh(**{**parts, name: value})
