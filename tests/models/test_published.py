"""What the table of published systems says of them is what they do."""

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest
import torch

from benchmarks.untrained import PUBLISHED, untrained
from models.card import WeightFile
from models.diffusion import pc2, pointe
from models.diffusion.pointe_network import Channels, PointTransformer
from models.diffusion.staged import PointDiffusion, Stage
from models.errors import WeightsError
from models.local_catalog import card_of
from models.published import SYSTEMS
from models.registry import build
from training.predictors import sampling_params

CPU = torch.device("cpu")
WEIGHTS = (WeightFile("weights.safetensors", "0" * 64, 1),)
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


def last_stage(name) -> Stage:
    """Of the large networks without one, which sizes do not depend on."""
    card = BY_SYSTEM[name]
    if name == "pc2":
        net = SimpleNamespace(config=pc2.config_of(card.network), noise=None)
        return pc2.ProjectedStage(cast(pc2.Pc2Net, net))
    if name == "pointe":
        net, base = (SimpleNamespace() for _ in range(2))
        config = pointe.NETWORKS[card.network]
        return pointe.UpsamplerStage(config, cast(PointTransformer, net), cast(Channels, base))
    model: object = build(card, untrained(card), CPU)
    assert isinstance(model, PointDiffusion)
    return model.system.stages[-1]


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_card_says_whether_points_are_resampled(name, tmp_path):
    last = last_stage(name)
    own = all(last.size(number) == number for number in (256, 4096, 16_384))
    card = card_of("mine", name, BY_SYSTEM[name].network, WEIGHTS, tmp_path)
    assert card.resampled == (not own)
    if not own:
        assert card.points == last.size(16_384)


def test_a_list_tells_checkpoints_of_one_system_apart(tmp_path):
    titles = {card_of(name, "pc2", "published", WEIGHTS, tmp_path).title for name in ("a", "b")}
    assert titles == {f"PC², published checkpoint {name}" for name in ("a", "b")}


@pytest.mark.parametrize("network", ["autoencoder", '{"kind": "autoencoder", "latent": 128}'])
def test_an_auto_encoder_takes_no_pictures(network, tmp_path):
    refusal = card_of("mine", "dpm", network, WEIGHTS, tmp_path).refusal(())
    assert refusal == "an auto-encoder takes a cloud of points, not a picture"


@pytest.mark.parametrize("network", ["flow", "gaussian", '{"kind": "gaussian"}'])
def test_a_generator_takes_jobs(network, tmp_path):
    assert card_of("mine", "dpm", network, WEIGHTS, tmp_path).refusal(()) is None


def test_guidance_is_about_what_the_network_is_told():
    scales = {
        name: item.description
        for name, system in SYSTEMS.items()
        for item in system.parameters
        if item.name == "guidance_scale"
    }
    assert "label" in scales["dit3d"]
    assert "picture" not in scales["dit3d"]
    assert "picture" in scales["pointe"]


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
    card = card_of("hostile", system, network, WEIGHTS, tmp_path)
    with pytest.raises(WeightsError):
        build(card, {}, CPU)
