"""The MakeHuman base body, its morph targets, joints and skin weights, cut down for training.

Data: CC0 1.0, the MakeHuman community (makehumancommunity.org).
"""

import io
import json
import os
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import fast_simplification
import numpy as np
from numpy.typing import NDArray

BODY_ARCHIVE = "makehuman.tar.xz"
BODY_FACES = 5000
BODY, EYES, HAIR, SKIRT = range(4)
HEAD, TORSO, ARM, LEG = range(4)

_GROUPS = {
    "body": BODY,
    "helper-l-eye": EYES,
    "helper-r-eye": EYES,
    "helper-hair": HAIR,
    "helper-skirt": SKIRT,
}
_UNIT = 0.001  # decimetres per step of a stored target
# Fingers, toes, breasts and the bones of the face move with the last of these above them.
_TRUNK = ("root", "spine05", "spine04", "spine03", "spine02", "spine01")
_NECK = ("neck01", "neck02", "neck03", "head")
_ARM = ("clavicle", "shoulder01", "upperarm01", "upperarm02", "lowerarm01", "lowerarm02", "wrist")
_LEG = ("pelvis", "upperleg01", "upperleg02", "lowerleg01", "lowerleg02", "foot")
BONES = (*_TRUNK, *_NECK, *(f"{bone}.{side}" for side in "LR" for bone in _ARM + _LEG))
# The words that name macro targets; "universal" also fills up short names.
_FACTOR_WORDS = """
    universal male female baby child young old african asian caucasian
    minmuscle averagemuscle maxmuscle minweight averageweight maxweight
    minheight averageheight maxheight uncommonproportions idealproportions
"""
FACTORS = tuple(_FACTOR_WORDS.split())
# Pairs "-decr" and "-incr"; those of a limb are applied to both sides alike.
_DETAIL_NAMES = """
    torso/torso-scale-depth torso/torso-scale-horiz torso/torso-scale-vert torso/torso-vshape
    hip/hip-scale-depth hip/hip-scale-horiz stomach/stomach-pregnant stomach/stomach-tone
    buttocks/buttocks-volume head/head-scale-depth head/head-scale-horiz head/head-scale-vert
    head/head-fat neck/neck-scale-vert neck/neck-scale-horiz
    armslegs/upperlegs-height armslegs/lowerlegs-height
    armslegs/*-upperarm-fat armslegs/*-lowerarm-scale-vert armslegs/*-upperarm-scale-vert
    armslegs/*-upperleg-fat armslegs/*-hand-scale armslegs/*-foot-scale
"""
DETAILS = tuple(_DETAIL_NAMES.split())


class AnatomyError(ValueError):
    """The archive lacks something, or is not one of MakeHuman's."""


@dataclass(frozen=True)
class Anatomy:
    """Everything a body is made from; lengths in decimetres, +Y up, the face towards +Z.

    `rest` [V + J, 3]: the vertices, then the head of each of BONES. `deltas` [T, (V + J) * 3]:
    what each target adds to them; `macro` [M] and `detail` [2, D] are the rows of the M macro
    targets and of the two ends of each of DETAILS. `words` [M, 5] number the FACTORS whose product
    is the weight of a macro target. `weights` [V, J] sum to 1. `parents`
    [J], -1 for the root, always before their children. `faces` [F, 3] with their `part` [F]
    (BODY, EYES, HAIR or SKIRT). `region` [V] is HEAD, TORSO, ARM or LEG; `along` [V] runs from 0
    at the shoulder or hip over 1 at the elbow or knee to 2 at the wrist or ankle and beyond; on
    the torso from 0 at the hips to 1 at the neck; on the head from 0 at the chin to 1 at the crown.
    """

    rest: NDArray[np.float32]
    deltas: NDArray[np.float32]
    macro: NDArray[np.int64]
    words: NDArray[np.int64]
    detail: NDArray[np.int64]
    weights: NDArray[np.float32]
    parents: NDArray[np.int64]
    faces: NDArray[np.int32]
    part: NDArray[np.int8]
    region: NDArray[np.int8]
    along: NDArray[np.float32]

    @classmethod
    def load(cls, archive: Path, cache_dir: Path | None = None) -> "Anatomy":
        """Read `makehuman.tar.xz`; with `cache_dir`, the result is kept there.

        Raises FileNotFoundError, AnatomyError.
        """
        size = archive.stat().st_size
        cached = None if cache_dir is None else cache_dir / f"bodies-{BODY_FACES}-{size}.npz"
        if cached is not None and cached.exists():
            with np.load(cached) as npz:
                return cls(**{field.name: npz[field.name] for field in fields(cls)})
        anatomy = _prepare(archive)
        if cached is not None:
            cached.parent.mkdir(parents=True, exist_ok=True)
            partial = cached.with_suffix(f".{os.getpid()}.partial.npz")
            np.savez(partial, **{f.name: getattr(anatomy, f.name) for f in fields(cls)})
            partial.replace(cached)
        return anatomy


def _prepare(archive: Path) -> Anatomy:
    try:
        with tarfile.open(archive) as tar:
            names = {Path(name).name: name for name in tar.getnames()}

            def read(name: str) -> bytes:
                file = tar.extractfile(names[name])
                if file is None:
                    raise AnatomyError(f"{name} is not a file")
                return file.read()

            vertices, groups = _read_obj(read("base.obj").decode())
            skeleton = json.loads(read("default.mhskel"))
            skin = json.loads(read("default_weights.mhw"))["weights"]
            with np.load(io.BytesIO(read("targets.npz"))) as npz:
                targets = dict(npz)
        return _assemble(vertices, groups, skeleton, skin, targets)
    except (KeyError, ValueError, tarfile.TarError, json.JSONDecodeError) as error:
        raise AnatomyError(f"{archive.name}: {error!r}") from error


def _read_obj(text: str) -> tuple[NDArray[np.float32], dict[str, NDArray[np.int64]]]:
    """Vertices [19158, 3] and the quads [Q, 4] of each group."""
    vertices: list[list[float]] = []
    groups: dict[str, list[list[int]]] = {}
    quads: list[list[int]] = []
    for line in text.splitlines():
        kind, *values = line.split() or [""]
        if kind == "v":
            vertices.append([float(value) for value in values])
        elif kind == "g":
            quads = groups.setdefault(values[0], [])
        elif kind == "f":
            quads.append([int(value.split("/")[0]) - 1 for value in values])
    return np.array(vertices, np.float32), {
        name: np.array(quads, np.int64) for name, quads in groups.items()
    }


def _assemble(
    vertices: NDArray[np.float32],
    groups: dict[str, NDArray[np.int64]],
    skeleton: dict[str, dict[str, dict[str, str]]],
    skin: dict[str, list[tuple[int, float]]],
    targets: dict[str, NDArray[np.generic]],
) -> Anatomy:
    parts = [_triangles(vertices, groups[name], part) for name, part in _GROUPS.items()]
    part = np.repeat(np.array(list(_GROUPS.values()), np.int8), [len(faces) for faces in parts])
    kept, faces = np.unique(np.concatenate(parts), return_inverse=True)
    bones = skeleton["bones"]
    joints: dict[str, list[int]] = skeleton["joints"]  # type: ignore[assignment]
    heads = [np.array(joints[bones[name]["head"]]) for name in BONES]

    def pick(field: NDArray[np.float32]) -> NDArray[np.float32]:
        centres = np.stack([field[head].mean(axis=0) for head in heads])
        return np.concatenate([field[kept], centres]).astype(np.float32)

    weights = _skin_weights(skin, bones, len(vertices))[kept]
    rest = pick(vertices)
    deltas, macro, detail, words = _read_targets(targets, pick, len(vertices))
    region, along = _coordinates(rest[: len(kept)], rest[len(kept) :], weights)
    return Anatomy(
        rest=rest,
        weights=weights,
        parents=np.array([_row(bones[name]["parent"], bones) for name in BONES], np.int64),
        faces=faces.reshape(-1, 3).astype(np.int32),
        part=part,
        region=region,
        along=along,
        deltas=deltas,
        macro=macro,
        detail=detail,
        words=words,
    )


def _triangles(
    vertices: NDArray[np.float32], quads: NDArray[np.int64], part: int
) -> NDArray[np.int64]:
    """Triangles between the given vertices, far fewer for the body itself."""
    faces = quads[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3)
    if part != BODY or len(faces) <= BODY_FACES:
        return faces
    used, local = np.unique(faces, return_inverse=True)
    share = 1 - BODY_FACES / len(faces)
    # Each collapse keeps one end of its edge, so that targets and weights still apply.
    _, _, collapses = fast_simplification.simplify(
        vertices[used], local.reshape(-1, 3), share, return_collapses=True
    )
    onto = np.arange(len(used))
    for target, gone in collapses:
        onto[gone] = target
    while not (onto == onto[onto]).all():
        onto = onto[onto]
    merged = np.unique(onto[local.reshape(-1, 3)], axis=0)
    a, b, c = merged.T
    solid: NDArray[np.int64] = used[merged[(a != b) & (b != c) & (c != a)]]
    return solid


def _row(bone: str | None, bones: dict[str, dict[str, str]]) -> int:
    """The number of a bone, or of the last kept one above it; -1 above the root."""
    while bone is not None and bone not in BONES:
        bone = bones[bone]["parent"]
    return -1 if bone is None else BONES.index(bone)


def _skin_weights(
    skin: dict[str, list[tuple[int, float]]], bones: dict[str, dict[str, str]], n_vertices: int
) -> NDArray[np.float32]:
    weights = np.zeros((n_vertices, len(BONES)), np.float32)
    for bone, pairs in skin.items():
        rows = np.array([row for row, _ in pairs], np.int64)
        weights[rows, _row(bone, bones)] += np.array([weight for _, weight in pairs], np.float32)
    weights /= np.maximum(weights.sum(axis=1, keepdims=True), np.float32(1e-6))
    return weights


def _read_targets(
    stored: dict[str, NDArray[np.generic]],
    pick: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    n_vertices: int,
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """`deltas`, `macro`, `detail` and `words` of Anatomy."""
    rows = {str(name): int(row) for name, row in zip(stored["names"], stored["ref"], strict=True)}
    macro_names = [name for name in rows if name.startswith("macrodetails/")]
    wanted = [[rows[name]] for name in macro_names]
    wanted += [
        [rows[f"{name.replace('*', side)}-{end}"] for side in _sides(name)]
        for name in DETAILS
        for end in ("decr", "incr")
    ]
    distinct = sorted({tuple(group) for group in wanted})
    offsets = stored["offsets"].astype(np.int64)
    steps = np.stack([stored[axis] for axis in ("dx", "dy", "dz")], axis=1)
    deltas = []
    for group in distinct:
        field = np.zeros((n_vertices, 3), np.float32)
        for row in group:
            span = slice(offsets[row], offsets[row + 1])
            field[stored["index"][span].astype(np.intp)] += steps[span] * np.float32(_UNIT)
        deltas.append(pick(field).reshape(-1))
    order = np.array([distinct.index(tuple(group)) for group in wanted])
    n = len(macro_names)
    words = np.array([_words(name) for name in macro_names], np.int64)
    return np.stack(deltas), order[:n], order[n:].reshape(-1, 2).T, words


def _words(name: str) -> list[int]:
    words = name.rpartition("/")[2].split("-")
    return [FACTORS.index(word) for word in words + ["universal"] * (5 - len(words))]


def _sides(name: str) -> tuple[str, ...]:
    return ("l", "r") if "*" in name else ("",)


def _coordinates(
    vertices: NDArray[np.float32], joints: NDArray[np.float32], weights: NDArray[np.float32]
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """`region` and `along` of Anatomy."""
    at = dict(zip(BONES, joints, strict=True))
    main = np.array([_region(bone) for bone in BONES], np.int8)[weights.argmax(axis=1)]
    along = np.zeros(len(vertices), np.float32)
    head = vertices[main == HEAD, 1]
    along[main == HEAD] = (head - at["neck02"][1]) / (head.max() - at["neck02"][1])
    hips, neck = at["upperleg01.L"][1], at["neck01"][1]
    torso = main == TORSO
    along[torso] = (vertices[torso, 1] - hips) / (neck - hips)
    for region, chain in (
        (ARM, ("upperarm01", "lowerarm01", "wrist")),
        (LEG, ("upperleg01", "lowerleg01", "foot")),
    ):
        for side, sign in (("L", 1), ("R", -1)):
            mine = (main == region) & (vertices[:, 0] * sign > 0)
            ends = np.stack([at[f"{bone}.{side}"] for bone in chain])
            along[mine] = _along_chain(vertices[mine], ends)
    return main, along


def _region(bone: str) -> int:
    if bone in _NECK[1:]:
        return HEAD
    if bone.startswith(("upperarm", "lowerarm", "wrist")):
        return ARM
    if bone.startswith(("upperleg", "lowerleg", "foot")):
        return LEG
    return TORSO


def _along_chain(points: NDArray[np.float32], ends: NDArray[np.float32]) -> NDArray[np.float32]:
    """0 at the first of `ends` [3, 3], 1 at the second, 2 at the third, in between by length."""
    first, second = ends[1] - ends[0], ends[2] - ends[1]
    upper = (points - ends[0]) @ first / (first @ first)
    lower = (points - ends[1]) @ second / (second @ second)
    along: NDArray[np.float32] = np.where(upper < 1, upper, 1 + np.maximum(lower, 0))
    return along
