"""PLY files, binary little-endian or ascii: float positions and normals, uchar sRGB colours."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geometry.comments import comment_lines
from geometry.errors import GeometryError
from geometry.mesh import Mesh
from geometry.ply_header import Header, parse_header
from geometry.point_cloud import PointCloud

_POSITIONS = ("x", "y", "z")
_NORMALS = ("nx", "ny", "nz")
_COLORS = ("red", "green", "blue")
# Files of Gaussian splats hold these beside the position. The names are kept for them: a reader
# that dropped them would show transparent splats as points.
_SPLATS = ("f_dc_", "f_rest_", "opacity", "scale_", "rot_")


def write_points(
    cloud: PointCloud, extras: Mapping[str, Any] | None = None, *, ascii: bool = False
) -> bytes:
    """The cloud as a PLY file, with normals and colours if it has them.

    `extras` (JSON) become comments, one line each. Both forms keep float32 exactly.

    Raises:
        GeometryError: `extras` is not JSON.
    """
    rows = _vertex_rows(cloud.positions, cloud.normals, cloud.colors)
    body = _as_text(rows) if ascii else rows.tobytes()
    return _header(rows, extras, ascii) + b"end_header\n" + body


def write_mesh(
    mesh: Mesh, extras: Mapping[str, Any] | None = None, *, ascii: bool = False
) -> bytes:
    """The mesh as a PLY file: vertices as `write_points`, faces as lists of three."""
    rows = _vertex_rows(mesh.vertices, mesh.normals, mesh.colors)
    header = _header(rows, extras, ascii)
    header += f"element face {len(mesh.faces)}\n".encode()
    header += b"property list uchar int vertex_indices\nend_header\n"
    if ascii:
        lines = [f"3 {a} {b} {c}\n" for a, b, c in mesh.faces.tolist()]
        return header + _as_text(rows) + "".join(lines).encode()
    faces = np.empty(len(mesh.faces), dtype=[("count", "u1"), ("index", "<i4", (3,))])
    faces["count"] = 3
    faces["index"] = mesh.faces
    return header + rows.tobytes() + faces.tobytes()


def read_points(data: bytes) -> PointCloud:
    """The vertices of an ascii or binary little-endian PLY file as a cloud.

    Takes any scalar properties in any order and ignores those it does not know, and everything
    after the vertices. Normals are made unit length; zero ones stay zero.

    Raises:
        GeometryError: not such a file, truncated, no vertices, NaN or infinity in it, or splats.
    """
    header = parse_header(data)
    names = header.dtype.names or ()
    if not set(_POSITIONS) <= set(names):
        raise GeometryError(f"PLY vertices need x, y and z; got {', '.join(names) or 'nothing'}")
    if splats := [name for name in names if name.startswith(_SPLATS)]:
        raise GeometryError(f"PLY of Gaussian splats ({splats[0]}, ..) are not read, only points")
    rows = _text_rows(data, header) if header.ascii else _binary_rows(data, header)
    normals = None
    if set(_NORMALS) <= set(names):
        normals = _unit(_columns(rows, _NORMALS).astype(np.float64))
    colors = None
    if set(_COLORS) <= set(names) and all(rows.dtype[name] == np.uint8 for name in _COLORS):
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


def _header(rows: NDArray[np.void], extras: Mapping[str, Any] | None, ascii: bool) -> bytes:
    form = "ascii" if ascii else "binary_little_endian"
    lines = ["ply", f"format {form} 1.0", "comment bozzetto"]
    lines += [f"comment {line}" for line in comment_lines(extras)]
    lines.append(f"element vertex {len(rows)}")
    for name in rows.dtype.names or ():
        kind = "uchar" if rows.dtype[name] == np.uint8 else "float"
        lines.append(f"property {kind} {name}")
    return ("\n".join(lines) + "\n").encode()


def _as_text(rows: NDArray[np.void]) -> bytes:
    """One line for each of `rows`; nine digits hold every float32."""
    dtype = rows.dtype
    line = " ".join("%d" if dtype[n] == np.uint8 else "%.9g" for n in dtype.names or ()) + "\n"
    return "".join([line % row for row in rows.tolist()]).encode()


def _binary_rows(data: bytes, header: Header) -> NDArray[np.void]:
    wanted, there = header.count * header.dtype.itemsize, len(data) - header.size
    if there < wanted:
        raise GeometryError(
            f"truncated PLY: {header.count} vertices need {wanted} bytes, {there} are there"
        )
    rows: NDArray[np.void] = np.frombuffer(data, header.dtype, header.count, header.size)
    return rows


def _text_rows(data: bytes, header: Header) -> NDArray[np.void]:
    width = len(header.dtype.names or ())
    lines = data[header.size :].splitlines()
    if len(lines) < header.count:
        raise GeometryError(
            f"truncated PLY: {header.count} vertices, but {len(lines)} lines are there"
        )
    words = [line.split() for line in lines[: header.count]]
    if any(len(line) != width for line in words):
        raise GeometryError(f"PLY: a vertex has not the {width} values that the header names")
    try:
        values = np.array(words, np.float64).reshape(header.count, width)
    except ValueError as error:
        raise GeometryError(f"PLY: a vertex is no list of numbers: {error}") from error
    rows = np.empty(header.count, header.dtype)
    for column, name in enumerate(header.dtype.names or ()):
        rows[name] = _cast(values[:, column], header.dtype[name])
    return rows


def _cast(values: NDArray[np.float64], dtype: np.dtype[Any]) -> NDArray[np.generic]:
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        if not ((values >= limits.min) & (values <= limits.max)).all():
            raise GeometryError(f"PLY: a value does not fit {dtype}")
    with np.errstate(over="ignore"):
        return values.astype(dtype)


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    if not np.isfinite(vectors).all():
        raise GeometryError("normals: has NaN or infinity")
    largest = np.abs(vectors).max(axis=1, keepdims=True)
    scaled = np.divide(vectors, largest, out=np.zeros_like(vectors), where=largest > 0)
    length = np.linalg.norm(scaled, axis=1, keepdims=True)
    unit: NDArray[np.float64] = np.divide(scaled, length, out=scaled, where=length > 0)
    return unit.astype(np.float32)


def _columns(rows: NDArray[np.void], names: tuple[str, ...]) -> NDArray[np.generic]:
    return np.stack([rows[name] for name in names], axis=1)
