"""`python -m benchmarks [pipeline] [serving]`: measure, print, write benchmarks/results/*.json.

`rendering` needs the training data, so it and `training` run only when they are named.
"""

import argparse
import json
from pathlib import Path

from benchmarks import pipeline, rendering, serving, training
from benchmarks.hardware import describe

RESULTS = Path(__file__).with_name("results")
SUITES = {
    "pipeline": pipeline.measure,
    "serving": serving.measure,
    "rendering": rendering.measure,
    "training": training.measure,
}
DEFAULT = ["pipeline", "serving"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suites", nargs="*", default=DEFAULT, metavar="SUITE")
    args = parser.parse_args()
    for name in args.suites:
        if name not in SUITES:
            parser.error(f"unknown suite {name}; known: {', '.join(SUITES)}")
        figures = SUITES[name]()
        for key, value in figures.items():
            print(f"{name}  {key:40s} {value:.4g}")
        report = {"hardware": describe(), "figures": figures}
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name}-cpu.json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
