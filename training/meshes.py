"""The packed training meshes: loading, the split by family, and the sampling mix."""

import csv
import hashlib
import io
import lzma
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

VAL_FRACTION = 0.04
# Of 200 salts, the one whose validation side has most of the 18 categories with 5 objects or more
# in the proportions of the whole pack (before any model was trained).
_SPLIT_SALT = 189
TIER_A_SHARE, BODY_SHARE, TIER_B_SHARE = 0.70, 0.15, 0.15
BODY_SOURCE = "makehuman"
BODY_BLOCK = 12

# Words that tell variants of one object apart, never one object from another.
_VARIANT_TEXT = """
    red green blue yellow orange purple pink white black brown grey gray beige cyan gold golden
    silver dark light bright color colour
    large small big little medium tiny huge tall short long wide narrow thin thick low high mini
    open opened closed close lowered raised broken damaged dead snow snowy autumn fall empty full
    old new half level first second third age single double triple left right front back top bottom
    side up down round square simple variation variant version alt var type style detail detailed
    lod with without the of and for in on set x y z f transformed cylinder
    filled obj chr minifig animal plant duplo figure fabuland complete kit pack
"""
_VARIANT_WORDS = frozenset(_VARIANT_TEXT.split())
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


class PackError(ValueError):
    """A pack and its manifest do not belong together."""


@dataclass(frozen=True, slots=True)
class PackMesh:
    """One mesh: vertices [V, 3] float32 (+Y up, longest side 1), faces [F, 3] int32,
    face_colors [F, 3] uint8 sRGB."""

    path: str
    category: str
    tier: str
    source: str
    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    face_colors: NDArray[np.uint8]
    n_components: int


@dataclass(frozen=True, slots=True)
class Split:
    """Object numbers of the two sides; no family is on both."""

    train: NDArray[np.int64]
    val: NDArray[np.int64]


@dataclass(frozen=True)
class MeshPack:
    """All objects of a pack as concatenated arrays; `mesh(k)` cuts one out."""

    paths: tuple[str, ...]
    categories: tuple[str, ...]
    tiers: tuple[str, ...]
    sources: tuple[str, ...]
    n_components: NDArray[np.int32]
    arrays: dict[str, NDArray[np.generic]]
    offsets: dict[str, NDArray[np.int64]]

    @classmethod
    def load(cls, path: Path, manifest: Path, cache_dir: Path | None = None) -> "MeshPack":
        """Read a pack (`*.npz.xz` or `*.npz`) and its manifest.

        With `cache_dir`, the decompressed pack is kept there, so the next start takes a fraction
        of a second. Raises PackError when the manifest lacks an object of the pack.
        """
        with np.load(_unpacked(path, cache_dir)) as npz:
            arrays: dict[str, NDArray[np.generic]] = {name: npz[name] for name in npz.files}
        paths = tuple(str(p).removeprefix("train/") for p in arrays.pop("path"))
        with manifest.open(newline="") as file:
            rows = {row["path"]: row for row in csv.DictReader(file)}
        missing = [p for p in paths if p not in rows]
        if missing:
            raise PackError(f"{len(missing)} objects have no manifest row, first: {missing[0]}")
        offsets = {
            name: np.concatenate([[0], np.cumsum(arrays[f"n_{name}"], dtype=np.int64)])
            for name in ("vertices", "faces", "palette")
        }
        return cls(
            paths=paths,
            categories=tuple(rows[p]["category"] for p in paths),
            tiers=tuple(rows[p]["tier"] for p in paths),
            sources=tuple(rows[p]["source"] for p in paths),
            n_components=np.array([int(rows[p]["n_components"] or 1) for p in paths], np.int32),
            arrays=arrays,
            offsets=offsets,
        )

    def __len__(self) -> int:
        return len(self.paths)

    def _slice(self, name: str, offsets: str, k: int) -> NDArray[np.generic]:
        bounds = self.offsets[offsets]
        return self.arrays[name][bounds[k] : bounds[k + 1]]

    def mesh(self, k: int) -> PackMesh:
        """Object k with its vertices in float and its palette resolved to face colours."""
        vertices = self._slice("vertices", "vertices", k).astype(np.float32)
        palette = self._slice("palette", "palette", k)
        face_colors = palette[self._slice("face_colour", "faces", k).astype(np.intp)]
        return PackMesh(
            path=self.paths[k],
            category=self.categories[k],
            tier=self.tiers[k],
            source=self.sources[k],
            vertices=vertices / np.float32(16384) - np.float32(1),
            faces=self._slice("faces", "faces", k).astype(np.int32),
            face_colors=face_colors.astype(np.uint8),
            n_components=int(self.n_components[k]),
        )


def _unpacked(path: Path, cache_dir: Path | None) -> Path | io.BytesIO:
    if path.suffix != ".xz":
        return path
    if cache_dir is None:
        return io.BytesIO(lzma.decompress(path.read_bytes()))
    cached = cache_dir / f"{path.stem.removesuffix('.npz')}-{path.stat().st_size}.npz"
    if not cached.exists():
        cache_dir.mkdir(parents=True, exist_ok=True)
        partial = cached.with_suffix(f".{os.getpid()}.partial")
        partial.write_bytes(lzma.decompress(path.read_bytes()))
        partial.replace(cached)
    return cached


def family(path: str) -> str:
    """The name that an object shares with its variants, whatever their source or category.

    Numbers, colours, sizes, states and the order of the words do not count: `Chair_02`,
    `RedChair` and `ChairLarge` are all `chair`. Bodies go together in blocks of BODY_BLOCK.
    """
    parts = path.removeprefix("train/").removesuffix(".glb").split("/")
    source, stem = parts[0], parts[-1]
    if source == BODY_SOURCE:
        number = int(re.findall(r"\d+", stem)[0])
        return f"{BODY_SOURCE} {number // BODY_BLOCK}"
    name = stem if source == "ldraw" else stem.split("__", 1)[-1]
    words = [word.lower() for word in _WORDS.findall(name)]
    kept = {_singular(w) for w in words if w not in _VARIANT_WORDS and len(w) > 1}
    return " ".join(sorted(kept)) or " ".join(words) or stem


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def split(pack: MeshPack) -> Split:
    """Train and validation objects, by a hash of the family: the same on every machine.

    Only recognisable objects (tier A) are evaluated; parts whose family is in validation are in
    neither list.
    """
    names = [family(path) for path in pack.paths]
    held_out = np.array([_held_out(name) for name in names])
    tier_a = np.array([tier == "A" for tier in pack.tiers])
    return Split(train=np.flatnonzero(~held_out), val=np.flatnonzero(held_out & tier_a))


def _held_out(name: str) -> bool:
    source, _, block = name.rpartition(" ")
    if source == BODY_SOURCE:
        return int(block) % 20 == 7
    digest = hashlib.sha256(f"{_SPLIT_SALT} {name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < VAL_FRACTION


def sample_weights(pack: MeshPack, indices: NDArray[np.int64]) -> NDArray[np.float64]:
    """Probability of each of `indices` [K] in the training mix, summing to 1.

    Recognisable objects, bodies and parts get their fixed shares; among the recognisable ones a
    category weighs as the square root of its size.
    """
    groups = [_mix_group(pack, int(k)) for k in indices]
    categories = [pack.categories[int(k)] for k in indices]
    shares = {"A": TIER_A_SHARE, "body": BODY_SHARE, "B": TIER_B_SHARE}
    size = Counter(c for c, g in zip(categories, groups, strict=True) if g == "A")
    raw = [size[c] ** -0.5 if g == "A" else 1.0 for c, g in zip(categories, groups, strict=True)]
    return _normalised_shares(np.array(raw), groups, shares)


def _mix_group(pack: MeshPack, k: int) -> str:
    return "body" if pack.sources[k] == BODY_SOURCE else pack.tiers[k]


def _normalised_shares(
    raw: NDArray[np.float64], groups: Sequence[str], shares: dict[str, float]
) -> NDArray[np.float64]:
    labels = np.array(groups)
    weights = np.zeros_like(raw)
    for name, share in shares.items():
        members = labels == name
        if members.any():
            weights[members] = share * raw[members] / raw[members].sum()
    total: float = weights.sum()
    return np.divide(weights, total)
