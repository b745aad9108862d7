"""Write the averaged weights of a run in the served form: `python -m training.export RUN OUT`.

Prints the line that pins the file in `models/catalog.py`.
"""

import argparse
import hashlib
from pathlib import Path

import torch
from safetensors.torch import save_file


def export(checkpoint: Path, out: Path) -> str:
    """fp16 safetensors of the checkpoint's average; returns the file's sha256."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    tensors = {name: t.to(torch.float16).contiguous() for name, t in state["average"].items()}
    save_file(tensors, out, metadata={"format": "pt", "samples": str(state["samples"])})
    return hashlib.sha256(out.read_bytes()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a training run")
    parser.add_argument("out", type=Path, help="safetensors file to write")
    args = parser.parse_args()
    digest = export(args.run / "checkpoint.pt", args.out)
    print(f'WeightFile("{args.out.name}", "{digest}", {args.out.stat().st_size})')


if __name__ == "__main__":
    main()
