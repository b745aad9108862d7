"""What each file of one object weighs, and what writing it takes.

The object is that of an example picture. Times are processor time, for writers use one thread.
"""

import gzip
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from geometry import glb, ply, usdz
from geometry.formats import Compression, write_output
from geometry.mesh import Mesh
from geometry.point_cloud import PointCloud
from geometry.surface import reconstruct_surface
from geometry.texture import TexturedMesh, bake_texture
from models.catalog import CATALOG, DEFAULT_MODEL
from models.contract import PreparedImages
from models.foreground import crop_foreground, extract_foreground
from models.images import decode
from models.registry import load
from service.worker.pipeline import sampling

_PICTURE = Path(__file__).parents[1] / "examples" / "taxi.png"
_FACES = (20_000, 50_000)
_RESOLUTION = 192  # cells along the longest side; finer than the default, for enough faces
_TEXTURE_SIZE = 1024
_RUNS = 9
_COMPRESSIONS: tuple[Compression, ...] = ("none", "quantized", "meshopt")


def measure() -> dict[str, float]:
    """For each file its bytes, also after gzip, and the median of milliseconds that it takes."""
    cloud = _cloud()
    writers = _of_points(cloud)
    for count in _FACES:
        mesh = reconstruct_surface(cloud, resolution=_RESOLUTION, target_faces=count)
        writers |= _of_mesh(f"mesh of {count:,} faces", cloud, mesh)
    plain = reconstruct_surface(cloud)
    textured = bake_texture(plain, cloud, _TEXTURE_SIZE)
    writers |= _of_textured(f"textured mesh of {len(textured.faces):,} faces", textured)
    figures: dict[str, float] = {}
    for name, write in writers.items():
        data, milliseconds = _timed(write)
        figures[f"{name}, bytes"] = len(data)
        figures[f"{name}, bytes after gzip"] = len(gzip.compress(data))
        figures[f"{name}, ms"] = milliseconds
    return figures


def _cloud() -> PointCloud:
    torch.set_num_threads(2)
    card = CATALOG[DEFAULT_MODEL]
    model = load(card, torch.device("cpu"))
    rgba = decode(_PICTURE.read_bytes(), 25_000_000)
    crop = crop_foreground(rgba, extract_foreground(rgba).alpha, card.image_size)
    params = sampling(card, card.resolve({"seed": 0}))
    conditioning = model.encode(PreparedImages(torch.from_numpy(crop)[None]))
    generator = torch.Generator().manual_seed(params.seed)
    state = model.start(conditioning.row(0), params, generator)
    while state.step < state.steps:
        model.step([state])
    return model.finish(state).points


def _of_points(cloud: PointCloud) -> dict[str, Callable[[], bytes]]:
    name = f"{len(cloud):,} points"
    return {
        f"{name}, PLY": partial(ply.write_points, cloud),
        f"{name}, ascii PLY": partial(ply.write_points, cloud, ascii=True),
        **{f"{name}, GLB {c}": partial(glb.write_points, cloud, None, c) for c in _COMPRESSIONS},
    }


def _of_mesh(name: str, cloud: PointCloud, mesh: Mesh) -> dict[str, Callable[[], bytes]]:
    files = {"PLY": "mesh.ply", "OBJ": "mesh.obj", "STL": "mesh.stl"}
    return {
        **{f"{name}, {k}": partial(write_output, file, cloud, mesh) for k, file in files.items()},
        **{f"{name}, GLB {c}": partial(glb.write_mesh, mesh, None, c) for c in _COMPRESSIONS},
    }


def _of_textured(name: str, mesh: TexturedMesh) -> dict[str, Callable[[], bytes]]:
    return {
        **{f"{name}, GLB {c}": partial(glb.write_mesh, mesh, None, c) for c in _COMPRESSIONS},
        f"{name}, USDZ": partial(usdz.write_mesh, mesh),
    }


def _timed(write: Callable[[], bytes]) -> tuple[bytes, float]:
    data = write()
    seconds = []
    for _ in range(_RUNS):
        started = time.process_time()
        write()
        seconds.append(time.process_time() - started)
    return data, 1000 * statistics.median(seconds)
