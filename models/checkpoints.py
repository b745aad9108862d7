"""Weight files: safetensors only, and only the very bytes that the card pins."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from models.catalog import ModelCard, WeightFile
from models.errors import WeightsError

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = Path(__file__).with_name("weights")


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


def load_tensors(card: ModelCard, folder: Path = WEIGHTS) -> "dict[str, Tensor]":
    """The tensors of all files of `card`, on the CPU; half precision on disk becomes float32.

    Raises:
        WeightsError: as `read_verified`; or no safetensors file, or two files name one tensor, or
            the card has no files at all.
    """
    # The command line verifies weights without torch.
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load

    if not card.weights:
        raise WeightsError(f"{card.id}: no weights are published for this model yet")
    tensors: dict[str, Tensor] = {}
    for file in card.weights:
        try:
            piece: dict[str, Tensor] = load(read_verified(file, folder))
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
