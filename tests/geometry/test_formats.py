import pytest

from geometry.errors import GeometryError
from geometry.formats import FORMATS, MESH_FORMATS, write_output
from models.catalog import OUTPUTS
from tests.geometry.shapes import box, sphere

MAGIC = {
    "points.ply": b"ply\n",
    "points.glb": b"glTF",
    "mesh.glb": b"glTF",
    "mesh.ply": b"ply\n",
    "mesh.obj": b"# bozzetto",
    "mesh.stl": b"binary STL",
    "preview.png": b"\x89PNG",
    "turntable.gif": b"GIF89a",
}


def test_every_promised_output_has_a_format():
    assert set(FORMATS) == set(OUTPUTS) == set(MAGIC)


@pytest.mark.parametrize("name", FORMATS)
def test_each_is_written(name, rng):
    data = write_output(name, sphere(300, rng), box(), {"seed": 1})
    assert data.startswith(MAGIC[name])
    assert (b'"extras":{"seed":1}' in data) == name.endswith(".glb")


@pytest.mark.parametrize("name", sorted(MESH_FORMATS))
def test_mesh_files_need_a_mesh(name, rng):
    with pytest.raises(GeometryError, match=f"{name} needs a mesh"):
        write_output(name, sphere(3, rng))


def test_pictures_of_a_cloud_need_none(rng):
    assert write_output("preview.png", sphere(300, rng)).startswith(b"\x89PNG")


def test_unknown_name(rng):
    with pytest.raises(GeometryError, match=r"unknown output 'points.xyz'; known: points.ply"):
        write_output("points.xyz", sphere(3, rng))
