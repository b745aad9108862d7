"""Binary little-endian PLY: float positions and normals, uchar sRGB colours."""

import numpy as np
from numpy.typing import NDArray

from geometry.errors import GeometryError
from geometry.mesh import Mesh
from geometry.point_cloud import PointCloud

_TYPES = {
    "char": "<i1", "int8": "<i1", "uchar": "<u1", "uint8": "<u1",
    "short": "<i2", "int16": "<i2", "ushort": "<u2", "uint16": "<u2",
    "int": "<i4", "int32": "<i4", "uint": "<u4", "uint32": "<u4",
    "float": "<f4", "float32": "<f4", "double": "<f8", "float64": "<f8",
}  # fmt: skip
_POSITIONS = ("x", "y", "z")
_NORMALS = ("nx", "ny", "nz")
_COLORS = ("red", "green", "blue")
_MAX_HEADER = 64 * 1024


def write_points(cloud: PointCloud) -> bytes:
    """The cloud as a PLY file, with normals and colours if it has them."""
    rows = _vertex_rows(cloud.positions, cloud.normals, cloud.colors)
    return _header(rows) + b"end_header\n" + rows.tobytes()


def write_mesh(mesh: Mesh) -> bytes:
    """The mesh as a PLY file: vertices as `write_points`, faces as lists of three."""
    rows = _vertex_rows(mesh.vertices, mesh.normals, mesh.colors)
    faces = np.empty(len(mesh.faces), dtype=[("count", "u1"), ("index", "<i4", (3,))])
    faces["count"] = 3
    faces["index"] = mesh.faces
    face_header = f"element face {len(faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    return _header(rows) + face_header.encode() + rows.tobytes() + faces.tobytes()


def read_points(data: bytes) -> PointCloud:
    """The vertices of a binary little-endian PLY file as a cloud.

    Takes any scalar properties in any order and ignores those it does not know, and everything
    after the vertices. Normals are made unit length; zero ones stay zero.

    Raises:
        GeometryError: not such a file, truncated, no vertices, or NaN or infinity in it.
    """
    count, dtype, start = _parse_header(data)
    if len(data) - start < count * dtype.itemsize:
        raise GeometryError(
            f"truncated PLY: {count} vertices need {count * dtype.itemsize} bytes, "
            f"{len(data) - start} are there"
        )
    rows = np.frombuffer(data, dtype, count, start)
    names = dtype.names or ()
    if not set(_POSITIONS) <= set(names):
        raise GeometryError(f"PLY vertices need x, y and z; got {', '.join(names) or 'nothing'}")
    normals = None
    if set(_NORMALS) <= set(names):
        raw = _columns(rows, _NORMALS).astype(np.float64)
        length = np.linalg.norm(raw, axis=1, keepdims=True)
        normals = np.divide(raw, length, out=np.zeros_like(raw), where=length > 0)
        normals = normals.astype(np.float32)
    colors = None
    if set(_COLORS) <= set(names) and all(dtype[name] == np.uint8 for name in _COLORS):
        colors = _columns(rows, _COLORS).astype(np.uint8)
    with np.errstate(over="ignore"):  # a double out of range becomes infinity, refused below
        positions = _columns(rows, _POSITIONS).astype(np.float32)
    return PointCloud(positions, colors, normals)


def _vertex_rows(
    positions: NDArray[np.float32],
    normals: NDArray[np.float32] | None,
    colors: NDArray[np.uint8] | None,
) -> NDArray[np.void]:
    parts: list[tuple[tuple[str, ...], str, NDArray[np.generic]]] = [(_POSITIONS, "<f4", positions)]
    if normals is not None:
        parts.append((_NORMALS, "<f4", normals))
    if colors is not None:
        parts.append((_COLORS, "u1", colors))
    rows = np.empty(len(positions), dtype=[(n, kind) for names, kind, _ in parts for n in names])
    for names, _, values in parts:
        for column, name in enumerate(names):
            rows[name] = values[:, column]
    return rows


def _header(rows: NDArray[np.void]) -> bytes:
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {len(rows)}"]
    for name in rows.dtype.names or ():
        kind = "uchar" if rows.dtype[name] == np.uint8 else "float"
        lines.append(f"property {kind} {name}")
    return ("\n".join(lines) + "\n").encode()


def _parse_header(data: bytes) -> tuple[int, np.dtype[np.void], int]:
    """Number of vertices, dtype of one, offset of the first."""
    end = data.find(b"end_header\n", 0, _MAX_HEADER)
    if not data.startswith(b"ply\n") or end < 0:
        raise GeometryError("not a PLY file: no ply ... end_header")
    lines = [line.split() for line in data[:end].decode("ascii", "replace").splitlines()[1:]]
    lines = [words for words in lines if words and words[0] not in ("comment", "obj_info")]
    if not lines or lines[0][:2] != ["format", "binary_little_endian"]:
        raise GeometryError("PLY: only format binary_little_endian 1.0 is read")
    if len(lines) < 2 or lines[1][:2] != ["element", "vertex"] or len(lines[1]) != 3:
        raise GeometryError("PLY: the first element must be vertex")
    if not lines[1][2].isdecimal():
        raise GeometryError(f"PLY: bad vertex count {lines[1][2]!r}")
    fields: list[tuple[str, str]] = []
    for words in lines[2:]:
        if words[0] == "element":
            break
        if words[0] != "property" or len(words) != 3 or words[1] not in _TYPES:
            raise GeometryError(f"PLY: cannot read vertex line {' '.join(words)!r}")
        fields.append((words[2], _TYPES[words[1]]))
    if len({name for name, _ in fields}) != len(fields):
        raise GeometryError("PLY: a vertex property is named twice")
    return int(lines[1][2]), np.dtype(fields), end + len(b"end_header\n")


def _columns(rows: NDArray[np.void], names: tuple[str, ...]) -> NDArray[np.generic]:
    return np.stack([rows[name] for name in names], axis=1)
