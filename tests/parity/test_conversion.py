"""The weights of the authors, in files as they save them: converted, found again, loaded."""

import argparse
import json
import re

import pytest
import torch
from safetensors.torch import load_file

from models import registry
from models.conversion import convert
from models.errors import CheckpointError
from models.local_catalog import read_card
from models.published import SYSTEMS
from tests.parity.golden import golden

ACCEPTED = tuple(system.accept for system in SYSTEMS.values())


def published(name):
    """A checkpoint of the form that the authors' own training code saves."""
    weights = golden(name).weights()
    match name:
        case "dit3d":
            heads = golden(name).config["num_heads"]
            return {"model_state": weights, "epoch": 1, "num_heads": heads, "optimizer_state": {}}
        case "gecco":
            last = {key: torch.zeros_like(value) for key, value in weights.items()}
            return {"state_dict": last, "ema_state_dict": weights, "epoch": 1}
        case "dpm":
            args = argparse.Namespace(model="flow", residual=True, flexibility=0.0)
            return {"args": args, "state_dict": weights, "others": {}}
        case _:
            network = golden("pvcnn2").weights()
            point_cloud = {
                key: value for key, value in network.items() if key.startswith("point_cloud_model")
            }
            return {"model": weights | point_cloud, "optimizer": {}, "epoch": 1}


@pytest.mark.parametrize("name", ["dpm", "gecco", "dit3d", "pc2"])
def test_published_files(name, tmp_path):
    path = tmp_path / "checkpoint.pt"
    torch.save(published(name), path)

    card = convert(name, [path], tmp_path, accepted=ACCEPTED)

    found = read_card(tmp_path / "models" / card.id / "card.json")
    assert found == card
    assert registry.load(found, torch.device("cpu")).card == card
    kept = load_file(tmp_path / "models" / card.id / card.weights[0].name)
    assert any(bool(value.any()) for value in kept.values())
    assert json.loads((tmp_path / "models" / card.id / "card.json").read_text())["system"] == name

    other = next(system for system in SYSTEMS if system != name)
    told = re.escape(f"a checkpoint of {SYSTEMS[name].title}, not of {SYSTEMS[other].title}")
    with pytest.raises(CheckpointError, match=told):
        convert(other, [path], tmp_path, accepted=ACCEPTED)
