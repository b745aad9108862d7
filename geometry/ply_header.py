from dataclasses import dataclass
from typing import Any

import numpy as np

from geometry.errors import GeometryError

_TYPES = {
    "char": "<i1", "int8": "<i1", "uchar": "<u1", "uint8": "<u1",
    "short": "<i2", "int16": "<i2", "ushort": "<u2", "uint16": "<u2",
    "int": "<i4", "int32": "<i4", "uint": "<u4", "uint32": "<u4",
    "float": "<f4", "float32": "<f4", "double": "<f8", "float64": "<f8",
}  # fmt: skip
_FORMATS = {"ascii": True, "binary_little_endian": False}
_MAX_BYTES = 64 * 1024
_MAX_DIGITS = 15


@dataclass(frozen=True, slots=True)
class Header:
    """What a PLY file says of its vertices, which come first.

    Attributes:
        ascii: text, one vertex a line, else binary little-endian.
        count: of vertices, as claimed; nothing is known of how much data follows.
        dtype: of one vertex, a field for each property.
        size: bytes up to the first vertex.
    """

    ascii: bool
    count: int
    dtype: np.dtype[Any]
    size: int


def parse_header(data: bytes) -> Header:
    """The header that `data` begins with. Lines may end in CR LF.

    Raises:
        GeometryError: there is none of at most 64 KiB, or it has no vertices to be read.
    """
    lines, size = _lines(data)
    if not lines or lines[0][0] != "format" or len(lines[0]) < 2 or lines[0][1] not in _FORMATS:
        raise GeometryError(f"PLY: only formats {' and '.join(_FORMATS)} 1.0 are read")
    if len(lines) < 2 or lines[1][:2] != ["element", "vertex"] or len(lines[1]) != 3:
        raise GeometryError("PLY: the first element must be vertex")
    count = lines[1][2]
    if not count.isdecimal() or len(count) > _MAX_DIGITS:
        raise GeometryError(f"PLY: bad vertex count {count[:40]!r}")
    fields: list[tuple[str, str]] = []
    for words in lines[2:]:
        if words[0] == "element":
            break
        if words[0] != "property" or len(words) != 3 or words[1] not in _TYPES:
            raise GeometryError(f"PLY: cannot read vertex line {' '.join(words)[:80]!r}")
        fields.append((words[2], _TYPES[words[1]]))
    if len({name for name, _ in fields}) != len(fields):
        raise GeometryError("PLY: a vertex property is named twice")
    return Header(_FORMATS[lines[0][1]], int(count), np.dtype(fields), size)


def _lines(data: bytes) -> tuple[list[list[str]], int]:
    """The words of the lines between first and last but for comments, and the header's size."""
    found: list[list[str]] = []
    start = 0
    while (end := data.find(b"\n", start, _MAX_BYTES)) >= 0:
        line = data[start:end].rstrip(b"\r")
        if start == 0:
            if line != b"ply":
                break
        elif line == b"end_header":
            return found, end + 1
        else:
            words = line.decode("ascii", "replace").split()
            if words and words[0] not in ("comment", "obj_info"):
                found.append(words)
        start = end + 1
    raise GeometryError("not a PLY file: no ply ... end_header")
