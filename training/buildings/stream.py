"""Samples of generated buildings, as aerial pictures show them."""

from collections.abc import Iterator

import cv2
import numpy as np
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from training.buildings.generate import random_building
from training.camera import DegenerateMeshError
from training.dataset import TrainingSample, collate, make_sample

ELEVATION = (20.0, 70.0)  # degrees, of an aerial camera


class BuildingStream(IterableDataset[dict[str, Tensor]]):
    """An endless stream of batches in the form of `training.dataset.TrainingStream`."""

    def __init__(
        self,
        seed: int,
        batch_size: int,
        size: int = 96,
        target_size: int = 48,
        n_points: int = 4096,
    ) -> None:
        self.seed = seed
        self.batch_size = batch_size
        self.size = size
        self.target_size = target_size
        self.n_points = n_points

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        info = get_worker_info()
        if info is not None:
            cv2.setNumThreads(0)  # the workers are the parallelism
        rng = np.random.default_rng([self.seed, 0 if info is None else info.id])
        while True:
            yield collate([self._draw(rng) for _ in range(self.batch_size)])

    def _draw(self, rng: np.random.Generator) -> TrainingSample:
        while True:
            mesh = random_building(rng)
            try:
                return make_sample(
                    mesh, rng, self.size, self.target_size, self.n_points, elevation=ELEVATION
                )
            except DegenerateMeshError:
                continue
