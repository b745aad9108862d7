"""Write the averaged weights of a run in the served form: `python -m training.export RUN OUT`.

Prints the lines that pin the files in `models/catalog.py`.
"""

import argparse
import hashlib
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

MAX_BYTES = 16_000_000  # of a file in the repository


def export(checkpoint: Path, out: Path, max_bytes: int = MAX_BYTES, prefix: str = "") -> list[Path]:
    """fp16 safetensors of the checkpoint's average, `prefix` before each tensor's name; counters
    stay integers.

    Where one file would be larger than `max_bytes`, OUT.safetensors becomes OUT-1.safetensors,
    OUT-2.safetensors and so on; a single tensor is never divided.

    Returns:
        The files, in order.
    """
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    tensors = {
        prefix + name: (t.half() if t.is_floating_point() else t).contiguous()
        for name, t in state["average"].items()
    }
    pieces = list(_pieces(tensors, max_bytes))
    paths = [out] if len(pieces) == 1 else [_numbered(out, k + 1) for k in range(len(pieces))]
    for piece, path in zip(pieces, paths, strict=True):
        save_file(piece, path, metadata={"format": "pt", "samples": str(state["samples"])})
    return paths


def _pieces(tensors: dict[str, Tensor], max_bytes: int) -> Iterator[dict[str, Tensor]]:
    room = max_bytes - 200 * len(tensors)  # for the header
    piece: dict[str, Tensor] = {}
    used = 0
    for name, tensor in tensors.items():
        if piece and used + tensor.nbytes > room:
            yield piece
            piece, used = {}, 0
        piece[name] = tensor
        used += tensor.nbytes
    yield piece


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.stem}-{number}{path.suffix}")


def pin(path: Path) -> str:
    """The line of the catalogue for a weight file."""
    data = path.read_bytes()
    name = f"{path.parent.name}/{path.name}"
    return f'WeightFile("{name}", "{hashlib.sha256(data).hexdigest()}", {len(data)}),'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a training run")
    parser.add_argument("out", type=Path, help="safetensors file to write")
    parser.add_argument("--prefix", default="", help="of the tensors' names")
    args = parser.parse_args()
    for path in export(args.run / "checkpoint.pt", args.out, prefix=args.prefix):
        print(pin(path))


if __name__ == "__main__":
    main()
