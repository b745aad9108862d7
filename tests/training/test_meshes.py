import lzma

import numpy as np
import pytest

from tests.training.shapes import box, i32, u8
from training.meshes import MeshPack, PackError, family, sample_weights, split


def test_a_mesh_comes_back_as_it_was_packed(pack):
    mesh = pack.mesh(0)
    vertices, faces = box()
    np.testing.assert_allclose(mesh.vertices, vertices, atol=1e-4)
    np.testing.assert_array_equal(mesh.faces, faces)
    np.testing.assert_array_equal(mesh.face_colors[:2], [[250, 0, 0], [0, 0, 250]])
    assert (mesh.category, mesh.tier, mesh.source) == ("food", "A", "kit")


def test_a_compressed_pack_is_unpacked_once(tmp_path):
    vertices, faces = box()
    np.savez(
        tmp_path / "one.npz",
        vertices=np.uint16((vertices + 1) * 16384),
        faces=np.uint16(faces),
        face_colour=np.zeros(12, np.uint8),
        palette=u8([[1, 2, 3]]),
        n_vertices=i32([8]),
        n_faces=i32([12]),
        n_palette=i32([1]),
        path=np.array(["train/a/b/C.glb"]),
    )
    packed = tmp_path / "one.npz.xz"
    packed.write_bytes(lzma.compress((tmp_path / "one.npz").read_bytes()))
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("path,category,tier,source,n_components\na/b/C.glb,b,A,a,1\n")
    cache = tmp_path / "cache"
    first = MeshPack.load(packed, manifest, cache)
    [unpacked] = cache.iterdir()
    written = unpacked.stat().st_mtime_ns
    second = MeshPack.load(packed, manifest, cache)
    assert unpacked.stat().st_mtime_ns == written
    np.testing.assert_array_equal(first.mesh(0).vertices, second.mesh(0).vertices)
    np.testing.assert_array_equal(first.mesh(0).face_colors[5], [1, 2, 3])


def test_an_object_without_manifest_row_is_an_error(tmp_path):
    np.savez(tmp_path / "p.npz", path=np.array(["train/a/b/C.glb"]))
    (tmp_path / "manifest.csv").write_text("path,category,tier,source,n_components\n")
    with pytest.raises(PackError, match=r"a/b/C\.glb"):
        MeshPack.load(tmp_path / "p.npz", tmp_path / "manifest.csv")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("kenney/furniture/Kit__Chair.glb", "basemesh/furniture/Chair_02.glb"),
        ("kenney/furniture/Kit__ChairLarge.glb", "quaternius/toy/pack_2__RedChair.glb"),
        ("kenney/food/A__DoorOpen.glb", "kenney/food/B__door_closed_3.glb"),
        ("kenney/plant/A__PineTree_Snow_1.glb", "mmmm/plant/obj_tree_pine2.glb"),
        ("makehuman/human/body_12_stand.glb", "makehuman/human/body_23_walk.glb"),
    ],
)
def test_variants_are_one_family(one, other):
    assert family(one) == family(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("kenney/furniture/Kit__Chair.glb", "kenney/furniture/Kit__Table.glb"),
        ("makehuman/human/body_11_stand.glb", "makehuman/human/body_12_stand.glb"),
        ("quaternius/symbol/p__Red_1.glb", "quaternius/symbol/p__Blue_1.glb"),
    ],
)
def test_different_objects_are_different_families(one, other):
    assert family(one) != family(other)


def test_no_family_is_on_both_sides(pack):
    sides = split(pack)
    train = {family(pack.paths[k]) for k in sides.train}
    val = {family(pack.paths[k]) for k in sides.val}
    assert val
    assert not train & val
    assert not set(sides.train) & set(sides.val)
    assert 0.01 < len(sides.val) / len(pack) < 0.1
    assert {pack.tiers[k] for k in sides.val} == {"A"}


def test_the_split_is_the_same_again(pack):
    np.testing.assert_array_equal(split(pack).val, split(pack).val)


def test_weights_give_each_group_its_share(pack):
    indices = np.arange(len(pack))
    weights = sample_weights(pack, indices)
    tiers, sources = np.array(pack.tiers), np.array(pack.sources)
    bodies = sources == "makehuman"
    assert weights.sum() == pytest.approx(1)
    assert weights[bodies].sum() == pytest.approx(0.15)
    assert weights[tiers == "B"].sum() == pytest.approx(0.15)
    assert weights[(tiers == "A") & ~bodies].sum() == pytest.approx(0.70)


def test_a_category_weighs_as_the_root_of_its_size(pack):
    categories = np.array(pack.categories)
    few = np.concatenate(
        [np.flatnonzero(categories == "food")[:4], np.flatnonzero(categories == "toy")]
    )
    weights = sample_weights(pack, few)
    assert weights[4:].sum() / weights[:4].sum() == pytest.approx((200 / 4) ** 0.5)
