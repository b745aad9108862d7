"""The weights of the authors, in files as they save them: converted, found again, loaded."""

import argparse
import json
import re
from typing import cast

import pytest
import torch

from models import registry
from models.conversion import convert
from models.diffusion.dit3d_network import Dit3dNet
from models.diffusion.dpm_network import DpmNet
from models.diffusion.gecco import GeccoNet
from models.diffusion.pc2 import Pc2Net
from models.diffusion.projection import Views, fine_maps
from models.diffusion.staged import PointDiffusion
from models.encoders.vit import Vit
from models.errors import CheckpointError
from models.local_catalog import read_card
from models.published import SYSTEMS
from tests.parity.golden import assert_close, golden

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
            cfg = golden("pc2").config
            return {"model": weights | point_cloud, "optimizer": {}, "epoch": 1, "cfg": cfg}


def assert_numbers(name: str, net: torch.nn.Module) -> None:
    """Of the converted network: those that the authors' own gave, in their tolerance."""
    inputs, outputs = golden(name).inputs, golden(name).outputs
    match net:
        case DpmNet():
            code = net.prior(inputs["w"])
            assert_close(code, outputs["flow.reverse.z"], rtol=1e-4, atol=3e-4)
            eps = net.diffusion.noise_of(inputs["x_t"], inputs["t"], inputs["z"])
            assert_close(eps, outputs["net.eps"], rtol=1e-3, atol=2e-5)
        case GeccoNet():
            maps = net.encode(inputs["image"])
            x_0, _ = net.denoise(inputs["x"], inputs["sigma"], maps, inputs["K"])
            assert_close(x_0, outputs["denoised.uvl"], rtol=1e-3, atol=2e-4)
        case Dit3dNet():
            y = inputs["x"].transpose(1, 2).contiguous()
            eps = net(y, inputs["t"], inputs["y"]).transpose(1, 2)
            assert_close(eps, outputs["eps"], rtol=1e-3, atol=1e-4)
        case Pc2Net():
            views = Views(*(inputs[f"camera.{part}"] for part in ("R", "T", "focal", "principal")))
            rgb, mask = inputs["image_u8"].float() / 255, inputs["mask_u8"].float() / 255
            vit = cast(Vit, net.feature_model.model)
            coarse, fine = vit.grid(vit(rgb)), fine_maps(rgb, mask)
            eps = net.eps(inputs["x_t"], inputs["t"], views, coarse, fine)
            assert_close(eps, outputs["noise_pred"], rtol=0, atol=5e-4)
        case _:
            raise AssertionError(f"{name}: {type(net).__name__} is not compared")


@pytest.mark.parametrize("name", ["dpm", "gecco", "dit3d", "pc2"])
def test_published_files(name, tmp_path):
    path = tmp_path / "checkpoint.pt"
    torch.save(published(name), path)

    card = convert(name, [path], tmp_path, accepted=ACCEPTED)

    found = read_card(tmp_path / "models" / card.id / "card.json")
    assert found == card
    model = cast(PointDiffusion, registry.load(found, torch.device("cpu")))
    assert model.card == card
    with torch.inference_mode():
        assert_numbers(name, model.system.net)
    assert json.loads((tmp_path / "models" / card.id / "card.json").read_text())["system"] == name

    other = next(system for system in SYSTEMS if system != name)
    told = re.escape(f"a checkpoint of {SYSTEMS[name].title}, not of {SYSTEMS[other].title}")
    with pytest.raises(CheckpointError, match=told):
        convert(other, [path], tmp_path, accepted=ACCEPTED)
