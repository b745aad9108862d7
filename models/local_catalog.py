"""Models that were converted on this machine: `DATA_DIR/models/ID/card.json` to the catalogue.

A card.json says which system, network and weights; all else comes from `models.published`, so that
no file can talk a restriction away. Standard library only, as the catalogue is.
"""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from models.card import ModelCard, Parameter, WeightFile
from models.catalog import CATALOG
from models.errors import CardError
from models.published import SYSTEMS

CARD = "card.json"
MODEL_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
MAX_CARD_BYTES = 1_000_000
MAX_CLASSES = 100_000
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def models_folder(data_dir: Path) -> Path:
    return data_dir / "models"


def add_local(data_dir: Path) -> list[CardError]:
    """Put the cards of `data_dir` into the catalogue of this process; once, at its start.

    Returns what is wrong with those that are left out.
    """
    problems = []
    try:
        paths = sorted(models_folder(data_dir).glob(f"*/{CARD}"))
    except OSError as error:
        return [CardError(f"{models_folder(data_dir)}: {error.strerror}")]
    for path in paths:
        try:
            if not path.parent.name.startswith("."):  # a conversion that was interrupted
                card = read_card(path)
                CATALOG[card.id] = card
        except CardError as error:
            problems.append(error)
    return problems


def read_card(path: Path) -> ModelCard:
    """Raises CardError, which names the file."""
    try:
        if not path.is_file():
            raise CardError(f"{path}: no file")
        if path.stat().st_size > MAX_CARD_BYTES:
            raise CardError(f"{path}: larger than {MAX_CARD_BYTES} bytes")
        raw = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise CardError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise CardError(f"{path}: no JSON: {error}") from None
    try:
        model_id, system, network = (_text(raw, name) for name in ("id", "system", "network"))
        if model_id != path.parent.name:
            raise ValueError(f"its id {model_id[:80]!r} is not its folder's name")
        weights = tuple(map(_weight_file, raw["weights"]))
        return card_of(model_id, system, network, weights, path.parent)
    except (KeyError, TypeError, ValueError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else error
        raise CardError(f"{path}: {reason}") from None


def card_of(
    model_id: str, system: str, network: str, weights: tuple[WeightFile, ...], folder: Path
) -> ModelCard:
    """The card of a converted checkpoint.

    Raises:
        ValueError: the id is none or taken, there is no such system, or classes are no number.
    """
    check_id(model_id)
    entry = SYSTEMS.get(system)
    # The system's own small model, whose loader the published ones share.
    sibling = CATALOG.get(f"{system}-mini")
    if entry is None or sibling is None:
        raise ValueError(f"no system {system[:80]!r} in this version")
    if not weights:
        raise ValueError("it names no weights")
    return replace(
        sibling,
        id=model_id,
        title=f"{entry.title}, published checkpoint {model_id}",
        description=entry.description,
        licence=entry.licence,
        parameters=tuple(_bounded(item, network) for item in entry.parameters),
        points=entry.points,
        resampled=entry.resampled,
        steps=entry.steps,
        image_size=entry.image_size,
        memory_bytes=entry.memory_bytes,
        measured_seconds={},
        weights=weights,
        sources=entry.sources,
        network=network,
        accept=entry.accept,
        folder=str(folder.absolute()),
        unfit=_unfit(system, network),
    )


def _bounded(parameter: Parameter, network: str) -> Parameter:
    """Labels end where the network's classes do; one that goes by a name has a single class."""
    if parameter.name != "label":
        return parameter
    classes = _sizes(network).get("classes", 1)
    if type(classes) is not int or not 1 <= classes <= MAX_CLASSES:
        raise ValueError(f"classes must be 1 to {MAX_CLASSES}, got {str(classes)[:80]}")
    return replace(parameter, maximum=classes - 1)


def _unfit(system: str, network: str) -> str:
    if system == "dpm" and "autoencoder" in (network, _sizes(network).get("kind")):
        return "an auto-encoder takes a cloud of points, not a picture"
    return ""


def _sizes(network: str) -> dict[str, Any]:
    """What JSON spells out; of a name nothing."""
    try:
        sizes = json.loads(network)
    except (ValueError, RecursionError):
        return {}
    return sizes if isinstance(sizes, dict) else {}


def check_id(model_id: str) -> None:
    """Raises ValueError."""
    if not MODEL_ID.fullmatch(model_id):
        raise ValueError(f"{model_id[:80]!r} is no id: small letters, digits and hyphens are")
    if model_id in CATALOG and not CATALOG[model_id].folder:
        raise ValueError(f"{model_id} is the id of a model that ships with the package")


def _text(raw: dict[str, Any], name: str) -> str:
    value = raw[name]
    if not isinstance(value, str):
        raise TypeError(f"{name} is no text")
    return value


def _weight_file(raw: dict[str, Any]) -> WeightFile:
    name, sha256, size = _text(raw, "name"), _text(raw, "sha256"), raw["bytes"]
    if not _FILE_NAME.fullmatch(name) or not _SHA256.fullmatch(sha256) or type(size) is not int:
        raise ValueError("a weight file has no proper name, sha256 or bytes")
    return WeightFile(name, sha256, size)
