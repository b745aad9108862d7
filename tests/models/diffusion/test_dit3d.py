import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from models.cards.dit3d import DIT3D_MINI
from models.contract import PreparedImages, SamplingParams
from models.diffusion import dit3d_network
from models.diffusion.dit3d import (
    MINI,
    NETWORKS,
    LabelSystem,
    PicturedNet,
    PictureSystem,
    identify,
    load_dit3d,
    parsed,
)
from models.diffusion.dit3d_image import columns
from models.diffusion.dit3d_network import (
    Dit3dConfig,
    Dit3dNet,
    place_embedding,
    windows_cut,
    windows_joined,
)
from models.diffusion.staged import PointDiffusion
from models.encoders.own import OWN_PREFIX
from models.errors import ParameterError, WeightsError
from models.feedforward.draft import DraftConfig, DraftNet

CPU = torch.device("cpu")
TINY = Dit3dConfig(hidden=24, depth=2, heads=2, patch=2, voxels=8, classes=3)


def shaken(net):
    """As after some training: at first all branches add nothing."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return net.eval().requires_grad_(False)


def cloud(rows=2, count=64, seed=0):
    return torch.randn(rows, count, 3, generator=torch.Generator().manual_seed(seed))


def published(config=TINY, **changes):
    card = replace(DIT3D_MINI, network=json.dumps({**fields(config), **changes}))
    return load_dit3d(card, shaken(Dit3dNet(config)).state_dict(), CPU)


def fields(config):
    return {
        name: getattr(config, name) for name in ("hidden", "depth", "heads", "patch", "voxels")
    } | {"classes": config.classes}


def sampled(model: PointDiffusion, **options):
    params = SamplingParams(128, 3, 5, **{"sampler": "ddim", **options})
    given = model.encode(PreparedImages(torch.rand(1, 4, 96, 96)))
    state = model.start(given.row(0), params, torch.Generator().manual_seed(5))
    while state.step < state.steps:
        model.step([state])
    return model.finish(state).points


def test_a_label_decides_what_is_sampled():
    model = published()
    first, again, other = (sampled(model, label=label).positions for label in (0, 0, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3


def test_guidance_by_the_null_label():
    model = published()
    assert isinstance(model.system, LabelSystem)
    plain, guided = (sampled(model, guidance_scale=w).positions for w in (1.0, 3.0))
    assert np.abs(plain - guided).max() > 1e-3
    stage = model.system.stages[0]
    given = model.system.begin(
        model.encode(PreparedImages(torch.rand(1, 4, 96, 96))), SamplingParams(128, 3, 0)
    )
    x, sigma = cloud(1), torch.tensor([0.7], dtype=torch.float64)
    none = replace(given, features={"label": torch.tensor([TINY.classes])})
    dropped = stage.denoise(x, sigma, given, torch.tensor([True]), None)
    torch.testing.assert_close(dropped, stage.denoise(x, sigma, none, None, None))


@pytest.mark.parametrize("label", [-1, 3, 1000])
def test_a_label_out_of_range_is_refused(label):
    with pytest.raises(ParameterError, match=f"0 to 2, got {label}") as caught:
        sampled(published(), label=label)
    assert caught.value.field == "label"


@pytest.mark.parametrize("sampler", ["pndm", "heun", "ddpm"])
def test_other_samplers_reach_the_end(sampler):
    assert np.isfinite(sampled(published(), sampler=sampler).positions).all()


def test_windows_are_cubes_of_one_cloud():
    side, window = 4, 2
    ticks = torch.arange(side)
    cells = torch.cartesian_prod(ticks, ticks, ticks).float()
    x = torch.stack([cells, cells + 100])
    windows = windows_cut(x, side, window)
    assert windows.shape == (2 * 8, 8, 3)
    assert (windows.amax(dim=1) - windows.amin(dim=1) == window - 1).all()
    torch.testing.assert_close(windows_joined(windows, side), x, rtol=0, atol=0)


def windowed(blocks, depth=1):
    config = replace(TINY, depth=depth, window=2, window_blocks=blocks)
    return shaken(Dit3dNet(config))


def test_a_token_outside_the_window_has_no_influence():
    side = TINY.side
    x = torch.randn(3, side**3, TINY.hidden, generator=torch.Generator().manual_seed(1))
    other = x.clone()
    other[1, -1] = other[1, -1].flip(0)  # the last token of the last window, of the second cloud
    condition = torch.randn(3, TINY.hidden)
    marked = torch.zeros(3, side**3, 1)
    marked[1, -1] = 1
    inside = windows_cut(marked, side, 2).amax(dim=1, keepdim=True).expand(-1, 8, 1)
    inside = windows_joined(inside.contiguous(), side)[..., 0] > 0  # [3, T]
    assert inside.sum() == 8
    whole = torch.zeros_like(inside)
    whole[1] = True
    for blocks, reached in (((0,), inside), ((), whole)):
        block = windowed(blocks).blocks[0]
        moved = (block(x, condition) != block(other, condition)).any(dim=-1)
        assert torch.equal(moved, reached)


def test_windows_compute_fewer_scores(monkeypatch):
    scores = []

    def counted(q, k, v):
        scores.append(q.shape[0] * q.shape[1] * q.shape[2] * k.shape[2])
        return torch.zeros_like(q)

    monkeypatch.setattr(dit3d_network, "attention", counted)
    for blocks in ((), (0,)):
        windowed(blocks, depth=2)(cloud(1), torch.tensor([3]), torch.tensor([0]))
    whole, beside = scores[:2], scores[2:]
    assert beside == [whole[0] * 8 // TINY.side**3, whole[1]]


def test_windows_have_the_published_parameters():
    names = {name: value.shape for name, value in windowed((0,), depth=2).state_dict().items()}
    assert names == {name: value.shape for name, value in Dit3dNet(TINY).state_dict().items()}


@pytest.mark.parametrize(
    "changes",
    [
        {"patch": 3},
        {"hidden": 20},
        {"heads": 5},
        {"window": 3, "window_blocks": (0,)},
        {"window_blocks": (0,)},
        {"window": 2, "window_blocks": (7,)},
    ],
)
def test_sizes_that_do_not_divide_are_refused(changes):
    with pytest.raises(ValueError, match=r"expected|must divide"):
        replace(TINY, **changes)


def test_places_along_x_change_slowest():
    found = place_embedding(12, 3)[0]
    assert torch.equal(found[0, :4], found[1, :4])  # neighbours along z
    assert torch.equal(found[0, 4:8], found[1, 4:8])
    assert not torch.equal(found[0, 8:], found[1, 8:])
    assert not torch.equal(found[0, :4], found[9, :4])


def test_a_checkpoint_of_unpublished_sizes_needs_the_heads():
    tensors = {f"model.{name}": value for name, value in Dit3dNet(TINY).state_dict().items()}
    network, own = identify(tensors, {"num_heads": 2})
    assert parsed(network) == TINY
    load_dit3d(replace(DIT3D_MINI, network=network), own, CPU)
    with pytest.raises(WeightsError, match="width 24"):
        identify(tensors, {})


@pytest.mark.parametrize("spoil", ["other", "missing", "shape", "empty"])
def test_a_checkpoint_of_another_system_is_refused(spoil):
    tensors = {f"model.{name}": value for name, value in Dit3dNet(TINY).state_dict().items()}
    if spoil == "other":
        tensors = {"point_cloud_model.model.classifier.2.weight": torch.zeros(3, 128, 1)}
    elif spoil == "missing":
        del tensors["model.blocks.1.mlp.fc1.bias"]
    elif spoil == "empty":
        tensors["model.x_embedder.proj.weight"] = torch.zeros(0, 3, 4, 4, 4)
    else:
        tensors["model.final_layer.linear.bias"] = torch.zeros(5)
    with pytest.raises(WeightsError, match="not a checkpoint of DiT-3D"):
        identify(tensors, {"num_heads": 2})


@pytest.mark.parametrize(
    "network",
    [
        "S/3",
        "{",
        '{"width": 3}',
        "[]",
        '{"patch": 5}',
        '{"heads": 0}',
        '{"classes": -1}',
        '{"betas": "warm0.2"}',
        '{"betas": ["linear"]}',
    ],
)
def test_an_unknown_network_is_refused(network):
    with pytest.raises(WeightsError, match="no network of DiT-3D"):
        parsed(network)


@pytest.fixture(scope="module")
def pictured():
    torch.manual_seed(1)
    encoder = DraftNet(DraftConfig(image_size=96)).state_dict()
    own = shaken(PicturedNet(MINI)).state_dict()
    tensors = encoder | {OWN_PREFIX + name: value for name, value in own.items()}
    return load_dit3d(DIT3D_MINI, tensors, CPU)


def test_the_picture_decides_what_is_sampled(pictured):
    torch.manual_seed(2)
    first = sampled(pictured).positions
    torch.manual_seed(2)
    again = sampled(pictured).positions
    other = sampled(pictured).positions
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3


def test_a_dropped_picture_is_not_seen(pictured):
    assert isinstance(pictured.system, PictureSystem)
    stage = pictured.system.stages[0]
    x, sigma = cloud(2), torch.tensor([0.7, 2.0], dtype=torch.float64)
    first, second = (pictured.encode(PreparedImages(torch.rand(2, 4, 96, 96))) for _ in range(2))
    drop = torch.tensor([False, True])
    one, two = (stage.denoise(x, sigma, given, drop, None) for given in (first, second))
    assert torch.equal((one == two).all(dim=(1, 2)), drop)
    # A row that is shown its picture is as it is without guidance.
    seen = stage.denoise(x, sigma, second, None, None)
    torch.testing.assert_close(seen[:1], two[:1])


def test_the_picture_lies_over_the_grid():
    """Rightmost columns see the picture's right, topmost its top, and those outside nothing."""
    picture = torch.zeros(2, 2, 4, 4)
    picture[:, 0, :, 3] = 1  # right
    picture[:, 1, 0, :] = 1  # top
    found = columns(picture, torch.tensor([1.0, 4.0]), 4)
    expected = torch.zeros(4, 4, 2)
    expected[3, :, 0] = 1
    expected[:, 3, 1] = 1
    torch.testing.assert_close(found[0], expected)
    assert not found[1, 0].any()
    assert not found[1, 3].any()


def test_the_noise_of_a_fresh_network_is_that_of_a_normal_cloud():
    net = PicturedNet(MINI)
    shown = net.reader(torch.randn(1, 36, 256), torch.rand(1, 1, 96, 96))
    y, sigma = cloud(1), torch.tensor([1.5], dtype=torch.float64)
    expected = y * (1.5 / (1 + 1.5**2) ** 0.5)
    torch.testing.assert_close(net(y, torch.tensor([400]), sigma, shown), expected)


@pytest.mark.parametrize(
    ("network", "millions"), [("S/4", 32.8), ("B/4", 130.2), ("L/4", 579.0), ("XL/4", 674.7)]
)
def test_the_sizes_have_as_many_values_as_the_paper_says(network, millions):
    with torch.device("meta"):
        tensors = Dit3dNet(NETWORKS[network]).state_dict()
    assert round(sum(value.numel() for value in tensors.values()) / 1e6, 1) == millions
