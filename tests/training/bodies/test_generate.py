import numpy as np
import pytest

from tests.training.shapes import sphere
from training.bodies.anatomy import BODY, BONES
from training.bodies.clothes import dress, puff
from training.bodies.generate import random_body, skinned
from training.bodies.pose import Pose, random_pose


def bodies(anatomy, count, seed=0):
    rng = np.random.default_rng(seed)
    return [random_body(rng, anatomy) for _ in range(count)]


def rest(anatomy):
    n = len(anatomy.weights)
    return anatomy.rest[:n], anatomy.rest[n:]


def test_a_body_is_a_mesh_as_packs_have_them(anatomy):
    for body in bodies(anatomy, 20):
        assert np.isfinite(body.vertices).all()
        assert np.ptp(body.vertices, axis=0).max() == pytest.approx(1)
        assert body.vertices[:, 1].min() == pytest.approx(0, abs=1e-6)
        assert body.faces.max() < len(body.vertices)
        assert body.face_colors.shape == body.faces.shape
        assert body.source == "makehuman"
        assert body.vertices.dtype == np.float32
        assert body.faces.dtype == np.int32


def test_bodies_are_fixed_by_their_seed_and_differ(anatomy):
    first, again, other = bodies(anatomy, 3), bodies(anatomy, 3), bodies(anatomy, 3, seed=1)
    for a, b, c in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(a.vertices, b.vertices)
        np.testing.assert_array_equal(a.face_colors, b.face_colors)
        assert np.abs(a.vertices - c.vertices).max() > 0.01


def test_no_rotation_leaves_the_body_at_rest(anatomy):
    vertices, heads = rest(anatomy)
    still = np.tile(np.eye(3, dtype=np.float32), (len(BONES), 1, 1))
    np.testing.assert_allclose(skinned(anatomy, vertices, heads, still), vertices, atol=1e-5)


@pytest.mark.parametrize("seed", range(8))
def test_bones_keep_their_length_in_any_pose(anatomy, seed):
    vertices, heads = rest(anatomy)
    rotations = random_pose(np.random.default_rng(seed), heads)
    np.testing.assert_allclose(np.linalg.det(rotations), 1, atol=1e-5)
    posed = skinned(anatomy, vertices, heads, rotations)
    # The joints move with the boxes around them, so their centres are the joints.
    owner = anatomy.weights.argmax(axis=1)
    body = np.unique(anatomy.faces[anatomy.part == BODY])
    for bone, parent in enumerate(anatomy.parents):
        if parent < 0 or BONES[bone].startswith("wrist") or BONES[bone] in ("head", "root"):
            continue
        mine, above = (body[owner[body] == k] for k in (bone, parent))
        length = np.linalg.norm(posed[mine].mean(axis=0) - posed[above].mean(axis=0))
        before = np.linalg.norm(vertices[mine].mean(axis=0) - vertices[above].mean(axis=0))
        assert length == pytest.approx(before, abs=1e-4)


def test_a_limb_points_where_it_is_told(anatomy):
    _, heads = rest(anatomy)
    pose = Pose(heads)
    aim, bend = np.array([0.6, 0, 0.8]), np.array([0.0, 1, 0])
    pose.limb("upperarm01", "lowerarm01", "wrist", "L", np.eye(3), aim, bend, 90)
    shoulder, elbow, wrist = (
        heads[BONES.index(f"{bone}.L")] for bone in ("upperarm01", "lowerarm01", "wrist")
    )
    forearm = pose.of("lowerarm01.L") @ (wrist - elbow)
    np.testing.assert_allclose(forearm / np.linalg.norm(forearm), bend, atol=1e-6)
    arm = pose.of("upperarm02.L") @ (elbow - shoulder)
    np.testing.assert_allclose(arm / np.linalg.norm(arm), aim, atol=1e-6)


def test_poses_differ_and_feet_stay_below_the_head(anatomy):
    vertices, heads = rest(anatomy)
    owner = anatomy.weights.argmax(axis=1)
    rng = np.random.default_rng(0)
    hands = []
    for _ in range(40):
        posed = skinned(anatomy, vertices, heads, random_pose(rng, heads))
        feet = posed[np.isin(owner, [BONES.index("foot.L"), BONES.index("foot.R")]), 1]
        assert feet.min() < posed[owner == BONES.index("head"), 1].min()
        hands.append(posed[owner == BONES.index("wrist.L"), 1].mean())
    assert np.ptp(hands) > 5  # from beside the thigh to above the head, in decimetres


def test_outfits_cover_the_hips_and_show_the_face(anatomy):
    rng = np.random.default_rng(3)
    bones = anatomy.weights.argmax(axis=1)[anatomy.faces[:, 0]]
    hips = (bones == BONES.index("pelvis.L")) & (anatomy.part == BODY)
    neck = (bones == BONES.index("neck02")) & (anatomy.part == BODY)
    clothed = 0
    for _ in range(60):
        outfit = dress(anatomy, rng, feminine=0.5, old=0.0)
        assert outfit.shown[anatomy.part == BODY].all()
        assert (outfit.thickness >= 0).all()
        assert outfit.thickness.max() < 0.03
        clothed += not (outfit.colors[hips] == outfit.colors[neck][0]).all()
    assert clothed > 45  # the rest are figurines of one colour


def test_a_puffed_sphere_is_a_larger_sphere():
    vertices, faces = sphere(0.5, 12)
    larger = puff(vertices, faces, np.full(len(vertices), 0.1, np.float32))
    used = np.unique(faces)
    grown = np.linalg.norm(larger[used], axis=1)
    inward = grown < 0.5
    assert inward.all() or not inward.any()
    np.testing.assert_allclose(np.abs(grown - 0.5), 0.1, atol=2e-3)
