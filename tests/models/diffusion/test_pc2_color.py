"""The colour model of PC^2 as it is served: when it speaks, about what, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from models.cards.pc2 import CCD3DR_MINI, PC2_MINI
from models.contract import PreparedImages, SamplingParams
from models.diffusion.ccd3dr import Ccd3drNet, load_ccd3dr
from models.diffusion.pc2 import COLOR, MINI, Pc2, Pc2Net, load_pc2, painter_of
from models.diffusion.projection import Views
from models.diffusion.staged import PointDiffusion, StagedState
from models.encoders.own import IMAGE_SIZE, OWN_PREFIX
from models.errors import NonFiniteError, WeightsError
from models.feedforward.draft import DraftConfig, DraftNet
from tests.models.diffusion.test_pc2 import CPU, SMALL, crops

Tensors = dict[str, Tensor]


@pytest.fixture(scope="module")
def plain() -> Tensors:
    torch.manual_seed(0)
    own = {OWN_PREFIX + n: t for n, t in Pc2Net(MINI).state_dict().items()}
    return DraftNet(DraftConfig(image_size=IMAGE_SIZE)).state_dict() | own


@pytest.fixture(scope="module")
def color() -> Tensors:
    torch.manual_seed(1)
    return {OWN_PREFIX + COLOR + n: t for n, t in painter_of(MINI).state_dict().items()}


def only_bias(color: Tensors, bias: list[float]) -> Tensors:
    """Weights that give every point one colour."""
    last = OWN_PREFIX + COLOR + "net.out."
    weight = torch.zeros_like(color[last + "weight"])
    return color | {last + "weight": weight, last + "bias": torch.tensor(bias)}


def ended(model: PointDiffusion, **options) -> StagedState:
    given = model.encode(PreparedImages(crops())).row(0)
    params = SamplingParams(128, 2, 0, sampler="ddim", **options)
    state = model.start(given, params, torch.Generator().manual_seed(0))
    while state.step < state.steps:
        model.step([state])
    return state


def test_it_gives_the_colours_and_leaves_the_places(plain, color):
    without = load_pc2(PC2_MINI, plain, CPU)
    told = load_pc2(PC2_MINI, plain | only_bias(color, [-1.0, 0.0, 3.0]), CPU)
    first = without.finish(ended(without)).points
    second = told.finish(ended(told)).points
    np.testing.assert_array_equal(first.positions, second.positions)
    assert first.colors is not None
    assert second.colors is not None
    assert np.all(second.colors == [0, 128, 255])  # y / 2 + 0.5, cut off at both ends
    assert len(np.unique(first.colors, axis=0)) > 1


def test_it_is_asked_once_about_the_chosen_candidate(plain, color):
    model = load_pc2(PC2_MINI, plain | color, CPU)
    assert isinstance(model.system, Pc2)
    assert model.system.painter is not None
    asked: list[Tensor] = []
    model.system.painter.register_forward_hook(lambda _, given, __: asked.append(given[0]))
    state = ended(model, candidates=2)
    assert model.preview(state) is not None
    assert not asked
    result = model.finish(state)
    assert len(asked) == 1
    chosen = [k for k, x in enumerate(state.ended) if torch.equal(asked[0][0], x)]
    assert len(chosen) == 1
    assert result.points.colors is not None


def test_it_sees_with_the_given_camera(plain, color):
    model = load_pc2(PC2_MINI, plain | color, CPU)
    system = model.system
    assert isinstance(system, Pc2)
    low, high = (
        ended(model, camera=f'{{"elevation": {degrees}, "distance": 2}}').given
        for degrees in (0, 80)
    )
    x = torch.randn(128, 3, generator=torch.Generator().manual_seed(2))
    below, above = system.painted(x, low), system.painted(x, high)
    assert below is not None
    assert above is not None
    assert not np.array_equal(below, above)
    torch.testing.assert_close(low.features["color"], high.features["color"])


def test_a_published_encoder_serves_both_networks():
    torch.manual_seed(0)
    painter = painter_of(SMALL)
    system = Pc2(Pc2Net(SMALL), None, CPU, painter)
    given = system.encode(crops(1, 32))
    x = torch.randn(64, 3)
    kept = given.features
    views = Views.unpacked(kept["view"])
    wanted = painter(x[None], views, kept["coarse"], kept["fine"])[0].clamp(0, 1) * 255
    painted = system.painted(x, given)
    assert painted is not None
    np.testing.assert_array_equal(painted, wanted.detach().round().numpy())


def test_places_of_a_centred_cloud_are_those_in_the_scene(plain, color):
    own = {OWN_PREFIX + n: t for n, t in Ccd3drNet(MINI).state_dict().items()}
    encoder = {n: t for n, t in plain.items() if not n.startswith(OWN_PREFIX)}
    model = load_ccd3dr(CCD3DR_MINI, encoder | own | color, CPU)
    pc2 = load_pc2(PC2_MINI, plain | color, CPU)
    assert isinstance(model.system, Pc2)
    assert isinstance(pc2.system, Pc2)
    given = model.encode(PreparedImages(crops()))
    moved = replace(given, features=given.features | {"centre": torch.tensor([[0.3, -0.2, 0.1]])})
    x = torch.randn(64, 3, generator=torch.Generator().manual_seed(3))
    here = model.system.painted(x, moved)
    there = pc2.system.painted(x + torch.tensor([0.3, -0.2, 0.1]), given)
    assert here is not None
    np.testing.assert_array_equal(here, there)


def test_what_is_not_finite_is_no_colour(plain, color):
    model = load_pc2(PC2_MINI, plain | only_bias(color, [0.0, float("nan"), 0.0]), CPU)
    with pytest.raises(NonFiniteError):
        model.finish(ended(model))


@pytest.mark.parametrize("change", ["missing", "shape", "more"])
def test_weights_that_do_not_fit_are_refused(plain, color, change):
    wrong = dict(color)
    name = OWN_PREFIX + COLOR + "net.out.bias"
    if change == "missing":
        del wrong[name]
    elif change == "shape":
        wrong[name] = torch.zeros(4)
    else:
        wrong[name + "es"] = torch.zeros(3)
    with pytest.raises(WeightsError, match="pc2-mini: the colour model"):
        load_pc2(PC2_MINI, plain | wrong, CPU)
