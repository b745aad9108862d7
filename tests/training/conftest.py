import numpy as np
import pytest

from tests.training.bodies.figure import write_archive
from tests.training.shapes import box, i32, sphere, u8
from training.bodies.anatomy import Anatomy
from training.meshes import MeshPack

CATEGORIES = ("food", "toy", "tool")


@pytest.fixture(scope="session")
def pack(tmp_path_factory):
    """600 objects in 200 families of three, 60 bodies and 60 parts, written as a real pack."""
    shapes = [box(), box((1, 2, 1)), sphere(0.5, 6)]
    rows = []
    for k in range(600):
        word = "".join(chr(ord("a") + int(d)) for d in f"{k // 3:03d}")
        name = (f"Shape{word}_01", f"RedShape{word}", f"Shape{word}Large")[k % 3]
        rows.append((f"kit/{CATEGORIES[k % 3]}/Pack__{name}.glb", CATEGORIES[k % 3], "A", "kit"))
    rows += [(f"makehuman/human/body_{k}_walk.glb", "human", "A", "makehuman") for k in range(60)]
    rows += [(f"ldraw/lego_part/Part_{k}.glb", "lego_part", "B", "ldraw") for k in range(60)]
    folder = tmp_path_factory.mktemp("pack")
    used = [shapes[k % 3] for k in range(len(rows))]
    stored = [np.rint((v + 1) * 16384).clip(0, 65535).astype(np.uint16) for v, _ in used]
    np.savez(
        folder / "pack.npz",
        vertices=np.concatenate(stored),
        faces=np.concatenate([f for _, f in used]).astype(np.uint16),
        face_colour=np.concatenate([np.arange(len(f)) % 2 for _, f in used]).astype(np.uint8),
        palette=np.tile(u8([[250, 0, 0], [0, 0, 250]]), (len(rows), 1)),
        n_vertices=i32([len(v) for v, _ in used]),
        n_faces=i32([len(f) for _, f in used]),
        n_palette=np.full(len(rows), 2, np.int32),
        path=np.array([f"train/{path}" for path, *_ in rows]),
    )
    lines = ["path,category,tier,source,n_components"]
    lines += [f"{path},{category},{tier},{source},1" for path, category, tier, source in rows]
    (folder / "manifest.csv").write_text("\n".join(lines))
    return MeshPack.load(folder / "pack.npz", folder / "manifest.csv")


@pytest.fixture(scope="session")
def archive(tmp_path_factory):
    return write_archive(tmp_path_factory.mktemp("bodies") / "makehuman.tar.xz")


@pytest.fixture(scope="session")
def anatomy(archive):
    return Anatomy.load(archive)
