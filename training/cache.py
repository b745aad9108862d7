"""Names for what is computed from a pack once and kept in a git-ignored folder."""

import hashlib

import numpy as np
from numpy.typing import NDArray

from training.meshes import MeshPack


def content_key(pack: MeshPack, indices: NDArray[np.int64], *made_by: object) -> str:
    """A name that depends on the meshes and colours of `pack`, on the chosen objects, and on
    `made_by`: the constants of whatever is computed from them."""
    digest = hashlib.sha256(repr(made_by).encode())
    for name in ("vertices", "faces", "face_colour", "palette"):
        digest.update(np.ascontiguousarray(pack.arrays[name]).tobytes())
    digest.update(np.ascontiguousarray(indices).tobytes())
    return digest.hexdigest()[:16]
