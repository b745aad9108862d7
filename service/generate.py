"""`bozzetto generate`: the worker's pipeline on pictures at hand, without server or queue."""

import os
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from models.catalog import DEFAULT_MODEL, ModelCard, ParameterValue, get_card
from models.errors import LicenceError, ModelError, ParameterError
from service.jobs import TARGET_FACES, TEXTURE_SIZE, Compression
from service.settings import Settings

if TYPE_CHECKING:
    from models.contract import Result
    from service.worker.engine import EngineJob, Look
    from service.worker.loading import LoadModel
    from service.worker.pipeline import Output

Kind = Literal["mesh", "points"]

# What the end of a file's name stands for: the output of each kind, the usual kind first.
BY_SUFFIX: dict[str, dict[Kind, str]] = {
    ".glb": {"mesh": "mesh.glb", "points": "points.glb"},
    ".ply": {"points": "points.ply", "mesh": "mesh.ply"},
    ".obj": {"mesh": "mesh.obj"},
    ".stl": {"mesh": "mesh.stl"},
    ".usdz": {"mesh": "mesh.usdz"},
    ".png": {"points": "preview.png"},
    ".gif": {"points": "turntable.gif"},
    ".webp": {"points": "turntable.webp"},
}

OnProgress = Callable[[float, str], None]  # per cent, stage


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says; None stands for the model's own default."""

    images: tuple[Path, ...]
    out: Path
    model: str = DEFAULT_MODEL
    num_points: int | None = None
    seed: int | None = None
    steps: int | None = None
    sampler: str | None = None
    guidance_scale: float | None = None
    candidates: int | None = None
    label: int | None = None
    camera: str | None = None
    kind: Kind | None = None
    remove_background: Literal["auto", "always", "never"] = "auto"
    target_faces: int | None = None
    texture_size: int | None = None
    compression: Compression = "none"
    preview: bool = False


class BadRequest(Exception):  # noqa: N818  said to a person
    """The command cannot be carried out as it was given."""


@dataclass(frozen=True, slots=True)
class Target:
    """Attributes:
    files: output name -> where it goes.
    """

    image: Path
    files: dict[str, Path]


def plan(options: Options) -> list[Target]:
    """Which file each picture becomes. A folder, or several pictures, make one file each there.

    Raises:
        BadRequest: no such picture, no such format, or no such kind in that format.
    """
    for image in options.images:
        if not image.is_file():
            raise BadRequest(f"{image}: no such picture")
    folder = options.out.is_dir() or not options.out.suffix or len(options.images) > 1
    if folder and options.out.suffix and not options.out.is_dir():
        raise BadRequest(f"{options.out}: several pictures need a folder to go to")
    suffix = ".glb" if folder else options.out.suffix.lower()
    if suffix not in BY_SUFFIX:
        raise BadRequest(f"{options.out}: the name must end in {', '.join(BY_SUFFIX)}")
    names = BY_SUFFIX[suffix]
    if options.kind is not None and options.kind not in names:
        raise BadRequest(f"{options.out}: {suffix} holds no {options.kind}")
    name = names[next(iter(names)) if options.kind is None else options.kind]
    targets: dict[Path, Target] = {}
    for image in options.images:
        path = options.out / f"{image.stem}{suffix}" if folder else options.out
        if path in targets:
            raise BadRequest(f"{image} and {targets[path].image} would both become {path}")
        files = {name: path}
        if options.preview and name != "preview.png":
            files["preview.png"] = path.with_suffix(".preview.png")
        targets[path] = Target(image, files)
    return list(targets.values())


def resolve(card: ModelCard, options: Options) -> dict[str, ParameterValue]:
    """The model's parameters, with a concrete seed.

    Raises:
        ParameterError: one that the model does not have, or out of its bounds.
    """
    asked: dict[str, ParameterValue | None] = {
        "num_points": options.num_points,
        "seed": options.seed,
        "steps": options.steps,
        "sampler": options.sampler,
        "guidance_scale": options.guidance_scale,
        "candidates": options.candidates,
        "label": options.label,
        "camera": options.camera,
    }
    params = card.resolve({name: value for name, value in asked.items() if value is not None})
    if params["seed"] == -1:
        params["seed"] = secrets.randbelow(2**31)
    _check_bounds("target_faces", options.target_faces, TARGET_FACES)
    _check_bounds("texture_size", options.texture_size, TEXTURE_SIZE)
    return params


def _check_bounds(name: str, value: int | None, bounds: tuple[int, int]) -> None:
    low, high = bounds
    if value is not None and not low <= value <= high:
        raise ParameterError(name, f"must be {low} to {high}, got {value}")


class Generator:
    """A model that is loaded once, for any number of pictures.

    Raises:
        BadRequest: the model makes nothing of a picture.
        ModelError: the model is unknown, its licence is not accepted, or its weights cannot be
            loaded.
    """

    def __init__(
        self, options: Options, settings: Settings, load_model: "LoadModel | None" = None
    ) -> None:
        self._card = get_card(options.model)
        self._params = resolve(self._card, options)
        if self._card.accept not in ("", *settings.models.accepted_licences):
            reason = self._card.refusal(settings.models.accepted_licences)
            raise LicenceError(self._card.accept, f"{self._card.id}: {reason}")
        if self._card.unfit:
            raise BadRequest(f"{self._card.id}: {self._card.unfit}")
        self._options = options
        self._max_pixels = settings.uploads.max_pixels
        import torch

        from models import registry
        from service.worker.main import choose_device

        if settings.worker.threads:
            torch.set_num_threads(settings.worker.threads)
        device = choose_device(settings.worker.device)
        self._model = (load_model or registry.load)(self._card, device)

    def run(self, target: Target, on_progress: OnProgress) -> list[str]:
        """Reconstruct one picture; a line for each file that was written.

        Raises:
            ModelError, GeometryError, EngineError, OSError.
        """
        from service.worker import pipeline

        start = time.perf_counter()

        def on_stage(stage: str) -> None:
            on_progress(pipeline.percent(stage), stage)

        prepared = pipeline.prepare(
            target.image.read_bytes(),
            image_size=self._card.image_size,
            max_pixels=self._max_pixels,
            mode=self._options.remove_background,
            on_stage=on_stage,
        )
        on_stage("encode")
        result = self._reconstruct(prepared.crop, on_progress)
        outputs = pipeline.build_outputs(
            list(target.files),
            result,
            target_faces=self._options.target_faces,
            texture_size=self._options.texture_size,
            compression=self._options.compression,
            extras=pipeline.provenance(self._card, self._params),
            on_stage=on_stage,
        )
        for output in outputs:
            write_whole(target.files[output.name], output.data)
        on_progress(100.0, "done")
        seconds = time.perf_counter() - start
        return [_line(target.files[out.name], out, seconds, self._params) for out in outputs]

    def _reconstruct(self, crop: "object", on_progress: OnProgress) -> "Result":
        import torch

        from models.contract import PreparedImages
        from service.worker import pipeline
        from service.worker.engine import Engine, EngineJob

        listener = _Listener(
            lambda step, steps: on_progress(
                pipeline.percent("reconstruct", step, steps), "reconstruct"
            )
        )
        engine = Engine({self._card.id: self._model}, listener, max_batch=1)
        images = PreparedImages(torch.as_tensor(crop)[None])
        params = pipeline.sampling(self._card, self._params)
        engine.add(EngineJob("generate", self._card.id, images, params))
        while engine.step():
            pass
        return listener.outcome()


class _Listener:
    """An `EngineListener` for one job."""

    def __init__(self, on_step: Callable[[int, int], None]) -> None:
        self._on_step = on_step
        self._result: Result | None = None
        self._error: Exception | None = None

    def outcome(self) -> "Result":
        if self._result is None:
            raise self._error or ModelError("the model gave no result")
        return self._result

    def progressed(self, job: "EngineJob", step: int, steps: int, look: "Look") -> None:
        self._on_step(step, steps)

    def finished(self, job: "EngineJob", result: "Result") -> None:
        self._result = result

    def failed(self, job: "EngineJob", error: Exception) -> None:
        self._error = error

    def dropped(self, job: "EngineJob") -> None:
        """Never asked for."""


def write_whole(path: Path, data: bytes) -> None:
    """All or nothing: an interrupted run leaves no half a file under the final name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _line(path: Path, output: "Output", seconds: float, params: dict[str, ParameterValue]) -> str:
    counts: Sequence[tuple[int | None, str]] = (
        (output.points, "points"),
        (output.vertices, "vertices"),
        (output.faces, "faces"),
    )
    parts = [f"{count:,} {what}" for count, what in counts if count is not None]
    parts += [f"{len(output.data) / 1000:,.0f} kB", f"{seconds:.1f} s", f"seed {params['seed']}"]
    return f"{path}: {', '.join(parts)}"
