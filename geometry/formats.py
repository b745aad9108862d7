"""The files a job can ask for, by name."""

from collections.abc import Callable, Mapping
from typing import Any

from geometry import glb, obj, ply, stl
from geometry.errors import GeometryError
from geometry.mesh import Mesh
from geometry.point_cloud import PointCloud
from geometry.preview import preview_png, turntable_gif

# Media types are IANA's, but for PLY, which has none: `model/ply` follows its neighbours and
# keeps browsers from sniffing.
FORMATS = {
    "points.ply": "model/ply",
    "points.glb": "model/gltf-binary",
    "mesh.glb": "model/gltf-binary",
    "mesh.ply": "model/ply",
    "mesh.obj": "model/obj",
    "mesh.stl": "model/stl",
    "preview.png": "image/png",
    "turntable.gif": "image/gif",
}

MESH_FORMATS = frozenset(name for name in FORMATS if name.startswith("mesh."))

_Extras = Mapping[str, Any] | None

_POINT_WRITERS: dict[str, Callable[[PointCloud, _Extras], bytes]] = {
    "points.ply": lambda cloud, _: ply.write_points(cloud),
    "points.glb": glb.write_points,
}
_MESH_WRITERS: dict[str, Callable[[Mesh, _Extras], bytes]] = {
    "mesh.glb": glb.write_mesh,
    "mesh.ply": lambda mesh, _: ply.write_mesh(mesh),
    "mesh.obj": lambda mesh, _: obj.write_mesh(mesh),
    "mesh.stl": lambda mesh, _: stl.write_mesh(mesh),
}
_PICTURE_WRITERS: dict[str, Callable[[PointCloud | Mesh], bytes]] = {
    "preview.png": preview_png,
    "turntable.gif": turntable_gif,
}


def write_output(
    name: str, cloud: PointCloud, mesh: Mesh | None = None, extras: _Extras = None
) -> bytes:
    """The file `name` of `FORMATS`. Pictures show the mesh if there is one, else the cloud.

    `extras` (JSON) go into the GLB files; the others have no place for them.

    Raises:
        GeometryError: unknown name, a mesh file without a mesh, or `extras` that are not JSON.
    """
    if name in _POINT_WRITERS:
        return _POINT_WRITERS[name](cloud, extras)
    if name in _MESH_WRITERS:
        if mesh is None:
            raise GeometryError(f"{name} needs a mesh, and there is none")
        return _MESH_WRITERS[name](mesh, extras)
    if name in _PICTURE_WRITERS:
        return _PICTURE_WRITERS[name](cloud if mesh is None else mesh)
    raise GeometryError(f"unknown output {name!r}; known: {', '.join(FORMATS)}")
