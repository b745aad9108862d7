"""Picture to an object in Blender 4.x, by way of a Bozzetto server.

Paste this into the Text Editor, set the four values below, press Run Script. Blender is busy until
the object is there; the standard library is all it needs. Without Blender the same file fetches
the GLB alone: `python import_bozzetto.py`.
"""

import http.client
import json
import os
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from typing import Any

PICTURE = "//chair.jpg"  # in Blender, // is the folder of the saved .blend file
SERVER = "http://127.0.0.1:8000"
API_KEY = ""
HEIGHT_M = 1.0

# Fields of a submit; see the server's /docs.
FIELDS = {"outputs": "mesh.glb"}
TRIES = 5


class BozzettoError(RuntimeError):
    """What the server says went wrong, with its hint."""


def reconstruct(
    picture: str,
    server: str = SERVER,
    api_key: str = API_KEY,
    fields: dict[str, str] | None = None,
    patience_s: float = 600.0,
) -> bytes:
    """Path of a picture to the bytes of mesh.glb.

    Raises:
        BozzettoError: refused or failed; the text says why.
        TimeoutError: the job has not ended within `patience_s`.
        OSError: the picture cannot be read, or the server cannot be reached.
    """
    with open(picture, "rb") as file:
        body, kind = _form(file.read(), FIELDS if fields is None else fields)
    # The key lets a submit whose answer was lost be sent again without making a second job.
    headers = {"Content-Type": kind, "Idempotency-Key": uuid.uuid4().hex}
    job = json.loads(_call(server, api_key, "/reconstruct", body, headers))
    end = time.monotonic() + patience_s
    while job["status"] in ("queued", "running"):
        if time.monotonic() > end:
            raise TimeoutError(f"job {job['id']} has not ended within {patience_s} s")
        time.sleep(0.5)
        job = json.loads(_call(server, api_key, job["links"]["self"]))
    if job["status"] != "succeeded":
        raise BozzettoError(_told(job["error"] or {"detail": f"the job is {job['status']}"}))
    urls = {artifact["name"]: artifact["url"] for artifact in job["artifacts"]}
    return _call(server, api_key, urls["mesh.glb"])


def place(glb: bytes, name: str, height_m: float = HEIGHT_M) -> list[Any]:
    """Import the GLB; the object stands on the floor at the 3D cursor, `height_m` high."""
    import bpy

    handle, path = tempfile.mkstemp(suffix=".glb")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(glb)
        bpy.ops.import_scene.gltf(filepath=path)
    finally:
        os.remove(path)
    bpy.context.view_layer.update()
    objects = [item for item in bpy.context.selected_objects if item.type == "MESH"]
    # glTF is Y up, and the importer has turned it: Blender's Z is up by now.
    corners = [item.matrix_world @ _vector(c) for item in objects for c in item.bound_box]
    low, high = (edge(corner[2] for corner in corners) for edge in (min, max))
    factor = height_m / (high - low)
    cursor = bpy.context.scene.cursor.location
    for item in objects:
        item.name = name
        item.scale = [factor * side for side in item.scale]
        x, y, z = item.location
        item.location = (
            cursor[0] + factor * x,
            cursor[1] + factor * y,
            cursor[2] + factor * (z - low),
        )
    return objects


def _vector(corner: Any) -> Any:
    from mathutils import Vector

    return Vector(corner)


def _form(picture: bytes, fields: dict[str, str]) -> tuple[bytes, str]:
    """multipart/form-data: the body and its Content-Type."""
    mark = uuid.uuid4().hex
    head = f"--{mark}\r\nContent-Disposition: form-data; name="
    parts = [f'{head}"{name}"\r\n\r\n{value}\r\n'.encode() for name, value in fields.items()]
    parts.append(f'{head}"image"; filename="image"\r\n\r\n'.encode() + picture + b"\r\n")
    return b"".join(parts) + f"--{mark}--\r\n".encode(), f"multipart/form-data; boundary={mark}"


def _call(
    server: str,
    api_key: str,
    path: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> bytes:
    """The answer's bytes; tried again as long as the server says that this may help."""
    address = server.rstrip("/") + path
    request = urllib.request.Request(address, body, headers or {})  # noqa: S310 of the user's own
    if api_key:
        request.add_header("Authorization", f"Bearer {api_key}")
    for attempt in range(TRIES):
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 as above
                data: bytes = answer.read()
                return data
        except urllib.error.HTTPError as error:
            problem = _problem(error)
            again = problem.get("retryable") and (error.code == 429 or error.code >= 500)
            if not again or attempt + 1 == TRIES:
                raise BozzettoError(_told(problem)) from None
            time.sleep(_seconds(error.headers.get("Retry-After"), 2.0**attempt))
        except (OSError, http.client.HTTPException):
            if attempt + 1 == TRIES:
                raise
            time.sleep(0.5 * 2.0**attempt)
    raise AssertionError("the last try returns or raises")


def _problem(error: urllib.error.HTTPError) -> dict[str, Any]:
    try:
        problem = json.loads(error.read())
    except ValueError:
        problem = None
    return problem if isinstance(problem, dict) else {"detail": f"the answer was {error}"}


def _told(problem: dict[str, Any]) -> str:
    return " ".join(text for text in (problem.get("detail"), problem.get("hint")) if text)


def _seconds(header: str | None, otherwise: float) -> float:
    return min(float(header), 60.0) if header and header.isdigit() else otherwise


def main() -> None:
    try:
        import bpy
    except ImportError:
        glb = reconstruct(PICTURE.removeprefix("//"))
        with open(os.path.splitext(os.path.basename(PICTURE))[0] + ".glb", "wb") as file:
            file.write(glb)
        return
    picture = bpy.path.abspath(PICTURE)
    place(reconstruct(picture), os.path.splitext(os.path.basename(picture))[0])


if __name__ == "__main__":
    main()
