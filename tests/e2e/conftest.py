import io

import numpy as np
import pytest
from PIL import Image

from tests.models.pictures import compose


def _png(rgba) -> bytes:
    data = io.BytesIO()
    Image.fromarray(rgba).save(data, "PNG")
    return data.getvalue()


@pytest.fixture(scope="session")
def disc() -> bytes:
    return _png(compose("disc", size=96).rgba)


@pytest.fixture(scope="session")
def blank() -> bytes:
    return _png(np.full((96, 96, 4), 255, np.uint8))
