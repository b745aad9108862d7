"""The binary part of a glTF file: views of bytes, accessors of them, and the container around."""

import json
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from geometry import meshopt
from geometry.errors import GeometryError

Json = Any  # what json.dumps takes
Compression = Literal["none", "quantized", "meshopt"]

QUANTIZATION, MESHOPT = "KHR_mesh_quantization", "EXT_meshopt_compression"

_MAGIC, _VERSION, _JSON_CHUNK, _BINARY_CHUNK = 0x46546C67, 2, 0x4E4F534A, 0x004E4942
_ARRAY_BUFFER, _ELEMENT_ARRAY_BUFFER = 34962, 34963
_COMPONENTS = {"i1": 5120, "u1": 5121, "u2": 5123, "u4": 5125, "f4": 5126}
_TYPES = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4"}
_PRIMITIVE_RESTART = 0xFFFF  # the one uint16 index that glTF forbids
_MAX_BYTES = 2**32 - 1


class Buffer:
    """The binary chunk as it grows, with its views and accessors. Every view starts at 4k.

    With `compressed` views of vertices and indices are encoded, and stand for views of a second
    buffer, without bytes, that has the decoded ones: the fallback of EXT_meshopt_compression.
    """

    def __init__(self, compressed: bool) -> None:
        self.chunk = bytearray()
        self.views: list[dict[str, Json]] = []
        self.accessors: list[dict[str, Json]] = []
        self._compressed = compressed
        self._decoded_bytes = 0

    def add_vertices(self, rows: NDArray[np.generic], columns: int, **accessor: Json) -> int:
        """An accessor of the first `columns` of `rows` [V, C], whose rows are 4k bytes long."""
        stride = rows.shape[1] * rows.itemsize
        view: dict[str, Json] = {"target": _ARRAY_BUFFER}
        if self._compressed or columns < rows.shape[1]:
            view["byteStride"] = stride
        encode = meshopt.encode_attributes
        encoded = encode(rows) if self._compressed else b""
        return self._add(rows, view, encoded, "ATTRIBUTES", len(rows), stride, columns, accessor)

    def add_faces(self, faces: NDArray[np.integer], vertices: int) -> int:
        """An accessor of the corners of `faces` [F, 3], as narrow as `vertices` of them allow."""
        rows = faces.astype("<u2" if vertices <= _PRIMITIVE_RESTART else "<u4")
        encoded = meshopt.encode_triangles(faces) if self._compressed else b""
        view = {"target": _ELEMENT_ARRAY_BUFFER}
        return self._add(rows, view, encoded, "TRIANGLES", rows.size, rows.itemsize, 1, {})

    def add_file(self, data: bytes) -> int:
        """A view, not an accessor, of a file within the file."""
        self.views.append({"buffer": 0, "byteOffset": len(self.chunk), "byteLength": len(data)})
        self._append(data)
        return len(self.views) - 1

    def buffers(self) -> list[dict[str, Json]]:
        described: list[dict[str, Json]] = [{"byteLength": len(self.chunk)}]
        if self._compressed:
            fallback = {
                "byteLength": self._decoded_bytes,
                "extensions": {MESHOPT: {"fallback": True}},
            }
            described.append(fallback)
        return described

    def _add(
        self,
        rows: NDArray[np.generic],
        view: dict[str, Json],
        encoded: bytes,
        mode: str,
        count: int,
        stride: int,
        columns: int,
        accessor: dict[str, Json],
    ) -> int:
        size = rows.nbytes
        if self._compressed:
            view |= {"buffer": 1, "byteOffset": self._decoded_bytes, "byteLength": size}
            source: dict[str, Json] = {"buffer": 0, "byteOffset": len(self.chunk)}
            source |= {"byteLength": len(encoded), "byteStride": stride, "count": count}
            source["mode"] = mode
            view["extensions"] = {MESHOPT: source}
            self._decoded_bytes += size + -size % 4
            self._append(encoded)
        else:
            view |= {"buffer": 0, "byteOffset": len(self.chunk), "byteLength": size}
            self._append(np.ascontiguousarray(rows).tobytes())
        self.views.append(view)
        self.accessors.append(
            {
                "bufferView": len(self.views) - 1,
                "count": count,
                "componentType": _COMPONENTS[rows.dtype.str[1:]],
                "type": _TYPES[columns],
                **accessor,
            }
        )
        return len(self.accessors) - 1

    def _append(self, data: bytes) -> None:
        self.chunk += data
        self.chunk += bytes(-len(self.chunk) % 4)


def pack(document: Mapping[str, Json], chunk: bytes | bytearray) -> bytes:
    """A GLB file of both; `chunk` is 4k bytes long.

    Raises:
        GeometryError: the extras are not JSON, or the file would have 4 GiB.
    """
    try:
        text = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise GeometryError(f"extras: not JSON: {error}") from error
    text += b" " * (-len(text) % 4)
    total = 12 + 8 + len(text) + 8 + len(chunk)
    if total > _MAX_BYTES:
        raise GeometryError(f"a GLB file holds less than 4 GiB, not {total} bytes")
    return b"".join(
        [
            np.array([_MAGIC, _VERSION, total, len(text), _JSON_CHUNK], "<u4").tobytes(),
            text,
            np.array([len(chunk), _BINARY_CHUNK], "<u4").tobytes(),
            bytes(chunk),
        ]
    )
