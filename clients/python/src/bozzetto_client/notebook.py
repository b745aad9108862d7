"""Objects in a Jupyter notebook, to be turned with the mouse."""

import base64
import html
import json
import struct
from dataclasses import dataclass
from typing import Any, Final

from bozzetto_client.client import LOCAL, Bozzetto
from bozzetto_client.objects import Job

PNG, PLY, GLB = "image/png", "model/ply", "model/gltf-binary"
POINTS: Final = ("points.ply", "points.glb")
GLTF_POINTS: Final = 0  # mode of a primitive

_PAGE: Final = """\
<script type="module" src="{server}/static/bozzetto-viewer.js"></script>
<bozzetto-viewer {files} label="{label}" style="display: block; height: {height}px">{still}\
</bozzetto-viewer>"""


@dataclass(frozen=True, slots=True)
class View:
    """The last value of a cell shows itself; elsewhere pass it to IPython's `display`.

    The viewer is loaded from the server by the browser. Where that fails, or the notebook is not
    trusted, the still picture stays, if the job has a `preview.png`.
    """

    html: str
    png: bytes | None = None

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        bundle = {"text/html": self.html, "text/plain": "an object in 3D"}
        if self.png is not None:
            bundle[PNG] = _base64(self.png)
        return bundle


def show(
    result: Job | bytes, client: Bozzetto | None = None, *, height: int = 480, label: str = ""
) -> View:
    """View a job that has succeeded, or the bytes of a PLY or GLB file.

    Args:
        client: where the job is; the viewer is loaded from its server.
        height: of the view, in pixels.
        label: what a screen reader says.

    Raises:
        ValueError: nothing to show, or a job without a client.
        BozzettoError: a file of the job cannot be fetched.
    """
    if isinstance(result, bytes):
        files, png = {_kind(result): _as_url(result)}, None
    elif client is None:
        raise ValueError("to show a job, give the client that knows it: show(job, client)")
    else:
        files, png = _files(result, client)
    still = ""
    if png is not None:
        address = f"data:{PNG};base64,{_base64(png)}"
        files["poster"] = address  # of use without WebGL; the other one without the viewer
        still = f'<img src="{address}" alt="" height="{int(height)}">'
    page = _PAGE.format(
        server=html.escape(client.server if client else LOCAL),
        files=" ".join(f'{kind}="{url}"' for kind, url in files.items()),
        label=html.escape(label or "the object in 3D"),
        height=int(height),
        still=still,
    )
    return View(page, png)


def _files(job: Job, client: Bozzetto) -> tuple[dict[str, str], bytes | None]:
    """The viewer's attributes, and the still picture."""
    files = {}
    cloud = next((name for name in POINTS if job.artifact(name)), None)
    if cloud is not None:
        files["points"] = _as_url(client.download(job, cloud))
    if job.artifact("mesh.glb"):
        files["mesh"] = _as_url(client.download(job, "mesh.glb"))
    if not files:
        raise ValueError(f"job {job.id}, which is {job.status}, has nothing that can be shown")
    png = client.download(job, "preview.png") if job.artifact("preview.png") else None
    return files, png


def _kind(data: bytes) -> str:
    """The viewer's attribute for a file: GLB holds either, and its JSON says which."""
    if data.startswith(b"ply"):
        return "points"
    try:
        magic, _, _, length = struct.unpack_from("<4s3I", data)
        if magic != b"glTF":
            raise ValueError(f"it begins with {magic!r}")
        document = json.loads(data[20 : 20 + length])
        modes = {part.get("mode") for mesh in document["meshes"] for part in mesh["primitives"]}
    except (ValueError, KeyError, struct.error) as error:
        raise ValueError(f"neither a PLY nor a GLB file: {error}") from None
    return "points" if modes == {GLTF_POINTS} else "mesh"


def _as_url(data: bytes) -> str:
    return f"data:{PLY if data.startswith(b'ply') else GLB};base64,{_base64(data)}"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
