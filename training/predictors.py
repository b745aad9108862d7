"""What an evaluation compares: a served model, and the baselines that know less or more."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.ply import read_points, write_points
from geometry.point_cloud import PointCloud
from models.catalog import get_card
from models.contract import PreparedImages, Reconstructor, Result, SamplingParams
from models.foreground import crop_foreground, extract_foreground
from models.registry import load
from training.camera import frame_vertices
from training.meshes import MeshPack
from training.metrics import Cloud, chamfer
from training.render import Scene
from training.surface import sample_surface

Picture = NDArray[np.uint8]
Predictor = Callable[[Picture], PointCloud]

_BASELINE_POINTS = 1024


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model of the catalogue, from picture to the bytes of `points.ply` and back."""

    model: Reconstructor
    num_points: int

    def __call__(self, picture: Picture) -> PointCloud:
        """Raises NoForegroundError."""
        return read_points(write_points(self.reconstruct(picture).points))

    def reconstruct(self, picture: Picture) -> Result:
        """Raises NoForegroundError."""
        foreground = extract_foreground(picture, "auto")
        crop = crop_foreground(picture, foreground.alpha, self.model.card.image_size)
        conditioning = self.model.encode(PreparedImages(torch.from_numpy(crop)[None]))
        params = SamplingParams(num_points=self.num_points, steps=self.model.card.steps, seed=0)
        state = self.model.start(conditioning.row(0), params, torch.Generator().manual_seed(0))
        while state.step < state.steps:
            self.model.step([state])
        return self.model.finish(state)


def served_model(model_id: str, num_points: int) -> ServedModel:
    """Raises UnknownModelError, WeightsError."""
    return ServedModel(load(get_card(model_id), torch.device("cpu")), num_points)


def sphere(radius: float, num_points: int) -> PointCloud:
    """Points evenly spread on a sphere (Fibonacci lattice)."""
    k = np.arange(num_points) + 0.5
    y = 1 - 2 * k / num_points
    ring = np.sqrt(1 - y * y)
    turn = np.pi * (1 + 5**0.5) * k
    points = np.stack([ring * np.cos(turn), y, ring * np.sin(turn)], axis=1) * radius
    return PointCloud(points.astype(np.float32))


def training_clouds(
    pack: MeshPack, indices: NDArray[np.int64], count: int, seed: int
) -> list[NDArray[np.float32]]:
    """`count` random objects in the truth frame of a random azimuth, 1,024 points each."""
    rng = np.random.default_rng(seed)
    clouds = []
    for k in rng.choice(indices, size=min(count, len(indices)), replace=False):
        mesh = pack.mesh(int(k))
        framed = frame_vertices(mesh.vertices, rng.uniform(0, 2 * np.pi))
        clouds.append(sample_surface(Scene(framed, mesh.faces), _BASELINE_POINTS, rng).points)
    return clouds


def best_sphere_radius(clouds: list[NDArray[np.float32]]) -> float:
    """The radius whose sphere has the least mean CD to `clouds`."""
    radii = np.arange(0.15, 0.5, 0.02)
    spheres = [Cloud(sphere(float(r), _BASELINE_POINTS).positions) for r in radii]
    targets = [Cloud(cloud) for cloud in clouds[:200]]
    means = [np.mean([chamfer(ball, target) for target in targets]) for ball in spheres]
    return float(radii[int(np.argmin(means))])


def medoid(clouds: list[NDArray[np.float32]]) -> int:
    """The cloud with the least mean CD to the others, by 128 points of each."""
    points = torch.from_numpy(np.stack([cloud[:128] for cloud in clouds]))  # [C, 128, 3]
    flat = points.view(-1, 3)
    totals = torch.zeros(len(points))
    for i, cloud in enumerate(points):
        distance = torch.cdist(cloud, flat).view(len(cloud), len(points), -1)
        totals[i] = (distance.amin(dim=0).mean() + distance.amin(dim=2).mean()) / 2
    return int(totals.argmin())
