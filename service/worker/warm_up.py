"""A first job that no one asked for, so that the first caller does not pay for what starts late."""

import logging
from collections.abc import Mapping

import numpy as np
import torch

from geometry.errors import GeometryError
from models.contract import PreparedImages, Reconstructor, SamplingParams
from models.errors import ModelError
from models.foreground import crop_foreground
from service.worker.pipeline import build_outputs

_log = logging.getLogger("bozzetto.worker")


@torch.inference_mode()
def warm_up(models: Mapping[str, Reconstructor]) -> None:
    """One small object through each model and through the surface: kernels and libraries load."""
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    disc = np.where(x * x + y * y < 0.8, 255, 0).astype(np.uint8)
    rgba = np.dstack([np.full((64, 64, 3), 128, np.uint8), disc])
    for name, model in models.items():
        crop = crop_foreground(rgba, disc, model.card.image_size)
        params = SamplingParams(num_points=1024, steps=min(2, model.card.steps), seed=0)
        try:
            conditioning = model.encode(PreparedImages(torch.from_numpy(crop)[None]))
            state = model.start(conditioning.row(0), params, torch.Generator().manual_seed(0))
            while state.step < state.steps:
                model.step([state])
            build_outputs(model.card.default_outputs, model.finish(state))
        except (ModelError, GeometryError) as error:
            # A disc may be nothing that it can make an object of; a caller's picture still may be.
            _log.warning("%s did not warm up: %s", name, error)
