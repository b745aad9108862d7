from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geometry.errors import GeometryError
from geometry.point_cloud import check_array


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """Triangles with optional colour and normal per vertex.

    Attributes:
        vertices: [V, 3] float32, all finite.
        faces: [F, 3] int32, F >= 1, counter-clockwise seen from outside, each index in [0, V).
        colors: [V, 3] uint8 sRGB, or None.
        normals: [V, 3] float32 of unit length, or None.

    Raises:
        GeometryError: a shape, dtype, value or index above does not hold.
    """

    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    colors: NDArray[np.uint8] | None = None
    normals: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        check_array("vertices", self.vertices, (None, 3), np.float32)
        check_array("faces", self.faces, (None, 3), np.int32)
        if len(self.faces) == 0:
            raise GeometryError("a mesh needs at least one face")
        if self.faces.min() < 0 or self.faces.max() >= len(self.vertices):
            raise GeometryError(
                f"faces: indices must lie in 0..{len(self.vertices) - 1}, "
                f"got {self.faces.min()}..{self.faces.max()}"
            )
        count = len(self.vertices)
        if self.colors is not None:
            check_array("colors", self.colors, (count, 3), np.uint8)
        if self.normals is not None:
            check_array("normals", self.normals, (count, 3), np.float32)
