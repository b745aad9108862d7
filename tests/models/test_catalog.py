"""The table of models against itself, and what its parameters let through."""

from dataclasses import replace

import pytest
import torch

from models.catalog import (
    CATALOG,
    DEFAULT_MODEL,
    DRAFT,
    LABEL,
    OUTPUTS,
    PARAMETERS,
    SAMPLERS,
    STEPS,
    get_card,
)
from models.errors import ParameterError, UnknownModelError
from models.samplers import start

SAMPLES = replace(DRAFT, id="samples", parameters=(*PARAMETERS,))


@pytest.mark.parametrize("card", CATALOG.values(), ids=list(CATALOG))
def test_a_card_agrees_with_itself_and_with_the_others(card):
    assert CATALOG[card.id] is card
    names = [item.name for item in card.parameters]
    assert len(set(names)) == len(names)
    assert {"num_points", "seed"} <= set(names) <= {item.name for item in PARAMETERS}
    assert set(card.default_outputs) <= set(card.outputs) <= set(OUTPUTS)
    resolved = card.resolve({})
    assert card.resolve(resolved) == resolved


def test_the_default_is_in_the_catalogue():
    assert get_card(DEFAULT_MODEL).id == DEFAULT_MODEL
    with pytest.raises(UnknownModelError, match=DEFAULT_MODEL):
        get_card("nope")


def test_form_text_becomes_values_of_the_parameters_own_types():
    asked = {"steps": "8", "sampler": "heun", "guidance_scale": "2.5", "candidates": "4"}
    resolved = SAMPLES.resolve({**asked, "seed": 3})
    assert resolved == {
        "num_points": 4096,
        "seed": 3,
        "steps": 8,
        "sampler": "heun",
        "guidance_scale": 2.5,
        "candidates": 4,
        "label": 0,
        "camera": "auto",
    }


def test_a_camera_is_text_that_its_reader_takes():
    text = '{"elevation": 20, "distance": 2.5}'
    assert SAMPLES.resolve({"camera": text})["camera"] == text


def test_steps_may_go_further_where_a_card_says_so():
    card = replace(SAMPLES, parameters=(replace(STEPS, maximum=1000),))
    assert card.resolve({"steps": "1000"}) == {"steps": 1000}


def test_a_restricted_card_is_refused_until_its_licence_is_accepted():
    card = replace(DRAFT, accept="theirs")
    assert "theirs" in (card.refusal(["other"]) or "")
    assert card.refusal(["other", "theirs"]) is None
    assert DRAFT.refusal([]) is None
    assert "no weights" in (replace(card, weights=()).refusal(["theirs"]) or "")


def test_one_that_takes_no_pictures_is_refused():
    assert replace(DRAFT, unfit="takes clouds").refusal([]) == "takes clouds"


def test_bounds_that_leave_one_value_are_said_as_one():
    with pytest.raises(ParameterError, match=r"label: must be 0, got 3$"):
        replace(LABEL, maximum=0).check(3)


def test_the_samplers_that_evaluate_more_often_than_there_are_steps_are_named():
    sigmas = [8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0]
    ways = {name: start(name, sigmas, (1, 3), torch.Generator()) for name in SAMPLERS}
    many = {name for name, way in ways.items() if way.evaluations > way.steps}
    assert many == {name for name in SAMPLERS if name in STEPS.description}


def test_a_card_may_have_its_own_default():
    card = replace(SAMPLES, parameters=(replace(STEPS, default=4),))
    assert card.resolve({}) == {"steps": 4}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 0),
        ("steps", 65),
        ("steps", "8.5"),
        ("steps", "many"),
        ("sampler", "Euler"),
        ("sampler", ""),
        ("guidance_scale", "-0.1"),
        ("guidance_scale", "10.1"),
        ("guidance_scale", "nan"),
        ("candidates", 0),
        ("candidates", 9),
        ("label", -1),
        ("label", 55),
        ("label", "chair"),
        ("camera", "nearby"),
        ("camera", "{}"),
        ("camera", '{"elevation": NaN, "distance": 2}'),
    ],
)
def test_what_is_out_of_bounds_is_refused_by_name(name, value):
    with pytest.raises(ParameterError) as error:
        SAMPLES.resolve({name: value})
    assert error.value.field == name


@pytest.mark.parametrize("name", [item.name for item in PARAMETERS[2:]])
def test_draft_samples_nothing(name):
    with pytest.raises(ParameterError, match="no such parameter"):
        DRAFT.resolve({name: 1})
