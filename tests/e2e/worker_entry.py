"""A worker process with the scripted model: `python -m tests.e2e.worker_entry [--tied]`.

GATE_DIR: jobs with seed GATE_SEED wait there (see `hold_at_gate`), those with LATER_SEED once they
    have made their first step, others pass.
GATE_STEPS: evaluations of a job; more than a few need the gate.

A second model, OTHER, is in its catalogue.
"""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from models.catalog import CATALOG, DRAFT
from service.settings import get_settings
from service.worker.main import run_worker
from tests.fakes_model import FakeModel, FakeState, hold_at_gate

GATE_SEED, LATER_SEED = 777, 778
OTHER = replace(DRAFT, id="other")


def only_gated(
    hold: Callable[[Sequence[FakeState]], None],
) -> Callable[[Sequence[FakeState]], None]:
    def before(states: Sequence[FakeState]) -> None:
        seeds = {state.params.seed for state in states}
        later = {state.params.seed for state in states if state.step}
        if GATE_SEED in seeds or LATER_SEED in later:
            hold(states)

    return before


def main() -> None:
    settings = get_settings()
    if settings.redis.url is None:
        sys.exit("BOZZETTO_REDIS__URL is not set")
    CATALOG[OTHER.id] = OTHER
    model = FakeModel(previews=True, steps=int(os.environ.get("GATE_STEPS", "1")))
    if "GATE_DIR" in os.environ:
        model.before_step = only_gated(hold_at_gate(Path(os.environ["GATE_DIR"])))
    code = run_worker(
        settings,
        settings.redis.url.get_secret_value(),
        load_model=lambda card, device: model,
        warm=False,
        tied="--tied" in sys.argv,
    )
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
