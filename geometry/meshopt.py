"""Encoder of EXT_meshopt_compression: its attribute codec (mode 0) and triangle codec (mode 1).

Written from the specification's appendix A (KhronosGroup/glTF, extensions/2.0/Vendor/
EXT_meshopt_compression). Own code; filters are not used.
"""

import numpy as np
from numpy.typing import NDArray

from geometry.errors import GeometryError

_GROUP = 16  # elements that share one coding
_MAX_BLOCK, _MAX_BLOCK_BYTES = 256, 8192
_MAX_STRIDE = 256
_MIN_TAIL = 32
_ATTRIBUTES_HEADER, _TRIANGLES_HEADER = 0xA0, 0xE1
_USABLE_EDGES = 15  # of the 16 in the queue: code 0xf means that none matches
_USABLE_VERTICES = 13  # likewise: 0xd, 0xe and 0xf have other meanings, and so has 0
_EXPLICIT = 0xF


def encode_attributes(elements: NDArray[np.generic]) -> bytes:
    """The rows of `elements` [N, ...], N >= 1, as they lie in memory, in mode ATTRIBUTES.

    Every byte column is stored as differences from row to row, so rows that follow each other
    should resemble each other.

    Raises:
        GeometryError: a row is not 4k bytes long, or longer than 256, or there is none.
    """
    count = len(elements)
    if count == 0:
        raise GeometryError("meshopt: no elements")
    rows = np.frombuffer(np.ascontiguousarray(elements).tobytes(), np.uint8).reshape(count, -1)
    stride = rows.shape[1]
    if stride % 4 or stride > _MAX_STRIDE:
        raise GeometryError(f"meshopt: rows of 4, 8, .. {_MAX_STRIDE} bytes, not {stride}")
    deltas = np.zeros((-(-count // _GROUP) * _GROUP, stride), np.uint8)
    np.subtract(rows[1:], rows[:-1], out=deltas[1:count])
    zigzag = ((deltas << 1) ^ np.where(deltas & 0x80, 0xFF, 0)).astype(np.uint8)
    groups = zigzag.reshape(-1, _GROUP, stride).transpose(2, 0, 1)  # [stride, N / 16, 16]
    codings, bodies, ends = _encode_groups(groups.reshape(-1, _GROUP))
    codings = codings.reshape(stride, -1)
    ends = np.concatenate([[0], ends])
    block = min((_MAX_BLOCK_BYTES // stride) & ~(_GROUP - 1), _MAX_BLOCK) // _GROUP
    parts = [bytes([_ATTRIBUTES_HEADER])]
    in_column = codings.shape[1]
    for first in range(0, in_column, block):
        last = min(first + block, in_column)
        for column in range(stride):
            start, end = ends[column * in_column + first], ends[column * in_column + last]
            parts += [_pack(codings[column, first:last]), bodies[start:end]]
    parts.append(rows[0].tobytes().rjust(_MIN_TAIL, b"\0"))
    return b"".join(parts)


def _encode_groups(
    groups: NDArray[np.uint8],
) -> tuple[NDArray[np.uint8], bytes, NDArray[np.int64]]:
    """The shortest coding [G] of each group [G, 16], all bodies, and where each of them ends."""
    large, larger = groups >= 3, groups >= 15
    sizes = np.stack(
        [
            np.where(groups.any(axis=1), 255, 0),
            4 + large.sum(axis=1),
            8 + larger.sum(axis=1),
            np.full(len(groups), 16),
        ]
    )
    codings = sizes.argmin(axis=0).astype(np.uint8)
    rows = np.zeros((len(groups), 8 + _GROUP), np.uint8)
    used = np.zeros(rows.shape, bool)
    for coding, width, outside in ((1, 4, large), (2, 8, larger)):
        chosen = codings == coding
        bits = 8 * width // _GROUP
        small = np.minimum(groups[chosen], 2**bits - 1).reshape(-1, width, 8 // bits)
        shifts = np.arange(8 - bits, -1, -bits, dtype=np.uint8)
        rows[chosen, :width] = np.bitwise_or.reduce(small << shifts, axis=2)
        rows[chosen, width : width + _GROUP] = groups[chosen]
        used[chosen, :width] = True
        used[chosen, width : width + _GROUP] = outside[chosen]
    raw = codings == 3
    rows[raw, :_GROUP] = groups[raw]
    used[raw, :_GROUP] = True
    return codings, rows[used].tobytes(), np.cumsum(used.sum(axis=1))


def _pack(values: NDArray[np.uint8]) -> bytes:
    """`values` below 4, four to a byte, the first in the lowest bits."""
    padded = np.zeros(-(-len(values) // 4) * 4, np.uint8)
    padded[: len(values)] = values
    shifted = padded.reshape(-1, 4) << np.arange(0, 8, 2, dtype=np.uint8)
    return bytes(np.bitwise_or.reduce(shifted, axis=1))


def encode_triangles(faces: NDArray[np.integer]) -> bytes:
    """`faces` [F, 3], each index in [0, 2^31), in mode TRIANGLES.

    The decoder gives the same faces in the same order, but may begin one at another corner. A
    face costs one byte when it shares an edge with one of the last few, and its third vertex is
    the next new one, or next to the last odd one, or was met lately: see `vertex_order`.
    """
    writer = _TriangleWriter()
    for a, b, c in faces.tolist():
        for corners in ((a, b, c), (b, c, a), (c, a, b)):
            if writer.age_of_edge(corners) < _USABLE_EDGES:
                writer.add_neighbour(*corners)
                break
        else:
            if writer.next_vertex == b:
                a, b, c = b, c, a
            elif writer.next_vertex == c:
                a, b, c = c, a, b
            writer.add_apart(a, b, c)
    tail = bytes(16)  # the table of frequent codes 0xfY, of which only the first, all new, is used
    return bytes([_TRIANGLES_HEADER]) + writer.codes + writer.data + tail


class _TriangleWriter:
    """The decoder's state: what it queued, as the number of the push that each came with last."""

    def __init__(self) -> None:
        self.codes, self.data = bytearray(), bytearray()
        self.next_vertex = 0  # the lowest one not met yet, if vertices are met in their order
        self._last = 0
        self._edges: dict[tuple[int, int], int] = {}
        self._vertices: dict[int, int] = {}
        self._edge_pushes = self._vertex_pushes = 1000  # so that 0 is long ago

    def age_of_edge(self, corners: tuple[int, int, int]) -> int:
        return self._edge_pushes - self._edges.get(corners[:2], 0)

    def add_neighbour(self, a: int, b: int, c: int) -> None:
        """A face whose edge a, b is queued."""
        age = self._vertex_pushes - self._vertices.get(c, 0)
        if c == self.next_vertex:
            kind = 0
            self.next_vertex += 1
        elif 0 < age < _USABLE_VERTICES:
            kind = age
        elif c == self._last - 1:
            kind = 0xD
        elif c == self._last + 1:
            kind = 0xE
        else:
            kind = _EXPLICIT
            self._write_index(c)
        if kind >= _USABLE_VERTICES:
            self._last = c
        self.codes.append(self.age_of_edge((a, b, c)) << 4 | kind)
        self._push_edges((c, b), (a, c))
        if kind == 0 or kind >= _USABLE_VERTICES:
            self._push_vertices(c)

    def add_apart(self, a: int, b: int, c: int) -> None:
        """A face none of whose edges is queued."""
        explicit = [] if self._take_next(a) else [a]
        first = 0xFF if explicit else 0xFE
        kinds = []
        for vertex in (b, c):
            age = self._vertex_pushes - self._vertices.get(vertex, 0)
            if self._take_next(vertex):
                kinds.append(0)
            elif age < _EXPLICIT - 1:
                kinds.append(age + 1)
            else:
                kinds.append(_EXPLICIT)
                explicit.append(vertex)
        if first == 0xFE and kinds == [0, 0]:
            self.codes.append(0xF0)  # 0xfe followed by 0 would start the numbering anew
        else:
            self.codes.append(first)
            self.data.append(kinds[0] << 4 | kinds[1])
        for vertex in explicit:
            self._write_index(vertex)
        self._push_edges((b, a), (c, b), (a, c))
        self._push_vertices(
            a, *(v for v, kind in zip((b, c), kinds, strict=True) if kind in (0, _EXPLICIT))
        )

    def _take_next(self, vertex: int) -> bool:
        taken = vertex == self.next_vertex
        self.next_vertex += taken
        return taken

    def _write_index(self, vertex: int) -> None:
        """The difference to the last index written so: zigzag, then seven bits to a byte."""
        delta = vertex - self._last
        value = -2 * delta - 1 if delta < 0 else 2 * delta
        while value > 0x7F:
            self.data.append(value & 0x7F | 0x80)
            value >>= 7
        self.data.append(value)
        self._last = vertex

    def _push_edges(self, *edges: tuple[int, int]) -> None:
        for edge in edges:
            self._edge_pushes += 1
            self._edges[edge] = self._edge_pushes

    def _push_vertices(self, *vertices: int) -> None:
        for vertex in vertices:
            self._vertex_pushes += 1
            self._vertices[vertex] = self._vertex_pushes
