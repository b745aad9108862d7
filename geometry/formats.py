"""The files a job can ask for, by name."""

from collections.abc import Callable, Mapping
from typing import Any

from geometry import glb, obj, ply, stl, usdz
from geometry.errors import GeometryError
from geometry.gltf_buffer import Compression as Compression  # part of this interface
from geometry.mesh import Mesh
from geometry.point_cloud import PointCloud
from geometry.preview import preview_png, turntable_gif, turntable_webp
from geometry.texture import TexturedMesh, bake_texture

# Media types are IANA's, but for PLY, which has none: `model/ply` follows its neighbours and
# keeps browsers from sniffing.
FORMATS = {
    "points.ply": "model/ply",
    "points.glb": "model/gltf-binary",
    "mesh.glb": "model/gltf-binary",
    "mesh.ply": "model/ply",
    "mesh.obj": "model/obj",
    "mesh.stl": "model/stl",
    "mesh.usdz": "model/vnd.usdz+zip",
    "preview.png": "image/png",
    "turntable.gif": "image/gif",
    "turntable.webp": "image/webp",
}

MESH_FORMATS = frozenset(name for name in FORMATS if name.startswith("mesh."))

USDZ_TEXTURE = 1_024  # texels a side where none are asked for: Quick Look shows no vertex colours

_Extras = Mapping[str, Any] | None

_MESH_WRITERS: dict[str, Callable[[Mesh, _Extras], bytes]] = {
    "mesh.ply": ply.write_mesh,
    "mesh.obj": obj.write_mesh,
    "mesh.stl": lambda mesh, _: stl.write_mesh(mesh),
}
_PICTURE_WRITERS: dict[str, Callable[[PointCloud | Mesh], bytes]] = {
    "preview.png": preview_png,
    "turntable.gif": turntable_gif,
    "turntable.webp": turntable_webp,
}


def write_output(
    name: str,
    cloud: PointCloud,
    mesh: Mesh | None = None,
    extras: _Extras = None,
    *,
    textured: TexturedMesh | None = None,
    compression: Compression = "none",
) -> bytes:
    """The file `name` of `FORMATS`. Pictures show the mesh if there is one, else the cloud.

    `extras` (JSON) say where the object is from; STL and pictures have no place for them. GLB
    and USDZ show the `textured` mesh where there is one, and USDZ, which knows no other colours,
    a texture of 1,024 texels a side where there is none. `compression` is of GLB files only.

    Raises:
        GeometryError: unknown name, a mesh file without a mesh, or `extras` that are not JSON.
    """
    if name not in FORMATS:
        raise GeometryError(f"unknown output {name!r}; known: {', '.join(FORMATS)}")
    if name in _PICTURE_WRITERS:
        return _PICTURE_WRITERS[name](cloud if mesh is None else mesh)
    if name == "points.ply":
        return ply.write_points(cloud, _lasting(extras))
    if name == "points.glb":
        return glb.write_points(cloud, extras, compression)
    if mesh is None:
        raise GeometryError(f"{name} needs a mesh, and there is none")
    if name == "mesh.glb":
        return glb.write_mesh(textured or mesh, extras, compression)
    if name == "mesh.usdz":
        return usdz.write_mesh(textured or bake_texture(mesh, cloud, USDZ_TEXTURE), extras)
    return _MESH_WRITERS[name](mesh, _lasting(extras))


def _lasting(extras: _Extras) -> _Extras:
    """Without the job: the plain formats of one seed are the same bytes in every job."""
    return None if extras is None else {key: extras[key] for key in extras if key != "job"}
