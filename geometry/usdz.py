"""USDZ, which iOS shows in Quick Look: a text layer and a picture in an uncompressed archive.

Quick Look shows no colours of vertices, so the mesh must come with a picture. After Pixar's "Usdz
File Format Specification" and "UsdPreviewSurface Specification".
"""

import json
import struct
import zipfile
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geometry.errors import GeometryError
from geometry.picture_file import encode_picture
from geometry.texture import TexturedMesh

_ALIGNMENT = 64  # of each file's first byte, so that readers can map it
_LOCAL_HEADER = 30
_PADDING_ID = 0x1986  # the extra field that Pixar's own writer fills up with
_LAYER = """#usda 1.0
(
    customLayerData = {{
        string bozzetto = "{provenance}"
    }}
    defaultPrim = "Object"
    metersPerUnit = 1
    upAxis = "Y"
)

def Xform "Object" (
    kind = "component"
)
{{
    double3 xformOp:translate = (0, {lift:.7g}, 0)
    uniform token[] xformOpOrder = ["xformOp:translate"]

    def Mesh "Surface" (
        prepend apiSchemas = ["MaterialBindingAPI"]
    )
    {{
        float3[] extent = [{extent}]
        int[] faceVertexCounts = [{counts}]
        int[] faceVertexIndices = [{indices}]
        rel material:binding = </Object/Material>
        normal3f[] normals = [{normals}] (
            interpolation = "vertex"
        )
        point3f[] points = [{points}]
        texCoord2f[] primvars:st = [{coordinates}] (
            interpolation = "vertex"
        )
        uniform token subdivisionScheme = "none"
    }}

    def Material "Material"
    {{
        token outputs:surface.connect = </Object/Material/Shader.outputs:surface>

        def Shader "Shader"
        {{
            uniform token info:id = "UsdPreviewSurface"
            color3f inputs:diffuseColor.connect = </Object/Material/Picture.outputs:rgb>
            float inputs:metallic = 0
            float inputs:roughness = 0.9
            token outputs:surface
        }}

        def Shader "Picture"
        {{
            uniform token info:id = "UsdUVTexture"
            asset inputs:file = @{picture}@
            token inputs:sourceColorSpace = "sRGB"
            float2 inputs:st.connect = </Object/Material/Coordinates.outputs:result>
            token inputs:wrapS = "clamp"
            token inputs:wrapT = "clamp"
            float3 outputs:rgb
        }}

        def Shader "Coordinates"
        {{
            uniform token info:id = "UsdPrimvarReader_float2"
            string inputs:varname = "st"
            float2 outputs:result
        }}
    }}
}}
"""


def write_mesh(mesh: TexturedMesh, extras: Mapping[str, Any] | None = None) -> bytes:
    """The mesh in metres, +Y up, lifted to stand on the ground, which is where AR puts it.

    `extras` (JSON) go into the layer's `customLayerData`, as one string.

    Raises:
        GeometryError: `extras` is not JSON.
    """
    picture, media_type = encode_picture(mesh.image, exact=False)
    name = "picture." + media_type.removeprefix("image/").replace("jpeg", "jpg")
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    # In USD the picture's lower left corner is (0, 0).
    coordinates = np.stack([mesh.uv[:, 0], 1 - mesh.uv[:, 1]], axis=1)
    layer = _LAYER.format(
        provenance=_quoted(extras),
        lift=-float(low[1]),
        extent=_tuples(np.stack([low, high])),
        counts=", ".join(["3"] * len(mesh.faces)),
        indices=", ".join(map(str, mesh.faces.reshape(-1).tolist())),
        normals=_tuples(mesh.normals, digits=4),
        points=_tuples(mesh.vertices),
        coordinates=_tuples(coordinates, digits=6),
        picture=name,
    )
    return _archive({"object.usda": layer.encode("ascii"), name: picture})


def _quoted(extras: Mapping[str, Any] | None) -> str:
    try:
        text = json.dumps(dict(extras or {}), separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise GeometryError(f"extras: not JSON: {error}") from error
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _tuples(rows: NDArray[np.float32], digits: int = 7) -> str:
    row = "(" + ", ".join([f"%.{digits}g"] * rows.shape[1]) + ")"
    return ", ".join([row % tuple(values) for values in rows.tolist()])


def _archive(files: Mapping[str, bytes]) -> bytes:
    """A zip archive of stored files, in this order, each aligned; the same bytes every time."""
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name)
            start = file.tell() + _LOCAL_HEADER + len(name)
            # A field has a header of 4 bytes itself.
            padding = (-start - 4) % _ALIGNMENT
            info.extra = struct.pack("<HH", _PADDING_ID, padding) + bytes(padding)
            archive.writestr(info, data)
    return file.getvalue()
