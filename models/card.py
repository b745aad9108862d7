"""What is known of a model before it is loaded. Standard library only, as the catalogue is."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal

from models.cameras import parse_camera
from models.errors import ParameterError

Family = Literal[
    "layered_depth",
    "point_diffusion",
    "pc2",
    "ccd3dr",
    "buildiff",
    "colored_shape",
    "gecco",
    "dpm",
    "pointe",
    "dit3d",
]
Task = Literal["image-to-points"]
ParameterKind = Literal["integer", "number", "string", "camera"]
ParameterValue = int | float | str

OUTPUTS = (
    "points.ply",
    "points.glb",
    "mesh.glb",
    "mesh.ply",
    "mesh.obj",
    "mesh.stl",
    "mesh.usdz",
    "preview.png",
    "turntable.gif",
    "turntable.webp",
)
DEFAULT_OUTPUTS = ("points.ply", "mesh.glb")
SAMPLERS = ("ddim", "euler", "heun", "dpmpp_2m", "ddpm", "pndm")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One form field that a model takes, with its bounds.

    `maximum` and `minimum` are inclusive; `choices` is for strings only. The text of a "camera" is
    as `models.cameras.parse_camera` reads it.
    """

    name: str
    kind: ParameterKind
    default: ParameterValue
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    description: str = ""

    def check(self, value: ParameterValue) -> ParameterValue:
        """`value` in the parameter's own type.

        Raises:
            ParameterError: wrong type, out of bounds, or not one of the choices.
        """
        if self.kind == "camera":
            parse_camera(str(value))
            return str(value)
        if self.kind == "string":
            if value not in self.choices:
                raise ParameterError(self.name, f"must be one of {', '.join(self.choices)}")
            return value
        try:
            number = int(str(value)) if self.kind == "integer" else float(value)
        except ValueError:
            noun = "an integer" if self.kind == "integer" else "a number"
            raise ParameterError(self.name, f"must be {noun}, got {value!r}") from None
        low, high = self.minimum, self.maximum
        # Written so that NaN fails.
        if not ((low is None or number >= low) and (high is None or number <= high)):
            bounds = f"{low}" if low == high else f"{low} to {high}"
            raise ParameterError(self.name, f"must be {bounds}, got {value}")
        return number


@dataclass(frozen=True, slots=True)
class WeightFile:
    """One safetensors file in the card's folder, pinned by content."""

    name: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Licence:
    """SPDX identifiers, or a short plain statement."""

    code: str
    weights: str
    outputs: str


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What is known of a model before it is loaded."""

    id: str
    family: Family
    task: Task
    title: str
    description: str
    licence: Licence
    parameters: tuple[Parameter, ...]
    points: int  # what the network gives before resampling
    resampled: bool  # True when num_points, or some of them, are reached by resampling
    steps: int  # network evaluations of a default job
    image_size: int  # side of the square crop the network sees, pixels
    memory_bytes: int  # resident at most while a process makes a mesh with it on a CPU, measured
    measured_seconds: dict[str, float]  # hardware -> picture to points, seconds
    weights: tuple[WeightFile, ...]
    outputs: tuple[str, ...] = OUTPUTS
    default_outputs: tuple[str, ...] = DEFAULT_OUTPUTS
    sources: tuple[str, ...] = field(default=())  # papers and data that must be credited
    network: str = ""  # which of its family's sizes, where the file of the family has several
    max_images: int = 1  # pictures of one object that a job may bring
    # How far, in diameters, 98 of 100 points may move with what else is in the batch: its size
    # decides how matrix products are rounded.
    tolerance: float = 1e-3
    # Name of a licence that the operator must accept before the model is served; "" is none.
    accept: str = ""
    folder: str = ""  # of the weights; "" is `models/weights/`
    unfit: str = ""  # why it can make nothing of a picture; "" where it can

    def refusal(self, accepted: Collection[str]) -> str | None:
        """Why no machine may serve it, where `accepted` are the names of licences; or None."""
        if not self.weights:
            return "no weights are published for this model yet"
        if self.unfit:
            return self.unfit
        if self.accept and self.accept not in accepted:
            return f"its licence, {self.accept}, has not been accepted"
        return None

    def parameter(self, name: str) -> Parameter | None:
        return next((item for item in self.parameters if item.name == name), None)

    def resolve(self, given: dict[str, ParameterValue]) -> dict[str, ParameterValue]:
        """All parameters of this model: those given, checked, and defaults for the rest.

        Raises:
            ParameterError: a name this model does not know, or a value out of bounds.
        """
        for name in given:
            if self.parameter(name) is None:
                known = ", ".join(item.name for item in self.parameters)
                raise ParameterError(name, f"{self.id} has no such parameter; it takes {known}")
        return {
            item.name: item.check(given.get(item.name, item.default)) for item in self.parameters
        }


NUM_POINTS = Parameter(
    "num_points", "integer", 4096, 256, 16_384, description="points in the result"
)
SEED = Parameter(
    "seed",
    "integer",
    -1,
    -1,
    2**31 - 1,
    description="-1 draws one; the job object shows the seed that was used",
)
STEPS = Parameter(
    "steps",
    "integer",
    16,
    1,
    64,
    description="of the sampler: more are slower and, to a point, better; heun evaluates twice in "
    "each but the last, pndm four times in each of the first three",
)
SAMPLER = Parameter(
    "sampler",
    "string",
    "euler",
    choices=SAMPLERS,
    description="how the noise is taken away; only ddpm adds new noise on the way",
)
GUIDANCE_SCALE = Parameter(
    "guidance_scale",
    "number",
    1.0,
    0.0,
    10.0,
    description="how much more the picture counts than the model's idea of objects; 1 is off",
)
CANDIDATES = Parameter(
    "candidates",
    "integer",
    1,
    1,
    8,
    description="objects to sample, of which the one that fits the picture's outline best is kept",
)
LABEL = Parameter(
    "label",
    "integer",
    0,
    0,
    54,
    description="number of the class of object, from 0, for models that were trained on classes, "
    "in the order of that training",
)
CAMERA = Parameter(
    "camera",
    "camera",
    "auto",
    description="auto, or JSON: elevation (degrees) and distance (object diameters), or R, T and "
    "focal",
)
# Every parameter there is; a card takes those that its model has, perhaps with other defaults.
PARAMETERS = (NUM_POINTS, SEED, STEPS, SAMPLER, GUIDANCE_SCALE, CANDIDATES, LABEL, CAMERA)
