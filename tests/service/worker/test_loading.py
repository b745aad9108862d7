"""Which models a worker serves, and when they are loaded."""

import threading
from dataclasses import replace

import pytest
import torch

from models import catalog
from models.catalog import CATALOG, DEFAULT_MODEL, DRAFT, WeightFile
from models.errors import LicenceError, WeightsError
from service.worker.loading import AT_START, choose_models
from tests.fakes_model import FakeModel

CPU = torch.device("cpu")
OTHER = replace(DRAFT, id="other")
RESTRICTED = replace(DRAFT, id="restricted", accept="their-licence")
EMPTY = replace(DRAFT, id="empty", weights=())
UNFIT = replace(DRAFT, id="unfit", unfit="it takes clouds")
GONE = replace(DRAFT, id="gone", weights=(WeightFile("none", "0" * 64, 1),))


@pytest.fixture(autouse=True)
def cards(monkeypatch):
    for name in CATALOG.keys() - {DEFAULT_MODEL, "draft"}:
        monkeypatch.delitem(catalog.CATALOG, name)
    for card in (OTHER, RESTRICTED, EMPTY, UNFIT, GONE):
        monkeypatch.setitem(catalog.CATALOG, card.id, card)


class Loader:
    def __init__(self, *broken: str) -> None:
        self.broken = broken
        self.asked: list[str] = []

    def __call__(self, card, device) -> FakeModel:
        self.asked.append(card.id)
        assert not torch.is_inference_mode_enabled()
        if card.id in self.broken:
            raise WeightsError(f"{card.id} is broken")
        return FakeModel(card)


def test_a_few_are_loaded_at_the_start_and_others_by_their_first_job():
    load = Loader()
    models = choose_models((), (), load, CPU)
    assert set(load.asked) == set(AT_START)
    assert set(models) == {*AT_START, "other"}
    assert "other" in models
    assert set(models.loaded) == set(AT_START)

    with torch.inference_mode():
        assert models["other"] is models["other"]
    assert load.asked.count("other") == 1
    assert set(models.loaded) == {*AT_START, "other"}


def test_a_licence_opens_what_it_restricts():
    assert "restricted" in choose_models((), ("their-licence",), Loader(), CPU)


def test_one_that_does_not_load_is_served_no_more():
    load = Loader("other")
    models = choose_models((), (), load, CPU)
    told = threading.Event()
    models.on_change = told.set
    for _ in range(2):
        with pytest.raises(WeightsError, match="other is broken"):
            models["other"]
    assert load.asked.count("other") == 1
    assert told.is_set()
    assert "other" not in models
    assert set(models) == set(AT_START)


def test_where_none_of_the_first_loads_another_is():
    models = choose_models((), (), Loader(*AT_START), CPU)
    assert set(models) == set(models.loaded) == {"other"}
    with pytest.raises(WeightsError, match=DEFAULT_MODEL):
        choose_models((), (), Loader(*AT_START, "other"), CPU)


def test_named_models_are_all_loaded():
    load = Loader()
    models = choose_models(("draft", "other"), (), load, CPU)
    assert set(models) == set(load.asked) == {"draft", "other"}
    with pytest.raises(WeightsError, match="other is broken"):
        choose_models(("draft", "other"), (), Loader("other"), CPU)
    with pytest.raises(LicenceError, match="their-licence"):
        choose_models(("draft", "restricted"), (), load, CPU)
    with pytest.raises(WeightsError, match="it takes clouds"):
        choose_models(("draft", "unfit"), (), load, CPU)
