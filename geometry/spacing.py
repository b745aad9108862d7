import numpy as np
from numpy.typing import NDArray

from geometry.frame import measure
from geometry.neighbors import nearest

_NEIGHBOR = 6  # as many as a point of an even cloud has around it
_SAMPLE = 4096
# Dots of this many times the distance cover points drawn at random 1.5^2 * 6 / 4 = 3.4 times over,
# which leaves exp(-3.4) = 3 % of the surface open.
_OVERLAP = 1.5
_LARGEST = 0.2  # in diameters of the bounding sphere


def dot_size(positions: NDArray[np.float32]) -> float:
    """The diameter at which dots on `positions` [N, 3] close the surface, in their unit.

    1.5 times the median distance to the sixth neighbour, copies left out, and at most a fifth of
    the bounding sphere's diameter; 0 if all positions are one.
    """
    distinct = np.unique(positions, axis=0)
    frame = measure(distinct)
    points = (distinct.astype(np.float64) - frame.centre) * frame.scale
    if len(points) == 1:
        return 0.0
    query = points[:: -(-len(points) // _SAMPLE)]
    distance, _ = nearest(points, min(_NEIGHBOR + 1, len(points)), query)
    return min(_OVERLAP * float(np.median(distance[:, -1])), _LARGEST) / frame.scale
