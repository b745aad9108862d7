"""What building a model may raise, where its card came out of a file and where it did not."""

from dataclasses import replace

import pytest
import torch

from models import registry
from models.catalog import DRAFT
from models.errors import WeightsError

CPU = torch.device("cpu")
CONVERTED = replace(DRAFT, folder="models/x")


@pytest.fixture
def raises(monkeypatch):
    def arrange(error):
        def build(*_):
            raise error

        monkeypatch.setattr(registry, "_build", build)

    return arrange


def test_a_converted_card_that_makes_no_network(raises):
    raises(ZeroDivisionError("no heads"))
    with pytest.raises(WeightsError, match="no heads"):
        registry.build(CONVERTED, {}, CPU)


def test_our_own_mistakes_stay_what_they_are(raises):
    raises(ZeroDivisionError("no heads"))
    with pytest.raises(ZeroDivisionError):
        registry.build(DRAFT, {}, CPU)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, torch.AcceleratorError])
def test_the_device_is_not_taken_for_the_card(error, raises):
    raises(error.__new__(error))
    with pytest.raises(error):
        registry.build(CONVERTED, {}, CPU)
