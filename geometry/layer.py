from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """What a view sees: the surface nearest to the camera at each pixel.

    Attributes:
        depth: [size, size] float32, z of view space; -inf where there is nothing.
        normal: [size, size, 3] float32, of view space, towards the camera; not of unit length.
        light: [size, size, 3] float32, linear colour of the surface.
        coverage: [size, size] float32 in 0..1.
    """

    depth: Floats
    normal: Floats
    light: Floats
    coverage: Floats
