"""Pictures for meshes: charts, and the colours of a cloud baked into them."""

from dataclasses import dataclass

import numpy as np
import xatlas
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import distance_transform_edt

from geometry.color_transfer import transferred_colors
from geometry.errors import GeometryError
from geometry.frame import measure
from geometry.mesh import Mesh
from geometry.point_cloud import PointCloud, check_array
from geometry.shading_normals import face_vectors, repair_normals, vertex_normals
from geometry.simplify import simplified_any
from geometry.texels import texels_of_faces

SIZES = (64, 4096)
MAX_FACES = 10_000
UNKNOWN_COLOR = (203, 203, 203)  # 0.6 in linear light, as the GLB files of colourless meshes

_PADDING = 4  # texels between charts: two levels of mipmaps do not mix them
_TEXELS_PER_POINT = 64  # a finer picture would only draw the interpolation between the points
_LEAST_BAKED = 256


@dataclass(frozen=True, slots=True, eq=False)
class TexturedMesh:
    """Triangles with a picture on them.

    Vertices on the border of a chart occur once per chart, so edges there have one face.

    Attributes:
        vertices: [V, 3] float32, all finite.
        faces: [F, 3] int32, F >= 1, counter-clockwise seen from outside, each index in [0, V).
        normals: [V, 3] float32 of unit length.
        uv: [V, 2] float32 in 0..1; (0, 0) is the upper left corner of the picture, as in glTF.
        image: [S, S, 3] uint8 sRGB, first row on top.

    Raises:
        GeometryError: a shape, dtype, value or index above does not hold.
    """

    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    normals: NDArray[np.float32]
    uv: NDArray[np.float32]
    image: NDArray[np.uint8]

    def __post_init__(self) -> None:
        Mesh(self.vertices, self.faces, None, self.normals)
        check_array("uv", self.uv, (len(self.vertices), 2), np.float32)
        if self.uv.min() < 0 or self.uv.max() > 1:
            raise GeometryError(f"uv: must lie in 0..1, got {self.uv.min()}..{self.uv.max()}")
        side = len(self.image)
        check_array("image", self.image, (side, side, 3), np.uint8)
        if side == 0:
            raise GeometryError("image: expected at least one texel")


def bake_texture(
    mesh: Mesh, cloud: PointCloud, size: int, *, max_faces: int = MAX_FACES
) -> TexturedMesh:
    """`mesh` cut into charts, with the colours of `cloud` in a picture of `size` x `size` texels.

    A cloud without colours takes those of the mesh's vertices; if there are none either, the
    picture is a uniform grey. A picture that is much finer than the cloud is baked at a smaller
    size and enlarged. The colours go on past the borders of the charts, so that filtering shows
    no seams. Deterministic.

    Args:
        mesh: its faces without area are dropped.
        cloud: in the frame of the mesh.
        size: 64 to 4096.
        max_faces: larger meshes are simplified first, because unwrapping takes 0.1 s at 2,000
            faces, 1 s at 10,000 and 2 to 5 s at 20,000.

    Raises:
        GeometryError: `size` out of its bounds, or a mesh without area.
    """
    if not SIZES[0] <= size <= SIZES[1]:
        raise GeometryError(f"texture size: must be {SIZES[0]} to {SIZES[1]}, got {size}")
    points, colors, normals = _color_source(mesh, cloud)
    mesh = _reduced(mesh, max_faces)
    baked = size
    if colors is not None:
        finest = int(2 ** np.ceil(np.log2(np.sqrt(_TEXELS_PER_POINT * len(points)))))
        baked = min(size, max(finest, _LEAST_BAKED))
    origin, faces, uv = _unwrapped(mesh, baked)
    vertices, facing = mesh.vertices[origin], vertex_normals(mesh)[origin]
    if mesh.normals is not None:
        facing = repair_normals(mesh.normals, mesh.vertices)[origin]
    if colors is None:
        image = np.full((size, size, 3), UNKNOWN_COLOR, np.uint8)
        return TexturedMesh(vertices, faces, facing, uv, image)
    texels = texels_of_faces(uv[faces].astype(np.float64) * baked, baked)
    corners = faces[texels.face]
    frame = measure(points)
    places = np.einsum("nk,nkc->nc", texels.weights, vertices[corners].astype(np.float64))
    found = transferred_colors(
        (points.astype(np.float64) - frame.centre) * frame.scale,
        colors,
        normals,
        (places - frame.centre) * frame.scale,
        np.einsum("nk,nkc->nc", texels.weights, facing[corners]),
    )
    image = _filled(texels.index, found, baked)
    if baked < size:
        image = np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC))
    return TexturedMesh(vertices, faces, facing, uv, image)


def _reduced(mesh: Mesh, max_faces: int) -> Mesh:
    """The mesh less its faces without area, and simplified to at most about `max_faces`."""
    flat = ~face_vectors(mesh.vertices, mesh.faces).any(axis=1)
    if flat.all():
        raise GeometryError("the mesh has no area: nothing can be drawn on it")
    faces = mesh.faces[~flat]
    if len(faces) <= max_faces:
        return Mesh(mesh.vertices, faces, mesh.colors, mesh.normals)
    vertices, faces = simplified_any(mesh.vertices.astype(np.float64), faces, max_faces)
    return Mesh(vertices.astype(np.float32), faces)


def _color_source(
    mesh: Mesh, cloud: PointCloud
) -> tuple[NDArray[np.float32], NDArray[np.uint8] | None, NDArray[np.float32] | None]:
    """Distinct positions, with colours and normals where there are any."""
    source = cloud
    if cloud.colors is None and mesh.colors is not None:
        source = PointCloud(mesh.vertices, mesh.colors, mesh.normals)
    distinct = np.sort(np.unique(source.positions, axis=0, return_index=True)[1])
    source = source.take(distinct)
    return source.positions, source.colors, source.normals


def _unwrapped(
    mesh: Mesh, size: int
) -> tuple[NDArray[np.intp], NDArray[np.int32], NDArray[np.float32]]:
    """Charts that do not overlap: the old vertex [V] of each new one, faces [F, 3], uv [V, 2].

    xatlas (Young; after Sander et al. 2003 and Lévy et al. 2002).
    """
    frame = measure(mesh.vertices)
    placed = (mesh.vertices.astype(np.float64) - frame.centre) * frame.scale
    atlas = xatlas.Atlas()
    atlas.add_mesh(placed.astype(np.float32), mesh.faces.astype(np.uint32))
    packing = xatlas.PackOptions()
    packing.resolution, packing.padding, packing.bilinear = size, _PADDING, True
    atlas.generate(xatlas.ChartOptions(), packing)
    origin, faces, uv = atlas[0]
    return origin.astype(np.intp), faces.astype(np.int32), np.clip(uv, 0, 1).astype(np.float32)


def _filled(index: NDArray[np.int64], colors: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """[size, size, 3]: `colors` [T, 3] at the texels `index` [T], the others as the nearest."""
    image = np.zeros((size * size, 3), np.uint8)
    image[index] = colors
    empty = np.ones(size * size, np.bool_)
    empty[index] = False
    nearest_texel = distance_transform_edt(
        empty.reshape(size, size), return_distances=False, return_indices=True
    )
    filled: NDArray[np.uint8] = image.reshape(size, size, 3)[tuple(nearest_texel)]
    return filled
