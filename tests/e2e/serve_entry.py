"""`bozzetto serve` as it is, but with the scripted model in its worker: its options, then
`python -m tests.e2e.serve_entry`."""

import sys
from pathlib import Path

from service.cli import build_parser
from service.commands import complain, say, settings_from
from service.serve import CANNOT_START, StartError, serve

COMMAND = (sys.executable, "-m", "tests.e2e.worker_entry", "--tied")
ROOT = Path(__file__).parents[2]


def main() -> int:
    arguments = build_parser().parse_args(["serve", *sys.argv[1:]])
    settings = settings_from(arguments.host, arguments.port, arguments.data_dir)
    try:
        return serve(settings, say, worker_command=COMMAND)
    except StartError as error:
        complain(error, error.hint)
        return CANNOT_START


if __name__ == "__main__":
    sys.exit(main())
