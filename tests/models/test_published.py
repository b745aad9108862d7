"""What the table of published systems says of them is what they do."""

from dataclasses import replace

import pytest
import torch

from benchmarks.untrained import PUBLISHED, untrained
from models.card import WeightFile
from models.diffusion.staged import PointDiffusion
from models.errors import WeightsError
from models.local_catalog import card_of
from models.published import SYSTEMS
from models.registry import build
from training.predictors import sampling_params

CPU = torch.device("cpu")
BY_SYSTEM = {card.family: card for card in PUBLISHED.values() if card.family in SYSTEMS}


# The others' networks take long to draw at random; theirs differ in the stages alone.
@pytest.mark.parametrize("name", ["dit3d", "gecco", "dpm"])
def test_a_default_job_takes_the_evaluations_that_are_said(name):
    card = BY_SYSTEM[name]
    model: object = build(card, untrained(card), CPU)
    assert isinstance(model, PointDiffusion)
    given = model.system.encode(torch.rand(1, 4, card.image_size, card.image_size))
    params = replace(sampling_params(card, {}), num_points=256)
    assert model.start(given, params, torch.Generator()).steps == SYSTEMS[name].steps


@pytest.mark.parametrize("name", SYSTEMS)
def test_evaluations_follow_from_the_sampler(name):
    params = sampling_params(BY_SYSTEM[name], {})
    each = 2 * params.steps - 1 if params.sampler == "heun" else params.steps
    others = {"pointe": each, "dpm": 1}
    assert SYSTEMS[name].steps == each + others.get(name, 0)


def test_only_systems_with_an_empty_condition_are_guided():
    guided = {
        s.name for s in SYSTEMS.values() if "guidance_scale" in {p.name for p in s.parameters}
    }
    assert guided == {"dit3d", "pointe"}


@pytest.mark.parametrize(
    ("system", "network"),
    [
        ("dpm", '{"latent": -3}'),
        ("dpm", '{"latent": "a"}'),
        ("dpm", f'{{"latent": {10**12}}}'),
        ("dpm", "[" * 100_000),
        ("gecco", '{"heads": 0}'),
        ("gecco", '{"widths": 5}'),
        ("pc2", '{"vit": {"width": -1}}'),
        ("pc2", "null"),
        ("dit3d", '{"hidden": 0}'),
        ("pointe", "upsample"),
    ],
)
def test_a_network_that_cannot_be_is_refused_by_type(system, network, tmp_path):
    weights = (WeightFile("weights.safetensors", "0" * 64, 1),)
    card = card_of("hostile", system, network, weights, tmp_path)
    with pytest.raises(WeightsError):
        build(card, {}, CPU)
