"""Meshes of as many faces as asked for, and clouds on them."""

import numpy as np

from geometry.mesh import Mesh
from geometry.point_cloud import PointCloud


def torus(rings, sides, colors=True, normals=True):
    """A bumpy torus about +Y that fits the sphere of diameter 1: 2 * rings * sides faces."""
    u, v = np.meshgrid(np.arange(rings), np.arange(sides), indexing="ij")
    turn, around = 2 * np.pi * u / rings, 2 * np.pi * v / sides
    thick = 0.12 + 0.03 * np.sin(5 * turn) * np.cos(3 * around)
    outward = np.stack(
        [np.cos(around) * np.cos(turn), np.sin(around), np.cos(around) * np.sin(turn)], axis=-1
    )
    spine = 0.3 * np.stack([np.cos(turn), 0 * turn, np.sin(turn)], axis=-1)
    vertices = (spine + thick[..., None] * outward).reshape(-1, 3)
    corner = (u * sides + v).reshape(-1)
    beside = (u * sides + (v + 1) % sides).reshape(-1)
    ahead = ((u + 1) % rings * sides + v).reshape(-1)
    across = ((u + 1) % rings * sides + (v + 1) % sides).reshape(-1)
    faces = np.concatenate(
        [np.stack([corner, beside, across], 1), np.stack([corner, across, ahead], 1)]
    )
    return Mesh(
        vertices.astype(np.float32),
        faces.astype(np.int32),
        ((np.sin(9 * vertices) + 1) * 127.5).astype(np.uint8) if colors else None,
        outward.reshape(-1, 3).astype(np.float32) if normals else None,
    )


def cloud_of(mesh):
    """The vertices of `mesh` as a cloud."""
    return PointCloud(mesh.vertices, mesh.colors, mesh.normals)
