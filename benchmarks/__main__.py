"""`python -m benchmarks [pipeline] [serving]`: measure, print, write benchmarks/results/*.json.

`rendering` and `surface` need the training data, `parity` the golden outputs, so they, `systems`,
`training` and `kernels` run only when they are named.
`systems` measures the GPU where there is one; all others the CPU.
`kernels` measures the operators (`--ops` some of them) and writes the tables of docs/kernels.md.
"""

import argparse
import json
from pathlib import Path

from benchmarks import (
    formats,
    parity,
    pipeline,
    previews,
    rendering,
    serving,
    surface,
    systems,
    training,
    web,
)
from benchmarks.hardware import describe
from benchmarks.kernels import report, suite
from benchmarks.kernels.suite import operators

KERNELS_PAGE = Path(__file__).parents[1] / "docs" / "kernels.md"
RESULTS = Path(__file__).with_name("results")
SUITES = {
    "formats": formats.measure,
    "parity": parity.measure,
    "pipeline": pipeline.measure,
    "previews": previews.measure,
    "serving": serving.measure,
    "rendering": rendering.measure,
    "surface": surface.measure,
    "systems": systems.measure,
    "training": training.measure,
    "web": web.measure,
}
DEFAULT = ["pipeline", "serving"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suites", nargs="*", default=DEFAULT, metavar="SUITE")
    parser.add_argument("--ops", default=",".join(operators()), help="of kernels, by comma")
    args = parser.parse_args()
    for name in args.suites:
        if name == "kernels":
            suite.write(RESULTS, args.ops.split(","))
            KERNELS_PAGE.write_text(report.insert(KERNELS_PAGE.read_text(), RESULTS))
            continue
        if name not in SUITES:
            parser.error(f"unknown suite {name}; known: kernels, {', '.join(SUITES)}")
        figures = SUITES[name]()
        for key, value in figures.items():
            print(f"{name}  {key:40s} {value:.4g}")
        device, hardware = "cpu", describe()
        if name == "systems":
            device, hardware = systems.device().type, hardware | systems.hardware()
        measured = {"hardware": hardware, "figures": figures}
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name}-{device}.json").write_text(json.dumps(measured, indent=1) + "\n")


if __name__ == "__main__":
    main()
