"""What the pictures of one object take, from the shape to the bytes of the file.

The object is that of an example picture, warm, with the two threads that drawing uses. Processor
time stands beside the wall's: it says more where other programs are running.
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

from geometry.mesh import Mesh
from geometry.point_cloud import PointCloud
from geometry.preview import preview_png, turntable_gif, turntable_webp
from geometry.surface import reconstruct_surface
from models.catalog import DEFAULT_MODEL
from models.images import decode
from training.predictors import served_model

_PICTURE = Path(__file__).parents[1] / "examples" / "taxi.png"
_POINTS, _FACES = 4096, (20_000, 50_000)
_RESOLUTION = 192  # cells along the longest side; finer than the default, for enough faces
_RUNS = 9
_FILES: dict[str, Callable[[PointCloud | Mesh], bytes]] = {
    "preview.png": preview_png,
    "turntable.gif": turntable_gif,
    "turntable.webp": turntable_webp,
}


def measure() -> dict[str, float]:
    """Medians in seconds for a cloud and for meshes of two sizes, and the bytes of each file."""
    result = served_model(DEFAULT_MODEL, _POINTS).reconstruct(
        decode(_PICTURE.read_bytes(), 25_000_000)
    )
    cloud = result.surface or result.points
    shapes: dict[str, PointCloud | Mesh] = {f"{_POINTS:,} points": result.points}
    for count in _FACES:
        mesh = reconstruct_surface(cloud, resolution=_RESOLUTION, target_faces=count)
        shapes[f"{len(mesh.faces):,} faces"] = mesh
    figures: dict[str, float] = {}
    for file, write in _FILES.items():
        for name, shape in shapes.items():
            wall, processor = _timed(write, shape)
            figures[f"{file} of {name}, s"] = wall
            figures[f"{file} of {name}, processor s"] = processor
            figures[f"{file} of {name}, bytes"] = len(write(shape))
    return figures


def _timed(
    write: Callable[[PointCloud | Mesh], bytes], shape: PointCloud | Mesh
) -> tuple[float, float]:
    write(shape)
    wall, processor = [], []
    for _ in range(_RUNS):
        started = time.perf_counter(), time.process_time()
        write(shape)
        wall.append(time.perf_counter() - started[0])
        processor.append(time.process_time() - started[1])
    return statistics.median(wall), statistics.median(processor)
