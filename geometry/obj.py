from collections.abc import Mapping
from typing import Any

import numpy as np

from geometry.comments import comment_lines
from geometry.mesh import Mesh


def write_mesh(mesh: Mesh, extras: Mapping[str, Any] | None = None) -> bytes:
    """The mesh as a Wavefront OBJ file, positions to full float32 precision.

    Colours follow the vertices as `v x y z r g b`, sRGB in 0..1: no part of the old
    specification, but what MeshLab, Blender and trimesh read. `extras` (JSON) become comments.

    Raises:
        GeometryError: `extras` is not JSON.
    """
    parts = ["# bozzetto\n", *(f"# {line}\n" for line in comment_lines(extras))]
    if mesh.colors is None:
        parts += [f"v {x:.9g} {y:.9g} {z:.9g}\n" for x, y, z in mesh.vertices.tolist()]
    else:
        rows = np.hstack([mesh.vertices.astype(np.float64), mesh.colors / 255.0])
        parts += [
            f"v {x:.9g} {y:.9g} {z:.9g} {r:.5f} {g:.5f} {b:.5f}\n"
            for x, y, z, r, g, b in rows.tolist()
        ]
    if mesh.normals is not None:
        parts += [f"vn {x:.6f} {y:.6f} {z:.6f}\n" for x, y, z in mesh.normals.tolist()]
    faces = (mesh.faces.astype(np.int64) + 1).tolist()
    if mesh.normals is None:
        parts += [f"f {a} {b} {c}\n" for a, b, c in faces]
    else:
        parts += [f"f {a}//{a} {b}//{b} {c}//{c}\n" for a, b, c in faces]
    return "".join(parts).encode("ascii")
