"""`bozzetto models`: list, verify, pull, convert; every foreseen error as one line and a code."""

import argparse
import contextlib
import sys
import textwrap
from collections.abc import Collection
from pathlib import Path

from models.card import ModelCard
from models.catalog import CATALOG, get_card
from models.checkpoints import folder_of, read_verified, why_unready
from models.errors import (
    CheckpointError,
    DownloadError,
    LicenceError,
    UnknownModelError,
    WeightsError,
)
from models.published import PUBLISHED, SYSTEMS, Published
from models.pull import OnBytes, bundled, fetch, unpack
from service.commands import (
    BAD_INPUT,
    CANNOT_START,
    DONE,
    FAILED,
    CommandError,
    add_local_models,
    complain,
    say,
    settings_from,
)
from service.settings import Settings

DOWNLOADS = "downloads"


def models(arguments: argparse.Namespace) -> int:
    try:
        settings = settings_from(None, None, arguments.data_dir)
        add_local_models(settings)
        accepted = {*settings.models.accepted_licences, *getattr(arguments, "accept_licence", ())}
        match arguments.action:
            case "list":
                return _list(accepted)
            case "verify":
                return _verify_all(arguments.model)
            case "pull":
                return _pull(arguments, settings, accepted)
            case _:
                return _convert(arguments, settings, accepted)
    except CommandError as error:
        complain(error, error.hint)
        return error.code
    except UnknownModelError as error:
        complain(_line(error))
        return BAD_INPUT
    except LicenceError as error:
        complain(_line(error), f"Once you have read and accept that: --accept-licence {error.name}")
        return BAD_INPUT
    except DownloadError as error:
        hint = "What came is kept: the same command goes on." if error.partial else None
        complain(_line(error), hint)
        return FAILED
    except (CheckpointError, WeightsError) as error:
        complain(_line(error))
        return BAD_INPUT
    except OSError as error:
        complain(_line(f"{error.filename or arguments.data_dir or ''}: {error.strerror}"))
        return FAILED


def _line(error: object) -> str:
    """Fit for a terminal, whatever a file or a server has put into it."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(error))[:2_000]


def _list(accepted: Collection[str]) -> int:
    for card in CATALOG.values():
        say(_describe(card, why_unready(card, accepted)))
    return DONE


def _describe(card: ModelCard, unready: str | None) -> str:
    size = sum(file.bytes for file in card.weights) / 1e6
    weights = f"weights {size:.1f} MB, {card.licence.weights}" if card.weights else "no weights"
    if unready is not None and card.weights:
        weights += f"; not ready: {unready}"
    return f"{card.id:14} {card.task:18} {weights:32} {card.description}"


def _verify_all(ids: list[str]) -> int:
    """Raises UnknownModelError."""
    codes = []
    for card in [get_card(model) for model in ids] or CATALOG.values():
        if card.weights:
            codes.append(_verify(card))
        elif ids:
            complain(f"{card.id}: {card.refusal(())}")
            codes.append(CANNOT_START)
        else:
            say(f"{card.id}: {card.refusal(())}")
    return max(codes, default=DONE)


def _verify(card: ModelCard) -> int:
    try:
        for file in card.weights:
            read_verified(file, folder_of(card))
            say(f"{card.id}: {file.name} is as pinned, sha256 {file.sha256}")
    except WeightsError as error:
        again = "Convert it again." if card.folder else "Install the package again."
        complain(f"{card.id}: {error}", again)
        return CANNOT_START
    return DONE


def _pull(arguments: argparse.Namespace, settings: Settings, accepted: Collection[str]) -> int:
    if not arguments.model:
        for item in PUBLISHED.values():
            say(_describe_published(item))
        return DONE
    for model in arguments.model:
        if model in PUBLISHED:
            _pull_one(PUBLISHED[model], arguments.member, settings, accepted)
            continue
        card = get_card(model)
        come = "it was converted here" if card.folder else "its weights ship with the package"
        say(f"{card.id}: nothing to pull, {come}")
    return DONE


def _describe_published(item: Published) -> str:
    system = SYSTEMS[item.system]
    where = "" if item.files else f"; no direct address, see {item.page}"
    restricted = f", restricted: {system.accept}" if system.accept else ""
    return f"{item.id:22} {item.title} ({system.licence.weights}{restricted}){where}"


def _pull_one(
    item: Published, member: str | None, settings: Settings, accepted: Collection[str]
) -> None:
    """Licence, download, conversion."""
    from models.conversion import check_licence, sha256_of

    system = SYSTEMS[item.system]
    say(f"{item.id}: {item.title}")
    say(f"  licence of the code: {system.licence.code}; of the weights: {system.licence.weights}")
    check_licence(system, accepted)
    if not item.files:
        raise CheckpointError(
            f"{item.id}: its authors give no address that can be fetched without a browser: take "
            f"it from {item.page}, then: bozzetto models convert {item.system} FILE"
        )
    folder = settings.data_dir / DOWNLOADS
    paths = []
    for remote in item.files:
        path = fetch(remote, folder, _told(remote.url))
        say(f"  {path}: {path.stat().st_size} bytes, sha256 {sha256_of(path)}")
        paths.append(path)
    for path in paths:
        if (inside := bundled(path)) and member is None:
            raise CheckpointError(
                f"{path}: holds {len(inside)} checkpoints; name one with --member: "
                + ", ".join(inside[:20])
            )
    try:
        _converted(item.system, paths, member, item.id, settings, accepted, item.files[0].url)
    except CheckpointError as error:
        # What has no pinned hash is taken for whole, and would be for ever.
        hint = f"If it came damaged, remove it from {folder} and pull again."
        raise CommandError(BAD_INPUT, _line(error), hint) from None


def _told(url: str) -> OnBytes:
    """On standard error, and only where someone watches."""
    watched = sys.stderr.isatty()

    def on_bytes(done: int, total: int | None) -> None:
        if watched:
            whole = f" of {total / 1e6:.0f}" if total else ""
            sys.stderr.write(f"\r  {url.rsplit('/', 1)[-1]}: {done / 1e6:.0f}{whole} MB ")

    return on_bytes


def _convert(arguments: argparse.Namespace, settings: Settings, accepted: Collection[str]) -> int:
    _converted(
        arguments.system,
        arguments.checkpoint,
        arguments.member,
        arguments.model_id,
        settings,
        accepted,
        "",
    )
    return DONE


def _converted(
    system: str,
    paths: list[Path],
    member: str | None,
    model_id: str | None,
    settings: Settings,
    accepted: Collection[str],
    origin: str,
) -> None:
    """Raises ModelError, OSError."""
    from models.conversion import convert, scratch

    with contextlib.ExitStack() as stack:
        if member is not None:
            folder = stack.enter_context(scratch(settings.data_dir))
            paths = [unpack(paths[0], member, folder), *paths[1:]]
        card = convert(
            system,
            paths,
            settings.data_dir,
            model_id=model_id,
            accepted=accepted,
            origin=origin,
        )
    file = card.weights[0]
    network = textwrap.shorten(card.network, 60, placeholder=" ...")
    say(f"{card.id}: {card.title}, network {network}, in {card.folder}")
    say(f"  {file.name}: {file.bytes} bytes, sha256 {file.sha256}")
    say(f"  licence of the weights: {card.licence.weights}; outputs: {card.licence.outputs}")
    if card.accept and card.accept not in settings.models.accepted_licences:
        say(f"  To serve it, name {card.accept} in BOZZETTO_MODELS__ACCEPTED_LICENCES.")
    if card.unfit:
        say(f"  It takes no jobs: {card.unfit}.")
        return
    say("  A server that runs shows it after a restart.")
