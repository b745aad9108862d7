"""What one training sample costs, stage by stage, in processor time of one core.

Needs the training pack and MakeHuman's archive in ../shared/data3d.
"""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from training.backgrounds import composite, damage_alpha, damage_colors, random_background
from training.bodies.anatomy import BODY_ARCHIVE, Anatomy
from training.bodies.generate import random_body
from training.camera import DegenerateMeshError, crop_window, random_camera
from training.dataset import MIN_PIXELS, TrainingStream
from training.materials import recolour
from training.meshes import MeshPack, PackMesh, sample_weights, split
from training.occlusion import random_cover
from training.render import Scene, random_light, render_layers, render_picture
from training.surface import sample_outer_surface

DATA = Path("../shared/data3d")
_CACHE = Path("runs")
_SAMPLES = 400
_SIZE, _POINTS = 128, 1024


class Stages:
    """Seconds of processor time by name."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        started = time.process_time()
        yield
        self.seconds[name] += time.process_time() - started


def measure() -> dict[str, float]:
    """Means over the training mix: pictures of 128 x 128, targets of 64 x 64, 1,024 points."""
    cv2.setNumThreads(0)
    pack = MeshPack.load(DATA / "train.npz.xz", DATA / "manifest.csv", _CACHE)
    anatomy = Anatomy.load(DATA / BODY_ARCHIVE, _CACHE)
    train = split(pack).train
    weights = sample_weights(pack, train)
    rng = np.random.default_rng(0)
    stages = Stages()
    rendered = 0
    for k in rng.choice(train, 2 * _SAMPLES, p=weights):
        rendered += _sample(stages, pack, int(k), rng)
        if rendered == _SAMPLES:
            break
    figures = {f"{name}, ms": 1000 * s / rendered for name, s in stages.seconds.items()}
    for points in (_POINTS, 0):
        stream = TrainingStream(
            pack, train, weights, 0, 1, _SIZE, _SIZE // 2, points, anatomy=anatomy
        )
        batches = iter(stream)
        next(batches)
        started = time.process_time()
        for _ in range(_SAMPLES):
            next(batches)
        rate = _SAMPLES / (time.process_time() - started)
        figures[f"whole samples with {points:,} points, per second and core"] = rate
    started = time.process_time()
    for _ in range(100):
        random_body(rng, anatomy)
    figures["one generated body, ms"] = 10 * (time.process_time() - started)
    return figures


def _sample(stages: Stages, pack: MeshPack, k: int, rng: np.random.Generator) -> bool:
    """One sample as training makes it, but for its rare extras; False if it is degenerate."""
    try:
        spent = Stages()
        with spent.timed("mesh from the pack"):
            mesh: PackMesh = pack.mesh(k)
        with spent.timed("camera and window"):
            camera, framed = random_camera(rng, mesh.vertices)
            window = crop_window(framed, camera, rng.uniform(0.8, 0.95))
        with spent.timed("ray tracing scene"):
            scene = Scene(framed, mesh.faces)
        with spent.timed("front and back layers"):
            front, _ = render_layers(scene, camera, window, _SIZE // 2)
        if int(front.mask.sum()) < MIN_PIXELS:
            return False
        with spent.timed("colours"):
            colors = recolour(mesh, rng)
        with spent.timed("points of the outer surface"):
            sample_outer_surface(scene, _POINTS, rng)
        with spent.timed("shaded picture"):
            light = random_light(rng, camera)
            rgba = render_picture(scene, colors, camera, window, light, _SIZE)
        with spent.timed("background and damage"):
            rgb = composite(rgba, random_background(rng, _SIZE), soft=True)
            np.dstack([damage_colors(rgb, rng), damage_alpha(rgba[..., 3], rng)])
        with spent.timed("cover, where one is drawn"):
            random_cover(rgba[..., 3], rng)
    except DegenerateMeshError:
        return False
    for name, seconds in spent.seconds.items():
        stages.seconds[name] += seconds
    return True
