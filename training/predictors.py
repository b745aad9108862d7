"""A served model as the evaluation sees it: from a picture to the cloud a user would get."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from geometry.ply import read_points, write_points
from geometry.point_cloud import PointCloud
from models.catalog import DRAFT, ModelCard, ParameterValue, get_card
from models.checkpoints import load_tensors
from models.contract import PreparedImages, Reconstructor, Result, SamplingParams, State
from models.encoders.own import OWN_PREFIX
from models.errors import ModelError, NoForegroundError, NonFiniteError, WeightsError
from models.foreground import crop_foreground, extract_foreground
from models.registry import build, load
from training.dataset import ValidationPicture

Picture = NDArray[np.uint8]
Predictor = Callable[[ValidationPicture], PointCloud]
Track = Literal["A", "B"]

# What counts as a failure of the model, not of the evaluation: it is scored as the sphere.
REFUSALS: tuple[type[ModelError], ...] = (NoForegroundError, NonFiniteError)


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model of the catalogue, from picture to the bytes of `points.ply` and back."""

    model: Reconstructor
    params: SamplingParams

    def __call__(self, picture: Picture) -> PointCloud:
        """Raises NoForegroundError, NonFiniteError."""
        return read_points(write_points(self.reconstruct(picture).points))

    def reconstruct(self, picture: Picture) -> Result:
        """Raises NoForegroundError, NonFiniteError."""
        state = self.begin(picture)
        while state.step < state.steps:
            self.model.step([state])
        return self.model.finish(state)

    def begin(self, picture: Picture) -> State:
        """The state before the first step. Raises NoForegroundError."""
        foreground = extract_foreground(picture, "auto")
        crop = crop_foreground(picture, foreground.alpha, self.model.card.image_size)
        conditioning = self.model.encode(PreparedImages(torch.from_numpy(crop)[None]))
        generator = torch.Generator().manual_seed(self.params.seed)
        return self.model.start(conditioning.row(0), self.params, generator)


def served_model(
    model_id: str,
    num_points: int,
    given: Mapping[str, ParameterValue] | None = None,
    weights: Path | None = None,
) -> ServedModel:
    """The model of a card, or that card's network with the tensors of the file `weights`, which
    may leave out those of the encoder that the mini systems share.

    Raises:
        UnknownModelError: no such card.
        ParameterError: a name of `given` that the card does not know, or a value out of bounds.
        WeightsError: the weights are not the pinned ones, or those of the file do not fit.
    """
    card = get_card(model_id)
    params = sampling_params(card, {"num_points": num_points, **(given or {})})
    device = torch.device("cpu")
    if weights is None:
        return ServedModel(load(card, device), params)
    return ServedModel(build(card, _tensors(weights), device), params)


def sampling_params(card: ModelCard, given: Mapping[str, ParameterValue]) -> SamplingParams:
    """The card's parameters as its network takes them; seed 0 where none is given.

    Raises ParameterError.
    """
    resolved: dict[str, Any] = {"steps": card.steps, **card.resolve({"seed": 0, **given})}
    names = {field.name for field in fields(SamplingParams)}
    return SamplingParams(**{name: resolved[name] for name in names & resolved.keys()})


def _tensors(file: Path) -> dict[str, torch.Tensor]:
    try:
        tensors: dict[str, torch.Tensor] = load_file(file)
    except Exception as error:  # safetensors raises what its Rust part and the system raise
        raise WeightsError(f"{file}: {error}") from error
    tensors = {name: t.float() if t.is_floating_point() else t for name, t in tensors.items()}
    if tensors and all(name.startswith(OWN_PREFIX) for name in tensors):
        tensors |= load_tensors(DRAFT)
    return tensors


def weights_hashes(model_id: str, weights: Path | None) -> list[str]:
    """sha256 of each weight file that `served_model` loads, or of the one in place of them."""
    if weights is not None:
        return [hashlib.sha256(weights.read_bytes()).hexdigest()]
    return [file.sha256 for file in get_card(model_id).weights]


def on_track(model: Callable[[Picture], PointCloud], track: Track) -> Predictor:
    """`model` on one track of the protocol's pictures."""
    return lambda picture: model(as_rgba(picture, track))


def as_rgba(picture: ValidationPicture, track: Track) -> Picture:
    """[H, W, 4]: with its true alpha on track A, opaque over a background on track B."""
    if track == "A":
        return picture.rgba
    opaque = np.full((*picture.opaque.shape[:2], 1), 255, np.uint8)
    return np.concatenate([picture.opaque, opaque], axis=-1)
