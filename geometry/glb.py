"""Binary glTF 2.0: one mesh of one primitive, one material, at most one picture."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geometry.gltf_buffer import MESHOPT, QUANTIZATION, Buffer, Compression, Json, pack
from geometry.mesh import Mesh
from geometry.picture_file import encode_picture
from geometry.point_cloud import PointCloud
from geometry.quantize import (
    linear_light,
    quantize_normals,
    quantize_positions,
    quantize_uv,
)
from geometry.shading_normals import repair_normals, vertex_normals
from geometry.spacing import dot_size
from geometry.texture import TexturedMesh
from geometry.vertex_order import first_use, order_points, order_triangles

_POINTS, _TRIANGLES = 0, 4
_UNLIT = "KHR_materials_unlit"
_TRILINEAR = {"magFilter": 9729, "minFilter": 9987, "wrapS": 33071, "wrapT": 33071}
# Half a step of these moves a point of an object of 1 m by 8 and by 31 micrometres.
_POSITION_BITS = {"quantized": 16, "meshopt": 14}


def write_points(
    cloud: PointCloud, extras: Mapping[str, Json] | None = None, compression: Compression = "none"
) -> bytes:
    """The cloud as POINTS with an unlit material; `extras` (JSON) goes under `asset.extras`.

    The primitive's extras have `pointSize`, the diameter in metres of dots that close the
    surface. Unknown (zero) normals, which glTF forbids, point away from the centre of the box;
    when none is known the file has no normals. "meshopt" puts the points in another order.

    Raises:
        GeometryError: `extras` is not JSON.
    """
    if compression == "meshopt":
        cloud = cloud.take(order_points(cloud.positions))
    normals = cloud.normals
    if normals is not None:
        normals = repair_normals(normals, cloud.positions) if normals.any() else None
    file = _File(compression)
    file.primitive |= {"mode": _POINTS, "extras": {"pointSize": dot_size(cloud.positions)}}
    file.add(_Vertices(cloud.positions, normals, cloud.colors))
    # A lit point has no area to light, so viewers differ; unlit shows the colours as they are.
    file.material["extensions"] = {_UNLIT: {}}
    file.extensions.append(_UNLIT)
    return file.finish(extras)


def write_mesh(
    mesh: Mesh | TexturedMesh,
    extras: Mapping[str, Json] | None = None,
    compression: Compression = "none",
) -> bytes:
    """The mesh as TRIANGLES with a rough, non-metallic material; `extras` as in `write_points`.

    Normals that are missing are computed: without them viewers must shade every facet flat.
    "meshopt" puts faces and vertices in another order and leaves out vertices of no face. The
    picture is PNG in an uncompressed file, else JPEG.

    Raises:
        GeometryError: `extras` is not JSON.
    """
    if isinstance(mesh, TexturedMesh):
        normals = repair_normals(mesh.normals, mesh.vertices)
        vertices = _Vertices(mesh.vertices, normals, None, mesh.uv)
    else:
        known = vertex_normals(mesh) if mesh.normals is None else mesh.normals
        normals = repair_normals(known, mesh.vertices)
        vertices = _Vertices(mesh.vertices, normals, mesh.colors)
    faces = mesh.faces
    if compression == "meshopt":
        faces = faces[order_triangles(faces)]
        used = first_use(faces)
        number = np.empty(len(vertices.positions), np.int32)
        number[used] = np.arange(len(used))
        vertices, faces = vertices.take(used), number[faces]
    file = _File(compression)
    file.primitive["mode"] = _TRIANGLES
    file.add(vertices)
    file.primitive["indices"] = file.buffer.add_faces(faces, len(vertices.positions))
    if isinstance(mesh, TexturedMesh):
        file.add_picture(mesh.image)
    return file.finish(extras)


@dataclass(frozen=True, slots=True, eq=False)
class _Vertices:
    positions: NDArray[np.float32]  # [V, 3]
    normals: NDArray[np.float32] | None  # [V, 3], none of them zero
    colors: NDArray[np.uint8] | None  # [V, 3]
    uv: NDArray[np.float32] | None = None  # [V, 2]

    def take(self, index: NDArray[np.intp]) -> "_Vertices":
        return _Vertices(
            self.positions[index],
            None if self.normals is None else self.normals[index],
            None if self.colors is None else self.colors[index],
            None if self.uv is None else self.uv[index],
        )


class _File:
    """The parts of the document that depend on what is shown."""

    def __init__(self, compression: Compression) -> None:
        self.compression = compression
        self.buffer = Buffer(compressed=compression == "meshopt")
        self.primitive: dict[str, Json] = {"material": 0}
        self.node: dict[str, Json] = {"mesh": 0}
        self.surface: dict[str, Json] = {"metallicFactor": 0.0, "roughnessFactor": 0.9}
        self.material: dict[str, Json] = {"pbrMetallicRoughness": self.surface}
        self.pictures: dict[str, Json] = {}
        self.extensions: list[str] = []

    def add(self, vertices: _Vertices) -> None:
        if self.compression == "none":
            attributes = self._add_exact(vertices)
        else:
            attributes = self._add_quantized(vertices, _POSITION_BITS[self.compression])
        if vertices.colors is not None:
            light = linear_light(vertices.colors, rounded=self.compression == "meshopt")
            attributes["COLOR_0"] = self.buffer.add_vertices(light, 4, normalized=True)
        elif vertices.uv is None:
            self.surface["baseColorFactor"] = [0.6, 0.6, 0.6, 1.0]
        self.primitive["attributes"] = attributes

    def add_picture(self, image: NDArray[np.uint8]) -> None:
        data, media_type = encode_picture(image, exact=self.compression == "none")
        view = self.buffer.add_file(data)
        self.pictures = {
            "images": [{"bufferView": view, "mimeType": media_type}],
            "samplers": [_TRILINEAR],
            "textures": [{"source": 0, "sampler": 0}],
        }
        self.surface["baseColorTexture"] = {"index": 0}

    def finish(self, extras: Mapping[str, Json] | None) -> bytes:
        asset: dict[str, Json] = {"version": "2.0", "generator": "bozzetto"}
        if extras:
            asset["extras"] = dict(extras)
        required = {"none": [], "quantized": [QUANTIZATION], "meshopt": [QUANTIZATION, MESHOPT]}
        document: dict[str, Json] = {
            "asset": asset,
            "scene": 0,
            "scenes": [{"nodes": [0]}],
            "nodes": [self.node],
            "meshes": [{"primitives": [self.primitive]}],
            "materials": [self.material],
            **self.pictures,
            "accessors": self.buffer.accessors,
            "bufferViews": self.buffer.views,
            "buffers": self.buffer.buffers(),
        }
        if used := self.extensions + required[self.compression]:
            document["extensionsUsed"] = used
        if required[self.compression]:
            document["extensionsRequired"] = required[self.compression]
        return pack(document, self.buffer.chunk)

    def _add_exact(self, vertices: _Vertices) -> dict[str, int]:
        positions = vertices.positions.astype("<f4")
        bounds = {"min": positions.min(axis=0).tolist(), "max": positions.max(axis=0).tolist()}
        attributes = {"POSITION": self.buffer.add_vertices(positions, 3, **bounds)}
        if vertices.normals is not None:
            attributes["NORMAL"] = self.buffer.add_vertices(vertices.normals.astype("<f4"), 3)
        if vertices.uv is not None:
            attributes["TEXCOORD_0"] = self.buffer.add_vertices(vertices.uv.astype("<f4"), 2)
        return attributes

    def _add_quantized(self, vertices: _Vertices, bits: int) -> dict[str, int]:
        values, grid = quantize_positions(vertices.positions, bits)
        self.node |= {"translation": grid.origin.tolist(), "scale": [grid.step] * 3}
        low, high = values[:, :3].min(axis=0), values[:, :3].max(axis=0)
        bounds = {"min": low.tolist(), "max": high.tolist()}
        attributes = {"POSITION": self.buffer.add_vertices(values, 3, **bounds)}
        if vertices.normals is not None:
            normals = quantize_normals(vertices.normals)
            attributes["NORMAL"] = self.buffer.add_vertices(normals, 3, normalized=True)
        if vertices.uv is not None:
            uv = quantize_uv(vertices.uv)
            attributes["TEXCOORD_0"] = self.buffer.add_vertices(uv, 2, normalized=True)
        return attributes
