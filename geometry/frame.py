"""The output frame: centre of the axis-aligned box at the origin, bounding sphere of diameter 1."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from geometry.errors import GeometryError
from geometry.mesh import Mesh
from geometry.point_cloud import PointCloud

Shape = TypeVar("Shape", PointCloud, Mesh)


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Maps p to (p - centre) * scale.

    Attributes:
        centre: [3] float64, in the unit of the positions it was measured on.
        scale: > 0; 1 when all positions are one point.
    """

    centre: NDArray[np.float64]
    scale: float


def measure(positions: NDArray[np.floating]) -> Frame:
    """The frame that centres [N, 3] positions and gives them a bounding sphere of diameter 1.

    The sphere is the one about the centre of the box, not the smallest that there is.

    Raises:
        GeometryError: no positions, or NaN or infinity among them.
    """
    if len(positions) == 0 or not np.isfinite(positions).all():
        raise GeometryError("positions: a frame needs at least one point, all finite")
    exact = positions.astype(np.float64)
    centre = (exact.min(axis=0) + exact.max(axis=0)) / 2
    radius = float(np.linalg.norm(exact - centre, axis=1).max())
    return Frame(centre, 0.5 / radius if radius > 0 else 1.0)


def apply(frame: Frame, shape: Shape) -> Shape:
    """`shape` in `frame`. Colours, normals and faces are shared, not copied.

    Raises:
        GeometryError: a position leaves the range of float32.
    """
    if isinstance(shape, PointCloud):
        return PointCloud(_mapped(frame, shape.positions), shape.colors, shape.normals)
    return Mesh(_mapped(frame, shape.vertices), shape.faces, shape.colors, shape.normals)


def normalise(shape: Shape) -> Shape:
    """`shape` centred on its own box and scaled into the sphere of diameter 1.

    Use `measure` and `apply` where a cloud and its mesh must share one frame.
    """
    own = shape.positions if isinstance(shape, PointCloud) else shape.vertices
    return apply(measure(own), shape)


def _mapped(frame: Frame, positions: NDArray[np.float32]) -> NDArray[np.float32]:
    mapped = (positions.astype(np.float64) - frame.centre) * frame.scale
    with np.errstate(over="ignore"):  # infinity is refused by PointCloud and Mesh, with a message
        return mapped.astype(np.float32)
