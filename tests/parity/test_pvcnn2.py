"""PVCNN2 against its authors' own outputs: `pvcnn2` of the golden data."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from models.diffusion.pvcnn2 import Pvcnn2, Pvcnn2Config
from models.diffusion.pvcnn2_blocks import Level
from tests.parity.golden import (
    DEVICES,
    assert_close,
    assert_strict,
    draw,
    golden,
    on_device,
    recipe,
)

PREFIX = {"PVD": "model.module.", "PC2": "point_cloud_model.model."}
LAYOUT = {"PVD": "PVD", "PC2": "PC2_point_cloud_model"}
FEATURES = {  # where each stored intermediate comes out
    "sa1.features": "sa_layers.1.1",
    "sa2.features": "sa_layers.2.1",
    "sa3.features": "sa_layers.3",
    "global_att": "global_att",
    "fp0.features": "fp_layers.0.3",
    "fp3.features": "fp_layers.3.2",
}


def assert_alike(actual: Tensor, expected: Tensor) -> None:
    assert_close(actual, expected, rtol=1e-3, atol=2e-4)


@pytest.fixture(scope="module", params=DEVICES)
def device(request: pytest.FixtureRequest) -> Iterator[torch.device]:
    with on_device(request.param) as found:
        yield found


@pytest.fixture(scope="module")
def net(device: torch.device) -> Pvcnn2:
    config = golden("pvcnn2").config
    network = Pvcnn2(Pvcnn2Config(**config)).eval()
    prefix = PREFIX["PC2"]
    weights = golden("pvcnn2").weights().items()
    network.load_state_dict({key.removeprefix(prefix): value for key, value in weights})
    return network.to(device)


@pytest.fixture(scope="module")
def seen(net: Pvcnn2, device: torch.device) -> dict[str, Any]:
    """What each layer gave, by name, and under "" the network."""
    found: dict[str, Any] = {}

    def keep(name):
        return lambda _module, _given, out: found.__setitem__(name, out)

    hooks = [module.register_forward_hook(keep(name)) for name, module in net.named_modules()]
    inputs = golden("pvcnn2").inputs
    with torch.inference_mode():
        net(inputs["inputs"].to(device), inputs["t"].to(device))
    for hook in hooks:
        hook.remove()
    return found


def test_the_prediction(seen):
    outputs = golden("pvcnn2").outputs
    assert_alike(seen[""], outputs["out"])
    assert_alike(seen[""], outputs["out_fp64"])


def test_in_double_precision(net, device):
    inputs, outputs = golden("pvcnn2").inputs, golden("pvcnn2").outputs
    double = Pvcnn2(net.config).eval().double().to(device)
    double.load_state_dict(net.state_dict())
    with torch.inference_mode():
        out = double(inputs["inputs"].double().to(device), inputs["t"].to(device))
    assert_alike(out, outputs["out_fp64"])


@pytest.mark.parametrize(("name", "layer"), FEATURES.items())
def test_features_on_the_way(seen, name, layer):
    out = seen[layer]
    features = out[1] if isinstance(out, tuple) else out
    assert_alike(features.transpose(1, 2), golden("pvcnn2").outputs[name])


@pytest.mark.parametrize("name", ["sa1", "sa2", "sa3"])
def test_the_same_centers_in_the_same_order(seen, name):
    level, _ = seen[FEATURES[f"{name}.features"]]
    assert isinstance(level, Level)
    expected = golden("pvcnn2").outputs[f"{name}.coords"]
    assert_close(level.points.transpose(1, 2), expected, rtol=0, atol=1e-6)


def test_every_stored_output_is_compared():
    compared = {"out", "out_fp64", "full_PVD.out", "full_PC2.out", *FEATURES}
    compared |= {f"sa{level}.coords" for level in (1, 2, 3)}
    assert set(golden("pvcnn2").outputs) == compared


@pytest.mark.parametrize("system", ["PVD", "PC2"])
def test_a_published_checkpoint_fits(system):
    layout = {
        key.removeprefix(PREFIX[system]): value
        for key, value in golden("pvcnn2").layout(LAYOUT[system]).items()
    }
    with torch.device("meta"):
        network = Pvcnn2(Pvcnn2Config(extra_feature_channels=extra(system)))
    assert_strict(network, layout)


def extra(system: str) -> int:
    """Channels of a point beside its place: the width of the first map tells."""
    key = f"{PREFIX[system]}sa_layers.0.0.point_features.layers.0.weight"
    shape, _ = golden("pvcnn2").layout(LAYOUT[system])[key]
    return shape[1] - 3


def weight(key: str, x: np.ndarray) -> np.ndarray:
    if x.ndim >= 2:
        return x / math.sqrt(math.prod(x.shape[1:]))
    return 1 + 0.1 * x if key.endswith(".weight") else 0.1 * x


@pytest.mark.parametrize("system", ["PVD", "PC2"])
def test_the_full_width(system, device):
    folder = golden("pvcnn2")
    inputs, layout, seed = folder.inputs, folder.layout(LAYOUT[system]), folder.recipe_seed
    weights = recipe(layout, seed, weight, PREFIX[system])
    folder.check_recipe(weights, system)

    channels = extra(system)
    with torch.device("meta"):
        network = Pvcnn2(Pvcnn2Config(extra_feature_channels=channels)).eval()
    network.load_state_dict(
        {key.removeprefix(PREFIX[system]): value for key, value in weights.items()}, assign=True
    )
    points = inputs[f"full_{system}.coords"]
    if channels:
        drawn = draw(f"full_{system}.features", [len(points), channels, points.shape[1]], seed)
        features = torch.from_numpy(drawn.astype(np.float32)).transpose(1, 2)
        points = torch.cat([points, features], dim=2)
    with torch.inference_mode():
        out = network.to(device)(points.to(device), inputs[f"full_{system}.t"].to(device))
    assert_alike(out, folder.outputs[f"full_{system}.out"])
