"""What a screenshot of the stage shows. The ground is a grey; the scripted object is colourful."""

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image

from tests.polling import eventually

COLOURFUL = 60  # of 255, between the strongest and the weakest channel
PATIENCE_S = 45.0


@dataclass(frozen=True, slots=True)
class Picture:
    rgb: np.ndarray  # [H, W, 3] uint8

    @property
    def object(self) -> np.ndarray:
        """[H, W] bool: where the object is."""
        return np.asarray(np.ptp(self.rgb.astype(int), axis=2) > COLOURFUL)

    @property
    def share(self) -> float:
        """Of the stage, how much the object covers."""
        return float(self.object.mean())

    def mean_colour(self, rows: tuple[float, float], columns: tuple[float, float]) -> np.ndarray:
        """[3] of object pixels in a part of the object's box, given in shares of its sides."""
        down, right = np.nonzero(self.object)
        part = _within(down, rows) & _within(right, columns)
        return np.asarray(self.rgb[down[part], right[part]].mean(axis=0))

    def changed(self, other: "Picture") -> float:
        """Share of pixels that differ visibly."""
        difference = np.abs(self.rgb.astype(int) - other.rgb).max(axis=2)
        return float((difference > 12).mean())


def _within(positions: np.ndarray, share: tuple[float, float]) -> np.ndarray:
    along = (positions - positions.min()) / max(np.ptp(positions), 1)
    return np.asarray((share[0] <= along) & (along <= share[1]))


def read_picture(take: Callable[[], bytes]) -> Picture:
    """What `take` gives, once two in a row are the same."""
    last = b""

    def still() -> bool:
        nonlocal last
        before, last = last, take()
        return before == last

    eventually(still, PATIENCE_S)
    return Picture(np.asarray(Image.open(BytesIO(last)).convert("RGB")))
