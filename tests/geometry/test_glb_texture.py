import io

import numpy as np
import pytest
import trimesh
from PIL import Image

from geometry import glb
from geometry.texture import TexturedMesh
from tests.geometry.test_glb import parse, primitive


@pytest.fixture
def textured(rng):
    """A square facing +Z, its picture red on top and blue below."""
    image = np.zeros((8, 8, 3), np.uint8)
    image[:4, :, 0] = image[4:, :, 2] = 250
    return TexturedMesh(
        np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], np.float32),
        np.array([[0, 1, 2], [0, 2, 3]], np.int32),
        np.tile(np.array([0, 0, 1], np.float32), (4, 1)),
        np.array([[0, 1], [1, 1], [1, 0], [0, 0]], np.float32),
        image,
    )


@pytest.mark.parametrize(
    ("compression", "media_type"),
    [("none", "image/png"), ("quantized", "image/jpeg"), ("meshopt", "image/jpeg")],
)
def test_picture(compression, media_type, textured, validate_glb):
    data = glb.write_mesh(textured, {"seed": 1}, compression)
    validate_glb(data)
    document, _ = parse(data)
    (image,) = document["images"]
    assert image["mimeType"] == media_type
    view = document["bufferViews"][image["bufferView"]]
    chunk = data[28 + int.from_bytes(data[12:16], "little") :]
    picture = Image.open(io.BytesIO(chunk[view["byteOffset"] :][: view["byteLength"]]))
    error = np.abs(np.asarray(picture).astype(int) - textured.image)
    assert error.max() <= (0 if compression == "none" else 12)
    surface = document["materials"][0]["pbrMetallicRoughness"]
    assert surface["baseColorTexture"] == {"index": 0}
    assert "baseColorFactor" not in surface
    assert surface["metallicFactor"] == 0
    assert set(primitive(document)["attributes"]) == {"POSITION", "NORMAL", "TEXCOORD_0"}


def test_trimesh_finds_the_colours_where_they_are(textured):
    loaded = trimesh.load(io.BytesIO(glb.write_mesh(textured)), file_type="glb", force="mesh")
    assert loaded.visual.material.baseColorTexture.size == (8, 8)
    colors = loaded.visual.to_color().vertex_colors
    top = loaded.vertices[:, 1] > 0.5
    assert (colors[top, 0] > 200).all()
    assert (colors[~top, 2] > 200).all()
