from pathlib import Path

import pytest

from geometry.errors import GeometryError
from geometry.formats import FORMATS, MESH_FORMATS, write_output
from geometry.texture import bake_texture
from models.catalog import OUTPUTS
from tests.geometry.shapes import box, sphere
from tests.geometry.solids import torus

MAGIC = {
    "points.ply": b"ply\n",
    "points.glb": b"glTF",
    "mesh.glb": b"glTF",
    "mesh.ply": b"ply\n",
    "mesh.obj": b"# bozzetto",
    "mesh.stl": b"binary STL",
    "mesh.usdz": b"PK\3\4",
    "preview.png": b"\x89PNG",
    "turntable.gif": b"GIF89a",
    "turntable.webp": b"RIFF",
}


def test_every_promised_output_has_a_format():
    assert set(FORMATS) == set(OUTPUTS) == set(MAGIC)


@pytest.mark.parametrize("name", FORMATS)
def test_each_is_written(name, rng):
    data = write_output(name, sphere(300, rng), box(), {"seed": 1})
    assert data.startswith(MAGIC[name])
    origin = {".glb": b'"extras":{"seed":1}', ".usdz": b'{\\"seed\\":1}'}
    origin |= {".ply": b"\ncomment seed: 1\n", ".obj": b"\n# seed: 1\n"}
    assert origin.get(Path(name).suffix, b"") in data


def test_textured_mesh_is_used(rng):
    cloud, mesh = sphere(300, rng), box()
    textured = bake_texture(mesh, cloud, 256)
    data = write_output("mesh.glb", cloud, mesh, textured=textured)
    assert b"baseColorTexture" in data
    assert b"COLOR_0" not in data
    assert write_output("mesh.usdz", cloud, mesh, textured=textured) != write_output(
        "mesh.usdz", cloud, mesh
    )
    assert b"TEXCOORD" not in write_output("mesh.glb", cloud, mesh)


@pytest.mark.parametrize("name", ["points.glb", "mesh.glb"])
def test_compression(name, rng):
    cloud, mesh = sphere(3000, rng), torus(40, 30)
    data = write_output(name, cloud, mesh, compression="meshopt")
    assert b"EXT_meshopt_compression" in data
    assert len(data) < 0.5 * len(write_output(name, cloud, mesh))


@pytest.mark.parametrize("name", sorted(MESH_FORMATS))
def test_mesh_files_need_a_mesh(name, rng):
    with pytest.raises(GeometryError, match=f"{name} needs a mesh"):
        write_output(name, sphere(3, rng))


def test_pictures_of_a_cloud_need_none(rng):
    assert write_output("preview.png", sphere(300, rng)).startswith(b"\x89PNG")


def test_unknown_name(rng):
    with pytest.raises(GeometryError, match=r"unknown output 'points.xyz'; known: points.ply"):
        write_output("points.xyz", sphere(3, rng))
