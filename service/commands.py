"""What each command does: settings, the call, and every foreseen error as one line and a code."""

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from pydantic import ValidationError
from pydantic_settings import SettingsError

from models.errors import (
    LicenceError,
    ModelError,
    NoForegroundError,
    ParameterError,
    UnknownModelError,
)
from models.local_catalog import add_local
from service.settings import Settings, UnknownSettingError, get_settings

DONE, FAILED, BAD_INPUT, CANNOT_START = 0, 1, 2, 3
LICENCE_HINT = "Once you have read and accept it, name it in BOZZETTO_MODELS__ACCEPTED_LICENCES."


class CommandError(Exception):
    """Ends the command: one line, perhaps a hint, and an exit code."""

    def __init__(self, code: int, detail: str, hint: str | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.hint = hint


def complain(detail: object, hint: str | None = None) -> None:
    sys.stderr.write(f"bozzetto: {detail}\n" + (f"  {hint}\n" if hint else ""))


def say(line: str) -> None:
    """To nobody where whoever read the lines has gone, as `head` does: the command goes on."""
    try:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # What is still in the buffer would fail once more at the end of the interpreter.
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())


def serve(host: str | None, port: int | None, data_dir: Path | None) -> int:
    try:
        settings = settings_from(host, port, data_dir)
        add_local_models(settings)
    except CommandError as error:
        complain(error, error.hint)
        return CANNOT_START
    # Only now: the form's fields are described by the catalogue.
    from service.serve import StartError, serve

    try:
        return serve(settings, say)
    except StartError as error:
        complain(error, error.hint)
    return CANNOT_START


def gateway(host: str | None, port: int | None, data_dir: Path | None) -> int:
    try:
        settings = settings_from(host, port, data_dir)
        add_local_models(settings)
    except CommandError as error:
        complain(error, error.hint)
        return CANNOT_START
    from service.serve import StartError, run_gateway

    try:
        return run_gateway(settings, say)
    except StartError as error:
        complain(error, error.hint)
    return CANNOT_START


def worker(data_dir: Path | None, *, tied: bool) -> int:
    """Does not return: threads that are still computing must not hold up the end."""
    try:
        settings = settings_from(None, None, data_dir)
        if settings.redis.url is None:
            raise CommandError(
                CANNOT_START,
                "a worker alone needs a queue server",
                "Set BOZZETTO_REDIS__URL, or run all in one with `bozzetto serve`.",
            )
        # Only now: it loads torch.
        from service.worker.main import run_worker

        code = run_worker(settings, settings.redis.url.get_secret_value(), tied=tied)
    except CommandError as error:
        complain(error, error.hint)
        code = error.code
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def generate(arguments: argparse.Namespace) -> int:
    """One file or more for each picture; goes on with the next where one fails."""
    from service.generate import BadRequest, Generator, Options, plan

    options = Options(
        images=tuple(arguments.images),
        out=arguments.out,
        model=arguments.model,
        num_points=arguments.num_points,
        seed=arguments.seed,
        steps=arguments.steps,
        sampler=arguments.sampler,
        guidance_scale=arguments.guidance_scale,
        candidates=arguments.candidates,
        label=arguments.label,
        camera=arguments.camera,
        kind=arguments.kind,
        remove_background=arguments.remove_background,
        target_faces=arguments.target_faces,
        texture_size=arguments.texture_size,
        compression=arguments.compression,
        preview=arguments.preview,
    )
    try:
        targets = plan(options)
        settings = settings_from(None, None, None)
        add_local_models(settings)
        generator = Generator(options, settings)
    except LicenceError as error:
        complain(error, LICENCE_HINT)
        return CANNOT_START
    except (BadRequest, ParameterError, UnknownModelError) as error:
        complain(error)
        return BAD_INPUT
    except ModelError as error:
        complain(error, "See `bozzetto models verify`.")
        return CANNOT_START
    except CommandError as error:
        complain(error, error.hint)
        return error.code
    code = DONE
    for target in targets:
        try:
            with _progress_bar(target.image.name) as on_progress:
                lines = generator.run(target, on_progress)
        except CommandError as error:
            complain(f"{target.image}: {error}", error.hint)
            code = max(code, error.code)
        else:
            for line in lines:
                say(line)
    return code


@contextlib.contextmanager
def _progress_bar(title: str) -> Iterator[Callable[[float, str], None]]:
    """On standard error, and only where someone watches. Raises CommandError for what goes wrong
    with one picture."""
    from tqdm import tqdm

    layout = "{desc} {bar:24} {percentage:3.0f}% {postfix}"
    with tqdm(total=100.0, desc=title, bar_format=layout, leave=False, disable=None) as bar:

        def on_progress(percent: float, stage: str) -> None:
            bar.set_postfix_str(stage, refresh=False)
            bar.update(percent - bar.n)

        with _told():
            yield on_progress


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Foreseen errors of one picture to CommandError."""
    from geometry.errors import GeometryError
    from service.worker.engine import EngineError

    try:
        yield
    except NoForegroundError as error:
        detail, _, hint = str(error).partition("; ")
        raise CommandError(BAD_INPUT, detail, f"Hint: {hint}.") from error
    except ModelError as error:
        raise CommandError(BAD_INPUT, str(error)) from error
    except GeometryError as error:
        hint = "Try --points, or another picture."
        raise CommandError(FAILED, f"no surface could be built: {error}", hint) from error
    except EngineError as error:
        raise CommandError(FAILED, str(error)) from error
    except OSError as error:
        raise CommandError(BAD_INPUT, f"{error.filename or ''}: {error.strerror}") from error


def add_local_models(settings: Settings) -> None:
    """Before anything looks into the catalogue. What is wrong with one is said and no more."""
    for problem in add_local(settings.data_dir):
        complain(f"left out: {problem}")


def settings_from(host: str | None, port: int | None, data_dir: Path | None) -> Settings:
    """The environment's settings, overridden by the command line.

    Raises:
        CommandError: a variable is misspelt, unreadable or out of bounds.
    """
    try:
        settings = get_settings()
    except UnknownSettingError as error:
        raise CommandError(CANNOT_START, str(error)) from error
    except SettingsError as error:
        hint = "The variable of a whole section is JSON; those of docs/settings.md are one each."
        raise CommandError(CANNOT_START, str(error), hint) from error
    except ValidationError as error:
        first = error.errors()[0]
        name = "BOZZETTO_" + "__".join(str(part).upper() for part in first["loc"])
        raise CommandError(CANNOT_START, f"{name}: {first['msg']}") from error
    listening = {"host": host, "port": port}
    given = {name: value for name, value in listening.items() if value is not None}
    changes: dict[str, object] = {"gateway": settings.gateway.model_copy(update=given)}
    if data_dir is not None:
        changes["data_dir"] = data_dir
    return settings.model_copy(update=changes)
