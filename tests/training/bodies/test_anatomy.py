from dataclasses import fields

import numpy as np
import pytest

from tests.training.bodies.figure import PLACES, write_archive
from training.bodies.anatomy import (
    ARM,
    BODY,
    BONES,
    DETAILS,
    EYES,
    FACTORS,
    HAIR,
    HEAD,
    LEG,
    SKIRT,
    TORSO,
    Anatomy,
    AnatomyError,
)


def main_bone(anatomy):
    return np.array(BONES)[anatomy.weights.argmax(axis=1)]


def test_joints_follow_the_vertices_and_bones_come_after_their_parents(anatomy):
    heads = anatomy.rest[len(anatomy.weights) :]
    np.testing.assert_allclose(heads[BONES.index("head")], PLACES["head"], atol=1e-5)
    x, y, z = PLACES["wrist"]
    np.testing.assert_allclose(heads[BONES.index("wrist.R")], (-x, y, z), atol=1e-5)
    assert anatomy.parents[0] == -1
    assert (anatomy.parents[1:] >= 0).all()
    assert (anatomy.parents < np.arange(len(BONES))).all()
    assert BONES[anatomy.parents[BONES.index("wrist.L")]] == "lowerarm02.L"


def test_bones_that_are_left_out_move_with_the_one_above(anatomy):
    np.testing.assert_allclose(anatomy.weights.sum(axis=1), 1, rtol=1e-6)
    finger = np.abs(anatomy.rest[: len(anatomy.weights)] - [5.2, 1.5, 2.3]).max(axis=1) < 0.3
    assert finger.sum() == 8
    assert set(main_bone(anatomy)[finger]) == {"wrist.L"}


def test_parts_are_told_apart(anatomy):
    boxes = np.bincount(anatomy.part) / 12
    assert boxes[BODY] == len(BONES) + 2
    assert (boxes[EYES], boxes[HAIR], boxes[SKIRT]) == (2, 1, 1)


def test_each_vertex_knows_where_on_the_body_it_is(anatomy):
    bones = main_bone(anatomy)
    for bone, region, low, high in [
        ("head", HEAD, 0.3, 1.01),
        ("spine03", TORSO, 0.4, 0.75),
        ("upperarm01.L", ARM, -0.2, 0.2),
        ("lowerarm01.R", ARM, 0.8, 1.2),
        ("upperleg02.L", LEG, 0.05, 0.3),
        ("foot.R", LEG, 1.9, 2.2),
    ]:
        mine = bones == bone
        # Eyes and hair hang on the head, the skirt on the root.
        assert set(anatomy.region[mine]) == {region}
        assert anatomy.along[mine].min() > low
        assert anatomy.along[mine].max() < high


def test_targets_keep_their_weight_and_limbs_move_alike(anatomy):
    n = len(anatomy.rest)
    macro = anatomy.deltas[anatomy.macro].reshape(-1, n, 3)
    np.testing.assert_allclose(macro, np.broadcast_to([0, 1, 0], macro.shape), atol=1e-6)
    words = [FACTORS[k] for k in anatomy.words[1]]
    assert sorted(words) == sorted(["universal", "male", "young", "maxmuscle", "averageweight"])
    for name, ends in zip(DETAILS, anatomy.detail.T, strict=True):
        moved = anatomy.deltas[ends].reshape(2, n, 3)[..., 0]
        np.testing.assert_allclose(moved, 0.02 if "*" in name else 0.01, atol=1e-6)


def test_an_anatomy_is_prepared_once(archive, anatomy, tmp_path):
    Anatomy.load(archive, tmp_path)
    [kept] = tmp_path.iterdir()
    written = kept.stat().st_mtime_ns
    again = Anatomy.load(archive, tmp_path)
    assert kept.stat().st_mtime_ns == written
    for field in fields(Anatomy):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(anatomy, field.name))


def test_an_archive_that_lacks_a_file_is_an_error(tmp_path):
    with pytest.raises(AnatomyError, match=r"targets\.npz"):
        Anatomy.load(write_archive(tmp_path / "m.tar.xz", missing=("targets.npz",)))
    (tmp_path / "text.tar.xz").write_text("no archive")
    with pytest.raises(AnatomyError):
        Anatomy.load(tmp_path / "text.tar.xz")
