"""Binary glTF 2.0: one buffer, one mesh, one primitive."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geometry.errors import GeometryError
from geometry.mesh import Mesh
from geometry.point_cloud import PointCloud
from geometry.shading_normals import repair_normals, vertex_normals
from geometry.srgb import to_linear

Json = Any  # what json.dumps takes

_MAGIC, _VERSION, _JSON_CHUNK, _BINARY_CHUNK = 0x46546C67, 2, 0x4E4F534A, 0x004E4942
_ARRAY_BUFFER, _ELEMENT_ARRAY_BUFFER = 34962, 34963
_UINT16, _UINT32, _FLOAT = 5123, 5125, 5126
_POINTS, _TRIANGLES = 0, 4
_PRIMITIVE_RESTART = 0xFFFF  # the one uint16 index that glTF forbids


@dataclass(slots=True)
class _Buffer:
    """The binary chunk as it grows, with its views and accessors. Every view starts at 4k."""

    chunk: bytearray = field(default_factory=bytearray)
    views: list[dict[str, Json]] = field(default_factory=list)
    accessors: list[dict[str, Json]] = field(default_factory=list)

    def add(self, array: NDArray[np.generic], target: int, **accessor: Json) -> int:
        data = np.ascontiguousarray(array).tobytes()
        self.views.append(
            {"buffer": 0, "byteOffset": len(self.chunk), "byteLength": len(data), "target": target}
        )
        self.accessors.append({"bufferView": len(self.views) - 1, "count": len(array), **accessor})
        self.chunk += data
        self.chunk += bytes(-len(self.chunk) % 4)
        return len(self.accessors) - 1


def write_points(cloud: PointCloud, extras: Mapping[str, Json] | None = None) -> bytes:
    """The cloud as POINTS with an unlit material; `extras` (JSON) goes under `asset.extras`.

    Unknown (zero) normals, which glTF forbids, point away from the centre of the box; when none
    is known the file has no normals.

    Raises:
        GeometryError: `extras` is not JSON.
    """
    normals = cloud.normals
    if normals is not None:
        normals = repair_normals(normals, cloud.positions) if normals.any() else None
    buffer = _Buffer()
    attributes = _vertex_attributes(buffer, cloud.positions, normals, cloud.colors)
    # A lit point has no area to light, so viewers differ; unlit shows the colours as they are.
    material = _material(cloud.colors is not None) | {"extensions": {"KHR_materials_unlit": {}}}
    primitive = {"attributes": attributes, "mode": _POINTS, "material": 0}
    return _assemble(buffer, primitive, material, extras, ["KHR_materials_unlit"])


def write_mesh(mesh: Mesh, extras: Mapping[str, Json] | None = None) -> bytes:
    """The mesh as TRIANGLES with a rough, non-metallic material; `extras` as in `write_points`.

    Normals that are missing are computed: without them viewers must shade every facet flat.

    Raises:
        GeometryError: `extras` is not JSON.
    """
    normals = vertex_normals(mesh) if mesh.normals is None else mesh.normals
    buffer = _Buffer()
    attributes = _vertex_attributes(
        buffer, mesh.vertices, repair_normals(normals, mesh.vertices), mesh.colors
    )
    short = len(mesh.vertices) <= _PRIMITIVE_RESTART
    indices = buffer.add(
        mesh.faces.reshape(-1).astype("<u2" if short else "<u4"),
        _ELEMENT_ARRAY_BUFFER,
        componentType=_UINT16 if short else _UINT32,
        type="SCALAR",
    )
    primitive = {
        "attributes": attributes,
        "indices": indices,
        "mode": _TRIANGLES,
        "material": 0,
    }
    return _assemble(buffer, primitive, _material(mesh.colors is not None), extras, [])


def _vertex_attributes(
    buffer: _Buffer,
    positions: NDArray[np.float32],
    normals: NDArray[np.float32] | None,
    colors: NDArray[np.uint8] | None,
) -> dict[str, int]:
    attributes = {
        "POSITION": buffer.add(
            positions.astype("<f4"),
            _ARRAY_BUFFER,
            componentType=_FLOAT,
            type="VEC3",
            min=positions.min(axis=0).tolist(),
            max=positions.max(axis=0).tolist(),
        )
    }
    if normals is not None:
        attributes["NORMAL"] = buffer.add(
            normals.astype("<f4"), _ARRAY_BUFFER, componentType=_FLOAT, type="VEC3"
        )
    if colors is not None:
        # Linear light in bytes would merge the dark tones; 16 bits keep all 256 sRGB steps apart
        # (the smallest is 20 of 65535) in two thirds of the size of floats. Alpha fills the row
        # to a multiple of 4 bytes without a stride.
        light = np.full((len(colors), 4), 65535, "<u2")
        light[:, :3] = np.rint(to_linear(colors) * 65535.0)
        attributes["COLOR_0"] = buffer.add(
            light, _ARRAY_BUFFER, componentType=_UINT16, type="VEC4", normalized=True
        )
    return attributes


def _material(coloured: bool) -> dict[str, Json]:
    grey = [1.0, 1.0, 1.0, 1.0] if coloured else [0.6, 0.6, 0.6, 1.0]
    return {
        "pbrMetallicRoughness": {
            "baseColorFactor": grey,
            "metallicFactor": 0.0,
            "roughnessFactor": 0.9,
        }
    }


def _assemble(
    buffer: _Buffer,
    primitive: dict[str, Json],
    material: dict[str, Json],
    extras: Mapping[str, Json] | None,
    extensions: list[str],
) -> bytes:
    asset: dict[str, Json] = {"version": "2.0", "generator": "bozzetto"}
    if extras:
        asset["extras"] = dict(extras)
    document: dict[str, Json] = {
        "asset": asset,
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [primitive]}],
        "materials": [material],
        "accessors": buffer.accessors,
        "bufferViews": buffer.views,
        "buffers": [{"byteLength": len(buffer.chunk)}],
    }
    if extensions:
        document["extensionsUsed"] = extensions
    try:
        text = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise GeometryError(f"extras: not JSON: {error}") from error
    text += b" " * (-len(text) % 4)
    total = 12 + 8 + len(text) + 8 + len(buffer.chunk)
    return b"".join(
        [
            np.array([_MAGIC, _VERSION, total, len(text), _JSON_CHUNK], "<u4").tobytes(),
            text,
            np.array([len(buffer.chunk), _BINARY_CHUNK], "<u4").tobytes(),
            bytes(buffer.chunk),
        ]
    )
