"""Rendered buildings on disk: `python -m training.buildings.write --count 4000 --out DIR`.

The form is that of `training.samples`, for `samples = "DIR"` in a configuration.
"""

import argparse
from pathlib import Path

from training.buildings.stream import BuildingStream
from training.samples import write_samples

TRAINING_SEED = 0  # the held-out buildings have another: `training.buildings.evaluate`
_BATCH = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--points", type=int, default=4096)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--seed", type=int, default=TRAINING_SEED)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=1)
    args = parser.parse_args()
    stream = BuildingStream(args.seed, _BATCH, args.size, args.size // 2, args.points)
    write_samples(stream, args.out, args.count, args.workers)


if __name__ == "__main__":
    main()
