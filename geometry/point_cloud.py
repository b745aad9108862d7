from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geometry.errors import GeometryError


@dataclass(frozen=True, slots=True, eq=False)
class PointCloud:
    """Points with optional colour and normal.

    Attributes:
        positions: [N, 3] float32, N >= 1, all finite.
        colors: [N, 3] uint8 sRGB, or None.
        normals: [N, 3] float32 of unit length (or zero where unknown), or None.

    Raises:
        GeometryError: a shape, dtype or value above does not hold.
    """

    positions: NDArray[np.float32]
    colors: NDArray[np.uint8] | None = None
    normals: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        check_array("positions", self.positions, (None, 3), np.float32)
        if len(self.positions) == 0:
            raise GeometryError("a point cloud needs at least one point")
        count = len(self.positions)
        if self.colors is not None:
            check_array("colors", self.colors, (count, 3), np.uint8)
        if self.normals is not None:
            check_array("normals", self.normals, (count, 3), np.float32)

    def __len__(self) -> int:
        return len(self.positions)

    def take(self, index: NDArray[np.intp] | NDArray[np.bool_]) -> "PointCloud":
        """The points chosen by `index` ([M] integers or [N] booleans), in that order."""
        return PointCloud(
            positions=self.positions[index],
            colors=None if self.colors is None else self.colors[index],
            normals=None if self.normals is None else self.normals[index],
        )


def check_array(
    name: str, array: NDArray[np.generic], shape: tuple[int | None, ...], dtype: type[np.generic]
) -> None:
    """Check rank, every given dimension, dtype and finiteness exactly.

    Raises:
        GeometryError: names the array, what was expected and what came.
    """
    fits = array.ndim == len(shape) and all(
        want is None or want == got for want, got in zip(shape, array.shape, strict=True)
    )
    if not fits or array.dtype != dtype:
        wanted = ", ".join("N" if side is None else str(side) for side in shape)
        raise GeometryError(
            f"{name}: expected [{wanted}] {np.dtype(dtype)}, got {list(array.shape)} {array.dtype}"
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise GeometryError(f"{name}: has NaN or infinity")
