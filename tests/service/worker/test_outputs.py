"""From a model's result to files: what each is made of, and what is said of it."""

import io

import numpy as np
import pytest
import trimesh

from models.contract import Result
from service.worker import pipeline
from service.worker.pipeline import STAGES, build_outputs
from tests.fakes_model import ellipsoid

AXES = np.array([1.0, 0.7, 0.5])


@pytest.fixture(scope="module")
def result() -> Result:
    return Result(ellipsoid(1024, AXES))


def loaded(output) -> trimesh.Trimesh:
    scene = trimesh.load(io.BytesIO(output.data), file_type="glb")
    (mesh,) = scene.geometry.values()
    return mesh


def has_texture(output) -> bool:
    return loaded(output).visual.material.baseColorTexture is not None


def test_meshes_come_with_their_quality(result):
    points, mesh, stl = build_outputs(["points.ply", "mesh.glb", "mesh.stl"], result)
    assert points.quality is None
    assert mesh.quality == stl.quality
    assert mesh.quality is not None
    assert mesh.quality.watertight
    assert mesh.quality.components == 1
    assert 0 < mesh.quality.mean_distance < 0.01


def test_no_surface_for_points_alone(result):
    stages: list[str] = []
    (points,) = build_outputs(["points.ply"], result, on_stage=stages.append)
    assert stages == ["write"]
    assert (points.points, points.faces, points.quality) == (1024, None, None)


def test_a_texture_replaces_the_colours_of_vertices(result):
    plain, textured = (
        build_outputs(["mesh.glb"], result, target_faces=500, texture_size=size)[0]
        for size in (None, 256)
    )
    assert not has_texture(plain)
    worn = loaded(textured)
    assert worn.visual.material.baseColorTexture.size == (256, 256)
    assert textured.vertices == len(worn.vertices)
    assert textured.faces == len(worn.faces)
    assert textured.quality is not None
    assert textured.quality.watertight  # seams are no holes


def test_meshes_with_a_texture_stay_small_enough_to_unwrap(result, monkeypatch):
    monkeypatch.setattr(pipeline, "MOST_TEXTURED", 1_000)
    textured, plain = build_outputs(
        ["mesh.glb", "mesh.stl"], result, target_faces=3_000, texture_size=256
    )
    assert (textured.faces or 0) <= 1_000 < (plain.faces or 0)


def test_a_file_for_quick_look_brings_its_own_texture(result):
    stages: list[str] = []
    usdz, glb, stl = build_outputs(
        ["mesh.usdz", "mesh.glb", "mesh.stl"], result, target_faces=500, on_stage=stages.append
    )
    assert usdz.data.startswith(b"PK")
    assert (usdz.vertices or 0) > (glb.vertices or 0)
    assert glb.vertices == stl.vertices
    assert not has_texture(glb)
    assert stages == ["surface", "texture", "write", "write", "write"]
    assert set(stages) <= set(STAGES)


@pytest.mark.parametrize("compression", ["quantized", "meshopt"])
def test_compression_makes_glb_smaller_and_leaves_others_alone(result, compression):
    names = ["mesh.glb", "points.glb", "points.ply"]
    plain = build_outputs(names, result, target_faces=500)
    packed = build_outputs(names, result, target_faces=500, compression=compression)
    assert len(packed[0].data) < 0.85 * len(plain[0].data)
    assert len(packed[1].data) < 0.85 * len(plain[1].data)
    assert packed[2].data == plain[2].data
