"""From picture bytes to what a model takes, and from its result to files. No queue, no device."""

import importlib.metadata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from geometry.formats import FORMATS, MESH_FORMATS, USDZ_TEXTURE, write_output
from geometry.mesh import Mesh
from geometry.point_cloud import PointCloud
from geometry.quality import measure_quality
from geometry.surface import reconstruct_surface
from geometry.texture import MAX_FACES, TexturedMesh, bake_texture
from models.catalog import SAMPLER, ModelCard, ParameterValue
from models.contract import Result, SamplingParams
from models.foreground import Mode, crop_foreground, extract_foreground
from models.images import decode
from service.jobs import Compression, Quality

# Where each stage begins, in per cent of the whole job.
STAGES = {
    "decode": 0.0,
    "foreground": 3.0,
    "encode": 10.0,
    "reconstruct": 15.0,
    "surface": 70.0,
    "texture": 82.0,
    "write": 92.0,
}
MASK = "mask.png"
TEXTURED = frozenset({"mesh.glb", "mesh.usdz"})
# Faces of a mesh with a texture: unwrapping holds the interpreter lock, and with it the renewal of
# leases and heartbeats. 20,000 take 2 to 7 s; 80,000 take 20 s, too long a silence.
MOST_TEXTURED = 20_000

OnStage = Callable[[str], None]


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """Attributes:
    crop: [4, S, S] float32 in 0..1, straight alpha, as `PreparedImages` wants it.
    mask_png: the foreground of the whole picture, grey, 255 is object.
    """

    crop: NDArray[np.float32]
    mask_png: bytes


@dataclass(frozen=True, slots=True)
class Output:
    """One file of the result, with the counts of what is in it."""

    name: str
    data: bytes
    format: str  # media type
    points: int | None = None
    vertices: int | None = None
    faces: int | None = None
    quality: Quality | None = None


def percent(stage: str, step: int = 0, steps: int = 0) -> float:
    """How much of a job is done when a stage, or step `step` of its `steps`, has been reached."""
    names = list(STAGES)
    after = names.index(stage) + 1
    end = STAGES[names[after]] if after < len(names) else 100.0
    share = step / steps if steps else 0.0
    return round(STAGES[stage] + share * (end - STAGES[stage]), 1)


def prepare(
    picture: bytes,
    *,
    image_size: int,
    max_pixels: int,
    mode: Mode = "auto",
    mask: bytes | None = None,
    on_stage: OnStage = lambda stage: None,
) -> Prepared:
    """Decode a picture, find the object and crop it.

    Raises:
        ImageError: the picture or the mask cannot be read.
        NoForegroundError: there is nothing to reconstruct.
    """
    on_stage("decode")
    rgba = decode(picture, max_pixels)
    given = None if mask is None else _as_mask(decode(mask, max_pixels))
    on_stage("foreground")
    found = extract_foreground(rgba, mode, given)
    crop = crop_foreground(rgba, found.alpha, image_size)
    _, png = cv2.imencode(".png", found.alpha, [cv2.IMWRITE_PNG_COMPRESSION, 3])
    return Prepared(crop, png.tobytes())


def _as_mask(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A mask's alpha where it has any, else its brightness."""
    if rgba[..., 3].min() < 255:
        return np.ascontiguousarray(rgba[..., 3])
    return np.asarray(cv2.cvtColor(rgba, cv2.COLOR_RGBA2GRAY), np.uint8)


def sampling(card: ModelCard, params: dict[str, ParameterValue]) -> SamplingParams:
    """`params` as resolved by `card`, with a concrete seed."""
    return SamplingParams(
        num_points=int(params["num_points"]),
        steps=int(params.get("steps", card.steps)),
        seed=int(params["seed"]),
        sampler=str(params.get("sampler", SAMPLER.default)),
        guidance_scale=float(params.get("guidance_scale", 1.0)),
        candidates=int(params.get("candidates", 1)),
        label=int(params.get("label", 0)),
        camera=str(params.get("camera", "auto")),
    )


def build_outputs(
    names: Sequence[str],
    result: Result,
    *,
    target_faces: int | None = None,
    texture_size: int | None = None,
    compression: Compression = "none",
    extras: dict[str, Any] | None = None,
    on_stage: OnStage = lambda stage: None,
) -> list[Output]:
    """The files `names` (of `models.catalog.OUTPUTS`), in that order; a surface only if needed.

    `texture_size` (pixels) bakes the colours into a texture where a file can hold one, and
    `compression` packs GLB files. Meshes with a texture have at most about `MOST_TEXTURED` faces.
    `on_stage` is called before the surface, the texture and each file, and may end it all by
    raising.

    Raises:
        GeometryError: no surface can be made of the points.
    """
    cloud = result.surface or result.points
    mesh = result.mesh
    if mesh is None and MESH_FORMATS.intersection(names):
        on_stage("surface")
        mesh = reconstruct_surface(cloud, target_faces=target_faces)
    textured = None
    if mesh is not None and (size := _texture_size(names, texture_size)):
        on_stage("texture")
        most = min(target_faces or MAX_FACES, MOST_TEXTURED)
        textured = bake_texture(mesh, cloud, size, max_faces=most)

    @cache
    def quality_of(shown: Mesh | TexturedMesh) -> Quality:
        return _quality(Mesh(shown.vertices, shown.faces), cloud)

    outputs = []
    for name in names:
        on_stage("write")
        worn = textured if name == "mesh.usdz" or (texture_size and name in TEXTURED) else None
        shown = (worn or mesh) if name in MESH_FORMATS else None
        data = write_output(
            name, result.points, mesh, extras, textured=worn, compression=compression
        )
        outputs.append(
            Output(
                name,
                data,
                FORMATS[name],
                points=len(result.points) if name.startswith("points.") else None,
                vertices=None if shown is None else len(shown.vertices),
                faces=None if shown is None else len(shown.faces),
                quality=None if shown is None else quality_of(shown),
            )
        )
    return outputs


def _texture_size(names: Sequence[str], asked: int | None) -> int | None:
    if asked is not None and TEXTURED.intersection(names):
        return asked
    return USDZ_TEXTURE if "mesh.usdz" in names else None


def _quality(mesh: Mesh, cloud: PointCloud) -> Quality:
    measured = measure_quality(mesh, cloud)
    return Quality(measured.watertight, measured.components, round(measured.mean_distance, 6))


def provenance(card: ModelCard, params: dict[str, ParameterValue], **more: str) -> dict[str, Any]:
    """What a file says of its origin."""
    return {
        "model": card.id,
        "params": {name: value for name, value in params.items() if name != "seed"},
        "seed": params["seed"],
        "licence": card.licence.outputs,
        "weights_licence": card.licence.weights,
        "weights_sha256": [file.sha256[:16] for file in card.weights],
        "generator": f"bozzetto {version()}",
        **more,
    }


def version() -> str:
    try:
        return importlib.metadata.version("bozzetto")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
