"""Weight files: safetensors only, and only the very bytes that the card pins."""

import hashlib
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from models.catalog import ModelCard, WeightFile
from models.errors import WeightsError

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = Path(__file__).with_name("weights")


def folder_of(card: ModelCard) -> Path:
    """Where the card's weights are: with the package, or where a conversion has put them."""
    return Path(card.folder) if card.folder else WEIGHTS


def why_unready(card: ModelCard, accepted: Collection[str]) -> str | None:
    """Why it cannot be loaded here, as far as that shows without reading its weights; or None."""
    if (refusal := card.refusal(accepted)) is not None:
        return refusal
    for file in card.weights:
        path = folder_of(card) / file.name
        if not path.is_file() or path.stat().st_size != file.bytes:
            return f"{file.name} is missing or not the pinned file"
    return None


def read_verified(file: WeightFile, folder: Path = WEIGHTS) -> bytes:
    """The bytes of `file`.

    Raises:
        WeightsError: it is missing, truncated or altered; says what was expected and what is there.
    """
    path = folder / file.name
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(
            f"{file.name}: expected {file.bytes} bytes in {folder}, got none ({error.strerror})"
        ) from error
    if len(data) != file.bytes:
        raise WeightsError(f"{file.name}: expected {file.bytes} bytes, got {len(data)}")
    digest = hashlib.sha256(data).hexdigest()
    if digest != file.sha256:
        raise WeightsError(f"{file.name}: expected sha256 {file.sha256}, got {digest}")
    return data


def load_tensors(card: ModelCard, folder: Path | None = None) -> "dict[str, Tensor]":
    """The tensors of all files of `card`, on the CPU; half precision on disk becomes float32.

    `folder` is the card's own unless given.

    Raises:
        WeightsError: as `read_verified`; or no safetensors file, or two files name one tensor, or
            the card has no files at all.
    """
    # The command line verifies weights without torch.
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load

    if not card.weights:
        raise WeightsError(f"{card.id}: {card.refusal(())}")
    tensors: dict[str, Tensor] = {}
    for file in card.weights:
        try:
            piece: dict[str, Tensor] = load(read_verified(file, folder or folder_of(card)))
        except SafetensorError as error:
            raise WeightsError(f"{file.name}: is no safetensors file: {error}") from error
        twice = tensors.keys() & piece.keys()
        if twice:
            raise WeightsError(f"{file.name}: {min(twice)!r} is in an earlier file too")
        tensors |= piece
    half = (torch.float16, torch.bfloat16)
    return {
        name: value.float() if value.dtype in half else value for name, value in tensors.items()
    }
