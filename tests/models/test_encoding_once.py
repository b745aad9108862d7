"""A picture is encoded once for a job: no step runs what has encoded it.

The published code of several systems computes their features again at every step.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

import pytest
import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook

from models.cards.gecco import GECCO_MINI
from models.cards.pc2 import PC2_MINI
from models.cards.pointe import POINTE_MINI
from models.catalog import CATALOG
from models.contract import PreparedImages, Reconstructor, SamplingParams
from models.diffusion.gecco import Gecco
from models.diffusion.pc2 import Pc2, Pc2Net
from models.diffusion.pointe import PointENet, PointESystem
from models.diffusion.staged import PointDiffusion, System
from models.registry import load
from tests.models.diffusion import test_gecco, test_pc2, test_pointe

CPU = torch.device("cpu")
SAMPLED = [card for card in CATALOG.values() if card.weights and card.family != "layered_depth"]
TWICE = {"pointe": 2}  # its tokens of the picture, and those of none
PUBLISHED: dict[str, tuple[int, Callable[[], System]]] = {
    "pc2": (32, lambda: Pc2(Pc2Net(test_pc2.SMALL), None, CPU)),
    "gecco": (64, lambda: Gecco(test_gecco.made())),
    "pointe": (28, lambda: PointESystem(PointENet(test_pointe.tiny()))),
}


@contextmanager
def watched() -> Iterator[Counter[nn.Module]]:
    """How often each module with parameters runs meanwhile."""
    runs: Counter[nn.Module] = Counter()

    def count(module: nn.Module, _given: object, _found: object) -> None:
        if next(module.parameters(), None) is not None:
            runs[module] += 1

    hook = register_module_forward_hook(count)
    try:
        yield runs
    finally:
        hook.remove()


def assert_encoded_once(model: Reconstructor, size: int, most: int) -> None:
    """`most`: how often a module may run for one picture."""
    params = SamplingParams(4096, 3, 0)  # enough points for the stages of all systems
    rgba = torch.rand(1, 4, size, size, generator=torch.Generator().manual_seed(0))
    with watched() as encoding:
        given = model.encode(PreparedImages(rgba))
    with watched() as starting:
        state = model.start(given.row(0), params, torch.Generator().manual_seed(0))
    with watched() as stepping:
        while state.step < state.steps:
            model.step([state])
            model.preview(state)
    assert encoding
    assert max(encoding.values()) <= most
    assert not starting
    assert max(stepping.values()) >= 3
    again = [type(module).__name__ for module in encoding.keys() & stepping.keys()]
    assert not again


@pytest.mark.parametrize("card", SAMPLED, ids=lambda card: card.id)
def test_presets(card):
    assert_encoded_once(load(card, CPU), card.image_size, TWICE.get(card.family, 1))


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_forms(name):
    size, made = PUBLISHED[name]
    torch.manual_seed(0)
    cards = {"pc2": PC2_MINI, "gecco": GECCO_MINI, "pointe": POINTE_MINI}
    model = PointDiffusion(cards[name], made(), CPU)
    assert_encoded_once(cast(Reconstructor, model), size, TWICE.get(name, 1))
