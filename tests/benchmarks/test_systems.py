import math
import subprocess

import pytest
import torch

from benchmarks import systems
from benchmarks.systems import (
    ENCODER,
    EVALUATIONS,
    GAIN,
    GFLOP,
    PARAMETERS,
    PICTURE,
    SECONDS_1,
    SECONDS_8,
    measure_model,
)
from benchmarks.untrained import PUBLISHED, untrained
from models.catalog import CATALOG
from models.diffusion.staged import PointDiffusion
from models.registry import build

CPU = torch.device("cpu")
ALWAYS = {PARAMETERS, GFLOP, EVALUATIONS, SECONDS_1, SECONDS_8, GAIN, PICTURE}


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr("benchmarks.systems._BATCH", 2)
    # What is left out where it takes too long must not hang on how busy this machine is.
    monkeypatch.setattr("benchmarks.systems._LONGEST_EVALUATION", math.inf)
    monkeypatch.setattr("benchmarks.systems._LONGEST_JOB", math.inf)


@pytest.mark.parametrize("model", CATALOG)
def test_random_weights_fit(model):
    card = CATALOG[model]
    first, second = untrained(card), untrained(card)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert build(card, first, CPU).card is card


def test_every_published_system_is_there():
    families = {card.family for card in PUBLISHED.values()}
    # CCD-3DR has the network of PC²; nothing is known of the sizes of the coloured shapes.
    own = {"layered_depth", "point_diffusion", "ccd3dr", "colored_shape"}
    assert families == {card.family for card in CATALOG.values()} - own


def test_figures_of_a_model_of_one_pass():
    card = CATALOG["draft"]
    figures = measure_model(card, CPU, repeats=1)
    assert set(figures) == ALWAYS
    assert all(value > 0 for value in figures.values())
    assert figures[PARAMETERS] == pytest.approx(5.557, abs=0.01)
    assert (figures[EVALUATIONS], card.steps) == (1, 1)


def test_what_takes_long_is_not_repeated(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("benchmarks.systems.time.perf_counter", lambda: clock[0])

    def takes(seconds):
        def call():
            clock[0] += seconds
            return seconds

        return call

    assert systems._repeated(takes(0.5), 3) == [0.5] * 3
    assert systems._repeated(takes(5.0), 3) == [5.0] * 2
    assert systems._repeated(takes(60.0), 3) == [60.0]


def test_figures_of_a_model_of_several_stages(monkeypatch):
    monkeypatch.setattr("benchmarks.systems._job", lambda *_: None)
    card = CATALOG["buildiff-mini"]
    figures = measure_model(card, CPU, repeats=1)
    assert set(figures) >= ALWAYS - {PICTURE} | {ENCODER}
    assert figures[EVALUATIONS] == card.steps
    model: object = build(card, untrained(card), CPU)
    assert isinstance(model, PointDiffusion)
    assert len(model.system.stages) == 2


def test_the_memory_is_that_of_a_process_with_the_model(capfd):
    held = torch.ones(1 << 30, dtype=torch.uint8)  # by this one, which is not counted
    assert 100_000_000 < systems.peak_memory("draft") < len(held)
    with pytest.raises(subprocess.CalledProcessError):
        systems.peak_memory("no-such-model")
    assert "no-such-model" in capfd.readouterr().err
