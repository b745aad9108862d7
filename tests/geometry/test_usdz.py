import io
import json
import os
import zipfile

import numpy as np
import pytest
from PIL import Image

from geometry import usdz
from geometry.errors import GeometryError
from geometry.texture import TexturedMesh, bake_texture
from tests.geometry.solids import cloud_of, torus


@pytest.fixture(scope="session")
def pxr():
    """Pixar's library. In CI its absence is a failure."""
    try:
        import pxr.Usd
    except ImportError:
        if os.environ.get("CI") == "true":
            pytest.fail("usd-core is not installed")
        pytest.skip("usd-core is not installed: run make setup")
    return pxr


@pytest.fixture(scope="module")
def textured():
    mesh = torus(30, 20)
    return bake_texture(mesh, cloud_of(mesh), 128)


@pytest.fixture
def stage(pxr, tmp_path):
    """The stage that Pixar's library opens, which finds nothing wrong with it."""
    from pxr import Usd, UsdValidation

    def open_stage(data):
        path = tmp_path / "object.usdz"
        path.write_bytes(data)
        opened = Usd.Stage.Open(str(path))
        validators = UsdValidation.ValidationRegistry().GetOrLoadAllValidators()
        names = {validator.GetMetadata().name for validator in validators}
        assert "usdUtilsValidators:UsdzPackageValidator" in names
        found = UsdValidation.ValidationContext(validators).Validate(opened)
        assert not found, [error.GetMessage() for error in found]
        return opened

    return open_stage


def test_archive_is_stored_aligned_and_begins_with_the_layer(textured):
    data = usdz.write_mesh(textured)
    assert data == usdz.write_mesh(textured)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        entries = archive.infolist()
    assert [entry.filename for entry in entries] == ["object.usda", "picture.jpg"]
    for entry, magic in zip(entries, (b"#usda 1.0\n", b"\xff\xd8\xff"), strict=True):
        assert entry.compress_type == zipfile.ZIP_STORED
        header = data[entry.header_offset :][:30]
        lengths = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:], "little")
        start = entry.header_offset + 30 + lengths
        assert start % 64 == 0
        assert data[start:].startswith(magic)


def test_stage_in_pixars_library(textured, stage):
    from pxr import UsdGeom, UsdShade

    origin = {"model": 'with "quotes" and \\', "seed": 7, "job": "two\nlines"}
    opened = stage(usdz.write_mesh(textured, origin))
    assert UsdGeom.GetStageUpAxis(opened) == "Y"
    assert UsdGeom.GetStageMetersPerUnit(opened) == 1
    assert json.loads(opened.GetRootLayer().customLayerData["bozzetto"]) == origin
    assert str(opened.GetDefaultPrim().GetPath()) == "/Object"
    mesh = UsdGeom.Mesh(opened.GetPrimAtPath("/Object/Surface"))
    assert np.allclose(mesh.GetPointsAttr().Get(), textured.vertices, atol=1e-7)
    assert np.allclose(mesh.GetNormalsAttr().Get(), textured.normals, atol=1e-3)
    assert np.array_equal(mesh.GetFaceVertexIndicesAttr().Get(), textured.faces.reshape(-1))
    assert set(mesh.GetFaceVertexCountsAttr().Get()) == {3}
    coordinates = np.array(UsdGeom.PrimvarsAPI(mesh).GetPrimvar("st").Get())
    assert np.allclose(coordinates, textured.uv * [1, -1] + [0, 1], atol=1e-5)
    assert UsdShade.MaterialBindingAPI(mesh).ComputeBoundMaterial()[0]
    bounds = UsdGeom.BBoxCache(0, ["default"]).ComputeWorldBound(opened.GetDefaultPrim())
    assert bounds.ComputeAlignedRange().GetMin()[1] == pytest.approx(0, abs=1e-6)


def test_picture_is_the_texture(textured):
    with zipfile.ZipFile(io.BytesIO(usdz.write_mesh(textured))) as archive:
        picture = np.asarray(Image.open(archive.open("picture.jpg")))
    assert np.abs(picture.astype(int) - textured.image).mean() < 5


@pytest.mark.parametrize("scale", [1e-6, 1e6, 1e38])
def test_any_size(scale, stage):
    vertices = (np.eye(3) * scale).astype(np.float32)
    normals = np.tile(np.array([0, 0, 1], np.float32), (3, 1))
    image = np.zeros((4, 4, 3), np.uint8)
    faces = np.array([[0, 1, 2], [0, 0, 0]], np.int32)
    one = TexturedMesh(vertices, faces, normals, np.zeros((3, 2), np.float32), image)
    opened = stage(usdz.write_mesh(one))
    points = opened.GetPrimAtPath("/Object/Surface").GetAttribute("points").Get()
    assert np.allclose(points, vertices, rtol=1e-6, atol=0)


def test_extras_must_be_json(textured):
    for extras in ({"a": object()}, {"a": float("nan")}):
        with pytest.raises(GeometryError, match="extras: not JSON"):
            usdz.write_mesh(textured, extras)
