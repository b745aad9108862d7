import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from models.cards.gecco import GECCO_MINI
from models.catalog import SAMPLERS
from models.checkpoints import load_tensors
from models.contract import PreparedImages, SamplingParams
from models.conversion import convert
from models.diffusion.gecco import NETWORKS, Gecco, GeccoConfig, GeccoNet, identify, load_gecco
from models.diffusion.gecco_reparam import GaussianReparam, UVLReparam, look_up, projected
from models.diffusion.gecco_transformer import (
    AdaGN,
    SetConfig,
    SetTransformer,
    edm_scales,
    group_norm,
    log_uniform,
)
from models.diffusion.gecco_upsample import upsample
from models.diffusion.view_space import to_view
from models.errors import CameraError, WeightsError

CPU = torch.device("cpu")
SMALL = GeccoConfig(1, 32, 4, 2, widths=(16, 32), depths=(1, 1), sigma_max=40.0)
SPACES = ("gaussian", "uvl")
K = torch.tensor([[[1.3, 0.0, 0.52], [0.0, 1.2, 0.45], [0.0, 0.0, 1.0]]])


def made(space="gaussian", **options) -> GeccoNet:
    torch.manual_seed(0)
    net = GeccoNet(replace(SMALL, space=space, **options)).eval()
    if isinstance(net.reparam, UVLReparam):
        net.reparam.uvl_mean.copy_(torch.tensor([0.0, 0.1, 0.7]))
        net.reparam.uvl_std.copy_(torch.tensor([0.2, 0.2, 0.1]))
    elif isinstance(net.reparam, GaussianReparam):
        net.reparam.mean.copy_(torch.tensor([0.02, 0.0, 2.0]))
        net.reparam.sigma.fill_(0.2)
    return net.requires_grad_(False)


def crops(count=1) -> PreparedImages:
    rgba = torch.rand(count, 4, 64, 64, generator=torch.Generator().manual_seed(1))
    return PreparedImages(rgba)


def test_group_norm_is_torchs():
    x = torch.randn(3, 50, 48) * 2 + 5
    expected = torch.nn.functional.group_norm(x.transpose(1, 2), 16).transpose(1, 2)
    torch.testing.assert_close(group_norm(x, 16), expected, rtol=1e-4, atol=1e-5)


def test_the_gradient_of_the_norm_is_right():
    norm = AdaGN(32).double()
    x = torch.randn(2, 5, 32, dtype=torch.float64, requires_grad=True)
    noise = torch.randn(2, 1, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: norm(x, noise), (x,), fast_mode=True)


def test_points_in_another_order_are_told_the_same():
    torch.manual_seed(0)
    net = SetTransformer(SetConfig(2, 32, 4, 2))
    x, noise, order = torch.randn(2, 20, 32), torch.randn(2, 1), torch.randperm(20)
    torch.testing.assert_close(net(x[:, order], noise)[0], net(x, noise)[0][:, order])


@pytest.mark.parametrize("space", SPACES)
def test_data_space_and_back(space):
    reparam = made(space).reparam
    points = torch.rand(1, 40, 3) * 0.4 + torch.tensor([-0.2, -0.2, 1.8])
    x = reparam.data_to_diffusion(points, K)
    torch.testing.assert_close(reparam.diffusion_to_data(x, K), points, rtol=1e-4, atol=1e-5)


def test_uvl_has_a_place_for_what_the_picture_does_not_show():
    far_aside = torch.tensor([[[50.0, 0.0, 1.0], [0.0, -50.0, 1.0]]])
    x = made("uvl").reparam.data_to_diffusion(far_aside, K)
    assert bool(x.isfinite().all())


def test_no_distance_of_uvl_is_infinite():
    reparam = made("uvl").reparam
    for far in (1e3, 1e30):
        points = reparam.diffusion_to_data(torch.full((1, 1, 3), far), K)
        assert bool(points.isfinite().all())
        assert bool(projected(points, K).isfinite().all())


def test_points_at_and_behind_the_camera_project_to_numbers():
    points = torch.tensor([[[0.1, 0.1, 0.0], [0.1, 0.1, -1.0], [0.1, 0.1, 1e-9]]])
    assert bool(projected(points, K).isfinite().all())


def test_nothing_is_found_outside_the_picture():
    maps = torch.ones(1, 2, 8, 8)
    found = look_up(maps, torch.tensor([[[0.5, 0.5], [1.5, 0.5], [0.5, -0.5]]]))
    assert found[0].tolist() == [[1, 1], [0, 0], [0, 0]]


def test_horizontal_comes_first():
    maps = torch.zeros(1, 1, 4, 8)
    maps[0, 0, 1, 6] = 1  # second row, seventh column
    assert float(look_up(maps, torch.tensor([[[6.5 / 8, 1.5 / 4]]]))) == pytest.approx(1)


def test_preconditioning_keeps_variances_at_one():
    skip, out, scale, _ = edm_scales(torch.tensor([0.01, 1.0, 30.0]))
    sigma = torch.tensor([0.01, 1.0, 30.0]).view(-1, 1, 1)
    torch.testing.assert_close(scale.square() * (1 + sigma.square()), torch.ones(3, 1, 1))
    torch.testing.assert_close(skip + out.square(), torch.ones(3, 1, 1), rtol=1e-5, atol=1e-5)


def test_sigmas_are_spread_evenly_over_a_batch():
    sigma = log_uniform(torch.rand(8), 0.01, 100.0)
    part = (sigma.log() - np.log(0.01)) / np.log(1e4) * 8
    assert part.floor().tolist() == list(range(8))


@pytest.mark.parametrize("space", SPACES)
def test_the_camera_of_a_cloud_is_that_of_its_projection(space):
    """So that candidates are compared with the outline where the network saw them."""
    system = Gecco(made(space))
    camera = (
        '{"R": [[-1,0,0],[0,1,0],[0,0,-1]], "T": [0,0,2], "focal": 2.4, "principal": [0.1,0.2]}'
    )
    for text in ("auto", '{"elevation": 30, "distance": 2}', camera):
        given = system.begin(system.encode(crops().rgba), params(camera=text))
        x = torch.randn(60, 3)
        lens = given.features["K"]
        place = projected(system.net.reparam.diffusion_to_data(x[None], lens), lens)
        view = to_view(torch.from_numpy(system.cloud(x, given).positions)[None], given.camera)
        expected = (2 * place - 1) * torch.tensor([1.0, -1.0])
        torch.testing.assert_close(view[..., :2], expected, rtol=1e-3, atol=1e-3)


def test_a_high_camera_turns_the_cloud():
    system = Gecco(made())
    given = system.encode(crops().rgba)
    above = system.begin(given, params(camera='{"elevation": 90, "distance": 2}'))
    x = torch.randn(40, 3)
    level, turned = (system.cloud(x, item).positions for item in (given, above))
    np.testing.assert_allclose(turned[:, 1], level[:, 2], atol=1e-5)


@pytest.mark.parametrize("space", SPACES)
def test_strays_of_a_cloud_stay_finite(space):
    system = Gecco(made(space))
    x = torch.tensor([[0.0, 0.0, 0.0], [1e4, -1e4, 1e4], [0.1, 0.1, -1e4], [0.2, 0.0, 0.1]])
    cloud = system.cloud(x, system.encode(crops().rgba))
    assert np.isfinite(cloud.positions).all()


def test_a_camera_that_looks_away_is_refused():
    system = Gecco(made())
    away = '{"R": [[1,0,0],[0,1,0],[0,0,1]], "T": [0,0,-3], "focal": 2}'
    with pytest.raises(CameraError):
        system.begin(system.encode(crops().rgba), params(camera=away))


def params(**options) -> SamplingParams:
    return SamplingParams(256, 3, 0, "heun", **options)


@pytest.mark.parametrize(
    "net",
    [made("gaussian"), made("uvl"), made("gaussian", widths=(), depths=())],
    ids=["objects", "scenes", "unconditional"],
)
def test_a_published_network_is_served(net):
    network, tensors = identify(net.state_dict(), {})
    card = replace(GECCO_MINI, network=network, image_size=64)
    model = load_gecco(card, tensors, CPU)
    given = model.encode(crops())
    state = model.start(given.row(0), params(), torch.Generator().manual_seed(0))
    assert state.steps == 5
    while state.step < state.steps:
        model.step([state])
    cloud = model.finish(state).points
    assert len(cloud) == 256
    assert np.isfinite(cloud.positions).all()


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("space", SPACES)
def test_few_steps_from_much_noise(space, sampler, steps):
    """Two of Heun's throw points so far that UVL's distance was infinite."""
    net = made(space, sigma_max=180.0)
    network, tensors = identify(net.state_dict(), {})
    model = load_gecco(replace(GECCO_MINI, network=network, image_size=64), tensors, CPU)
    options = SamplingParams(256, steps, 0, sampler)
    state = model.start(model.encode(crops()).row(0), options, torch.Generator().manual_seed(0))
    while state.step < state.steps:
        model.step([state])
    assert np.isfinite(model.finish(state).points.positions).all()


def test_a_network_without_a_picture_may_make_clouds_anywhere():
    net = made(widths=(), depths=())
    net.load_state_dict({"reparam.mean": torch.zeros(3)}, strict=False)
    system = Gecco(net)
    given = system.encode(crops().rgba)
    cloud = system.cloud(torch.randn(60, 3), given)
    view = to_view(torch.from_numpy(cloud.positions)[None], given.camera)
    assert bool(view[..., :2].isfinite().all())
    assert float(view[..., :2].abs().max()) < 1  # all of it is seen
    assert cloud.colors is not None
    assert len(np.unique(cloud.colors)) == 1  # and none of the picture's colours


@pytest.mark.parametrize("z", [0.0, -1.0])
def test_data_that_no_camera_sees_is_refused(z):
    net = made()
    net.load_state_dict({"reparam.mean": torch.tensor([0, 0, z])}, strict=False)
    with pytest.raises(WeightsError, match="distance"):
        Gecco(net)


def test_the_stages_of_a_checkpoint_are_found():
    network, _ = identify(made("uvl").state_dict(), {})
    expected = asdict(replace(SMALL, space="uvl", sigma_max=180.0))
    assert json.loads(network) == json.loads(json.dumps(expected))


@pytest.mark.parametrize("axis", [1, 2, 3])
def test_a_network_of_no_size_is_none(axis):
    prefix = "backbone.model.inner.layers.0."
    shape = [1, 2, 4, 16]
    shape[axis] = 0
    tensors = {
        f"{prefix}broadcast.pool.inducers": torch.zeros(shape),
        f"{prefix}mlp.0.weight": torch.zeros(64, 32),
    }
    with pytest.raises(WeightsError, match="empty"):
        identify(tensors, {})


@pytest.mark.parametrize("name", ["taskonomy", "shapenet", "airplane"])
def test_published_sizes_are_known_by_name(name):
    config = NETWORKS[name]
    assert isinstance(config, GeccoConfig)
    with torch.device("meta"):
        tensors = GeccoNet(config).state_dict()
    assert identify(tensors, {})[0] == name


@pytest.mark.parametrize("network", ["", "pc2", '["a"]', '{"depth": 3}'])
def test_an_unknown_network_is_refused(network):
    with pytest.raises(WeightsError, match=GECCO_MINI.id):
        load_gecco(replace(GECCO_MINI, network=network), {}, CPU)


def test_new_points_do_not_depend_on_each_other_but_for_the_norm():
    """Through the inducers, that is: those have seen the known points alone."""
    net, known = made(), torch.rand(1, 30, 3) + torch.tensor([0.0, 0.0, 1.5])
    maps = net.encode(crops().rgba[:, :3])
    calls: list[Tensor] = []
    original = net.denoise

    def watched(*args, **options):
        calls.append(args[0])
        return original(*args, **options)

    net.denoise = watched  # type: ignore[method-assign]
    out = upsample(net, known, torch.randn(1, 7, 3), maps, K, (5.0, 1.0, 0.0), substeps=2)
    assert out.shape == (1, 7, 3)
    assert out.dtype == torch.float64
    assert bool(out.isfinite().all())
    # Known once at each level; new ones at both ends of a step, and once in the last.
    assert [x.shape[1] for x in calls] == [30, 7, 7, 7, 7, 30, 7, 7]


def test_the_averaged_weights_of_a_checkpoint_are_converted(tmp_path):
    last = made("uvl").state_dict()
    mean = {name: value + 1 for name, value in last.items()}
    file = tmp_path / "best.ckpt"
    torch.save({"state_dict": last, "ema_state_dict": mean, "epoch": 3}, file)
    card = convert("gecco", [file], tmp_path)
    assert json.loads(card.network)["widths"] == [16, 32]
    found = load_tensors(card, Path(card.folder))
    torch.testing.assert_close(found["reparam.uvl_mean"], mean["reparam.uvl_mean"])


@pytest.mark.parametrize("focal", [[2.4, 2.4], [2.4, 3.6], [3.6, 2.4]])
def test_points_have_the_colour_of_where_the_network_saw_them(focal):
    """Whatever shape its lens makes of a pixel."""
    ticks = (torch.arange(64) + 0.5) / 64
    down, right = torch.meshgrid(ticks, ticks, indexing="ij")
    rgba = torch.stack([right, down, torch.zeros_like(down), torch.ones_like(down)])[None]
    system = Gecco(made())
    camera = {"R": [[-1, 0, 0], [0, 1, 0], [0, 0, -1]], "T": [0, 0, 2], "principal": [0.1, -0.2]}
    given = system.begin(system.encode(rgba), params(camera=json.dumps(camera | {"focal": focal})))
    x = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    lens = given.features["K"]
    place = projected(system.net.reparam.diffusion_to_data(x[None], lens), lens)[0]
    inside = ((place - 0.5).abs() < 0.45).all(dim=1)
    assert int(inside.sum()) > 100
    view = to_view(torch.from_numpy(system.cloud(x, given).positions)[None], given.camera)
    found = look_up(given.rgba, (view[..., :2] * torch.tensor([1.0, -1.0]) + 1) / 2)[0]
    torch.testing.assert_close(found[inside, :2], place[inside], rtol=0, atol=5e-3)
