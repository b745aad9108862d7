import numpy as np
from numpy.typing import NDArray

_ENCODED = np.arange(256) / 255.0
# IEC 61966-2-1.
LINEAR: NDArray[np.float64] = np.where(
    _ENCODED <= 0.04045, _ENCODED / 12.92, ((_ENCODED + 0.055) / 1.055) ** 2.4
)


def to_linear(colors: NDArray[np.uint8]) -> NDArray[np.float64]:
    """sRGB bytes to linear light in 0..1, same shape. Exact: a table of 256."""
    return LINEAR[colors]


def from_linear(light: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Linear light to the nearest sRGB bytes, same shape; clipped to 0..1 first.

    `from_linear(to_linear(c)) == c` for every byte.
    """
    x = np.clip(light, 0.0, 1.0)
    encoded = np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055)
    rounded: NDArray[np.uint8] = np.rint(encoded * 255.0).astype(np.uint8)
    return rounded
