from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_QUALITY = 90


def encode_picture(image: NDArray[np.uint8], exact: bool) -> tuple[bytes, str]:
    """`image` [S, S, 3] as a file, and its media type: PNG if it must be exact, else JPEG.

    Colour has full resolution, because charts of different colours lie side by side.
    """
    file = BytesIO()
    picture = Image.fromarray(image)
    if exact:
        picture.save(file, "PNG")
        return file.getvalue(), "image/png"
    picture.save(file, "JPEG", quality=_QUALITY, subsampling=0)
    return file.getvalue(), "image/jpeg"
