"""What the worker's engine asks of every model: encode, start, step, preview, finish."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import torch
from torch import Tensor

from geometry.mesh import Mesh
from geometry.point_cloud import PointCloud
from models.catalog import ModelCard

PREVIEW_POINTS: Final = 2048  # at most, in what `preview` gives


@dataclass(frozen=True, slots=True)
class PreparedImages:
    """Foreground crops, ready for an encoder.

    Attributes:
        rgba: [B, 4, S, S] float32 in 0..1, straight alpha, S = `card.image_size`; the object is
            centred and its longer side fills 0.9 of the crop. Row 0 is the top of the picture.
    """

    rgba: Tensor

    def __len__(self) -> int:
        return int(self.rgba.shape[0])


class Conditioning(Protocol):
    """What a model keeps of the pictures: one row per job, in the order of the pictures."""

    def row(self, index: int) -> "Conditioning": ...


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """A job's resolved parameters, as the model sees them. A model ignores those it lacks.

    Attributes:
        steps: of the sampler; how many network evaluations they take, the sampler decides.
        sampler: one of `models.catalog.SAMPLERS`.
        guidance_scale: w in `uncond + w * (cond - uncond)`; 1 is off.
        candidates: objects sampled at once, of which `finish` gives the best.
        label: class of object, for models of classes.
        camera: "auto", or JSON as `models.cameras.parse_camera` reads it.
    """

    num_points: int
    steps: int
    seed: int
    sampler: str = "euler"
    guidance_scale: float = 1.0
    candidates: int = 1
    label: int = 0
    camera: str = "auto"


class State(Protocol):
    """One job's own progress through a model. The engine reads these two and nothing else.

    Both count network evaluations: Heun's n steps are 2n - 1 of them. `steps` never changes.
    """

    @property
    def step(self) -> int: ...

    @property
    def steps(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Result:
    """What `finish` gives.

    Attributes:
        points: always; what is served as points.
        mesh: where the model has one of its own.
        surface: points with normals to lay a mesh through, in the same frame, where the model
            has better ones for that than those it serves.
    """

    points: PointCloud
    mesh: Mesh | None = None
    surface: PointCloud | None = None


class Reconstructor(Protocol):
    """A model on a device. Not thread-safe: the engine calls it from one thread.

    Same seed, same picture, same model: the same object within the model's stated tolerance,
    whatever else is in the batch.
    """

    @property
    def card(self) -> ModelCard: ...

    def encode(self, images: PreparedImages) -> Conditioning:
        """[B] pictures to conditioning with B rows. Once per job, batched over jobs."""
        ...

    def start(
        self, conditioning: Conditioning, params: SamplingParams, generator: torch.Generator
    ) -> State:
        """A job's own state from its one row of conditioning; the generator is the job's own."""
        ...

    def step(self, states: Sequence[State]) -> None:
        """One network evaluation for all rows, each at its own step; advances each by one.

        Raises:
            NonFiniteError: the network gave NaN or infinity for some row.
        """
        ...

    def preview(self, state: State) -> PointCloud | None:
        """The object as the model guesses it now; None where there is nothing to show.

        Cheap beside an evaluation, and leaves the state as it is. At most `PREVIEW_POINTS` points,
        in the output convention.
        """
        ...

    def finish(self, state: State) -> Result:
        """The object of a state whose step equals its steps.

        The cloud has exactly `num_points` points in the output convention: upright, +Z towards
        the camera, centred, in a sphere of diameter 1.
        """
        ...
