"""A job's parameters as its model sees them, and how far along each stage is."""

from dataclasses import replace
from itertools import pairwise

import pytest

from models.catalog import DRAFT, PARAMETERS
from models.contract import SamplingParams
from service.worker.pipeline import STAGES, percent, sampling


def test_a_model_that_samples_gets_all_that_was_asked_for():
    card = replace(DRAFT, parameters=PARAMETERS)
    params = card.resolve(
        {"seed": 5, "steps": 8, "sampler": "heun", "guidance_scale": 2.0, "candidates": 4}
    )

    assert sampling(card, params) == SamplingParams(4096, 8, 5, "heun", 2.0, 4)


def test_a_model_of_one_step_gets_its_own_steps():
    params = sampling(DRAFT, DRAFT.resolve({"seed": 5}))

    assert (params.steps, params.guidance_scale, params.candidates) == (1, 1.0, 1)


@pytest.mark.parametrize("steps", [1, 16, 31, 127])
def test_the_percentage_moves_with_every_step(steps):
    told = [percent("reconstruct", step, steps) for step in range(steps + 1)]

    assert (told[0], told[-1]) == (STAGES["reconstruct"], STAGES["surface"])
    assert all(before < after for before, after in pairwise(told))
