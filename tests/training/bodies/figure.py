"""A small archive of MakeHuman's form."""

import io
import json
import tarfile

import numpy as np

from tests.training.shapes import BOX_CORNERS
from training.bodies.anatomy import BONES, DETAILS

# A figure of one box per bone: heads of the left side, in decimetres, and the bone above.
TRUNK = ("root", "spine05", "spine04", "spine03", "spine02", "spine01")
PLACES = {
    **{bone: (0, 1 + 0.9 * k, 0) for k, bone in enumerate(TRUNK)},
    "neck01": (0, 6, 0),
    "neck02": (0, 6.3, 0),
    "neck03": (0, 6.6, 0),
    "head": (0, 7, 0.2),
    "clavicle": (0.3, 5.3, 0.5),
    "shoulder01": (1.2, 5.4, 0.4),
    "upperarm01": (1.7, 5.2, 0.1),
    "upperarm02": (2.1, 4.8, 0.1),
    "lowerarm01": (3.1, 3.5, 0.1),
    "lowerarm02": (3.7, 3.0, 0.9),
    "wrist": (4.3, 2.5, 1.7),
    "pelvis": (0.1, 0.7, 0.1),
    "upperleg01": (1.1, 0.5, 0.1),
    "upperleg02": (1.1, -0.3, 0.2),
    "lowerleg01": (1.6, -3.7, 0.3),
    "lowerleg02": (1.9, -5.6, 0.2),
    "foot": (2.2, -7.4, 0),
}
ABOVE = {"neck01": "spine01", "clavicle": "spine01", "pelvis": "root"}
QUADS = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
EXTRA = {"helper-l-eye": 7, "helper-r-eye": 7, "helper-hair": 7, "helper-skirt": 0}  # heights
MACRO = (
    "macrodetails/caucasian-female-young",
    "macrodetails/universal-male-young-maxmuscle-averageweight",
    "macrodetails/height/female-young-averagemuscle-averageweight-maxheight",
)


def write_archive(path, missing=()):
    """An archive of MakeHuman's form, with a finger below each wrist; `missing` files left out."""
    bones, joints, skin, boxes = {}, {}, {}, []
    names = [*BONES, "finger1-1.L", "finger1-1.R"]
    for k, name in enumerate(names):
        stem, _, side = name.partition(".")
        x, y, z = (5.2, 1.5, 2.3) if stem.startswith("finger") else PLACES[stem]
        boxes.append(BOX_CORNERS * 0.4 + [-x if side == "R" else x, y, z])
        joints[f"{name}____head"] = list(range(8 * k, 8 * k + 8))
        skin[name] = [[vertex, 1.0] for vertex in joints[f"{name}____head"]]
        order = list(PLACES)
        above = ABOVE.get(stem) or (order[order.index(stem) - 1] if stem in order[1:] else "wrist")
        parent = f"{above}.{side}" if side and above not in (*TRUNK, "head") else above
        bones[name] = {"head": f"{name}____head", "parent": None if name == "root" else parent}
    boxes += [BOX_CORNERS * 0.3 + [0, height, 0] for height in EXTRA.values()]
    vertices = np.concatenate(boxes)
    for name, first in zip(EXTRA, range(8 * len(names), len(vertices), 8), strict=True):
        bone = "root" if name == "helper-skirt" else "head"
        skin[bone] += [[vertex, 1.0] for vertex in range(first, first + 8)]
    lines = ["v " + " ".join(f"{value:.4f}" for value in vertex) for vertex in vertices]
    for k in range(len(boxes)):
        lines.append(f"g {'body' if k < len(names) else list(EXTRA)[k - len(names)]}")
        lines += ["f " + " ".join(f"{8 * k + v + 1}/1" for v in quad) for quad in QUADS]
    files = {
        "base.obj": "\n".join(lines).encode(),
        "default.mhskel": json.dumps({"bones": bones, "joints": joints}).encode(),
        "default_weights.mhw": json.dumps({"weights": skin}).encode(),
        "targets.npz": _targets(len(vertices)),
    }
    with tarfile.open(path, "w:xz") as tar:
        for name, data in files.items():
            if name not in missing:
                info = tarfile.TarInfo(f"makehuman/{name}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return path


def _targets(n_vertices):
    """Every target moves all vertices: macro ones by 1 dm up, details by 0.01 dm to the left."""
    names = [*MACRO]
    for detail in DETAILS:
        for side in "lr" if "*" in detail else "-":
            names += [f"{detail.replace('*', side)}-{end}" for end in ("decr", "incr")]
    moved = np.zeros((len(names), n_vertices, 3), np.int16)
    moved[: len(MACRO), :, 1] = 1000
    moved[len(MACRO) :, :, 0] = 10
    file = io.BytesIO()
    np.savez(
        file,
        names=np.array(names),
        ref=np.arange(len(names), dtype=np.int32),
        offsets=np.arange(len(names) + 1, dtype=np.int32) * n_vertices,
        index=np.tile(np.arange(n_vertices, dtype=np.uint16), len(names)),
        dx=moved[..., 0].reshape(-1),
        dy=moved[..., 1].reshape(-1),
        dz=moved[..., 2].reshape(-1),
    )
    return file.getvalue()
