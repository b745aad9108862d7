"""PC^2 as it is served: cameras, empty masks, candidates, sizes; and its colour model."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from models.cards.pc2 import PC2_MINI
from models.contract import PreparedImages, SamplingParams
from models.diffusion.pc2 import (
    MINI,
    NETWORKS,
    Pc2,
    Pc2Net,
    built,
    config_of,
    identify,
    load_pc2,
)
from models.diffusion.pc2_color import Pc2ColorConfig, Pc2ColorNet
from models.diffusion.projection import Views
from models.diffusion.pvcnn2 import Pvcnn2Config
from models.diffusion.staged import Given, PointDiffusion, StagedState
from models.encoders.own import IMAGE_SIZE, OWN_PREFIX
from models.encoders.vit import VitConfig
from models.errors import CameraError, NoForegroundError, WeightsError
from models.feedforward.draft import DraftConfig, DraftNet

CPU = torch.device("cpu")
SMALL = replace(
    MINI,
    network=Pvcnn2Config(
        extra_feature_channels=45,
        width_multiplier=0.25,
        voxel_resolution_multiplier=0.25,
        centers=(32, 16, 16, 16),
    ),
    vit=VitConfig(image_size=32, patch_size=16, width=40, depth=1, heads=5),
    image_size=32,
    features=40,
    scale_factor=2.0,
    most_points=0,
)
TOLD = {"num_heads": 5}  # of a checkpoint's notes: no usual transformer is as narrow


def crops(count: int = 1, side: int = IMAGE_SIZE) -> Tensor:
    """A striped disc."""
    ticks = torch.linspace(-1, 1, side)
    disc = ((ticks[:, None] ** 2 + ticks**2) < 0.7).float().expand(count, 1, side, side)
    stripes = (torch.arange(side) // 8 % 2).float().expand(count, 3, side, side)
    return torch.cat([stripes, disc], dim=1)


@pytest.fixture(scope="module")
def mini() -> PointDiffusion:
    torch.manual_seed(0)
    own = {OWN_PREFIX + n: t for n, t in Pc2Net(MINI).state_dict().items()}
    encoder = DraftNet(DraftConfig(image_size=IMAGE_SIZE)).state_dict()
    return load_pc2(PC2_MINI, encoder | own, CPU)


@pytest.fixture(scope="module")
def small() -> PointDiffusion:
    """A published form in small, with the encoder of its own."""
    torch.manual_seed(0)
    return PointDiffusion(PC2_MINI, Pc2(Pc2Net(SMALL), None, CPU), CPU)


def params(**options) -> SamplingParams:
    return SamplingParams(256, 2, 0, sampler="ddim", **options)


def started(model: PointDiffusion, side: int = IMAGE_SIZE, **options) -> StagedState:
    given = model.encode(PreparedImages(crops(1, side)))
    return model.start(given.row(0), params(**options), torch.Generator().manual_seed(0))


def points(model: PointDiffusion, **options) -> np.ndarray:
    state = started(model, **options)
    while state.step < state.steps:
        model.step([state])
    return model.finish(state).points.positions


def test_an_empty_mask_is_refused(mini, small):
    for model, side in ((mini, IMAGE_SIZE), (small, 32)):
        empty = crops(2, side)
        empty[1, 3] = 0
        with pytest.raises(NoForegroundError):
            model.encode(PreparedImages(empty))


@pytest.mark.parametrize(
    "camera",
    [
        "north",
        '{"elevation": 20, "distance": 0.2}',
        '{"elevation": NaN, "distance": 2}',
        '{"R": [[-1, 0, 0], [0, 1, 0], [0, 0, -1]], "T": [0, 0, -2], "focal": 2}',
        '{"R": [[-1, 0, 0], [0, 1, 0], [0, 0, -1]], "T": [2, 0, 0.3], "focal": 1}',
    ],
)
def test_cameras_that_see_nothing_are_refused(mini, camera):
    with pytest.raises(CameraError):
        started(mini, camera=camera)


def test_an_orbit_camera_changes_the_view(mini):
    given = started(mini, camera='{"elevation": 30, "distance": 2}').given
    guessed = started(mini).given
    assert given.camera[0, 4] == pytest.approx(np.radians(30))
    assert given.camera[0, 1] == pytest.approx(0.5)
    assert torch.equal(given.camera[0, [0, 2, 3]], guessed.camera[0, [0, 2, 3]])
    assert not torch.equal(given.features["view"], guessed.features["view"])
    assert torch.equal(given.features["coarse"], guessed.features["coarse"])


def matrices(row: Tensor) -> str:
    """The camera [1, 5] written out."""
    views = Views.of_windows(row)
    R, T, focal, principal = (part[0].tolist() for part in vars_of(views))
    return json.dumps({"R": R, "T": T, "focal": focal, "principal": principal})


def vars_of(views: Views) -> tuple[Tensor, ...]:
    return views.R, views.T, views.focal, views.principal


def test_the_same_camera_written_out_gives_the_same_object(mini):
    row = torch.tensor([[0.55, 0.45, 0.02, 0.01, 0.4]])
    text = matrices(row)
    state = started(mini, camera=text)
    torch.testing.assert_close(state.given.camera, row, atol=1e-5, rtol=0)
    torch.testing.assert_close(
        state.given.features["view"], Views.of_windows(row).packed, atol=1e-5, rtol=0
    )


def test_azimuth_turns_only_what_a_published_network_gives(mini, small):
    """Ours learnt objects that face the camera; the authors' have a front of their own."""
    quarter = json.dumps(
        {"R": [[0, 0, -1], [0, 1, 0], [1, 0, 0]], "T": [0, 0, 2], "focal": 3}
    )  # the camera stands at +x
    own, theirs = started(mini, camera=quarter), started(small, side=32, camera=quarter)
    torch.testing.assert_close(own.given.features["turn"][0], torch.eye(3))
    front = torch.tensor([[1.0, 0, 0]]) @ theirs.given.features["turn"][0]
    torch.testing.assert_close(front, torch.tensor([[0.0, 0, 1]]), atol=1e-6, rtol=0)
    placed = -(
        own.given.features["view"][0, 9:12] @ Views.unpacked(own.given.features["view"]).R[0].T
    )
    torch.testing.assert_close(placed, torch.tensor([0.0, 0, 2]), atol=1e-5, rtol=0)


def test_many_points_are_interpolated_from_fewer(mini, small):
    (own,), (theirs,) = mini.system.stages, small.system.stages
    assert own.size(4096) == MINI.most_points
    assert own.size(512) == 512
    assert theirs.size(4096) == 4096


def test_the_better_candidate_is_kept(small):
    """Of a round cloud and a thin one, a disc's mask takes the round one."""
    state = started(small, side=32, candidates=2)
    while state.step < state.steps:
        small.step([state])
    generator = torch.Generator().manual_seed(1)
    round_one = torch.randn(256, 3, generator=generator)
    round_one = 2 * 0.45 * round_one / round_one.norm(dim=1, keepdim=True)
    thin = round_one * torch.tensor([0.1, 1.0, 1.0])
    extents = []
    for pair in ([round_one, thin], [thin, round_one]):
        state.ended = list(pair)
        extents.append(np.ptp(small.finish(state).points.positions, axis=0))
    np.testing.assert_allclose(extents[0], extents[1], atol=1e-5)
    assert extents[0][0] > 0.8 * extents[0][1]


def test_rows_without_the_picture_see_no_camera_either(small):
    stage = small.system.stages[0]
    state = started(small, side=32)
    x, sigma = torch.randn(2, 64, 3), torch.tensor([1.0, 1.0], dtype=torch.float64)
    x[1] = x[0]
    given = Given.stacked([state.given, state.given])
    with torch.inference_mode():
        out = stage.denoise(x, sigma, given, torch.tensor([False, True]), None)
        moved = given.features | {"view": given.features["view"].roll(1, 1)}
        again = stage.denoise(
            x, sigma, replace(given, features=moved), torch.tensor([True, True]), None
        )
    assert not torch.equal(out[0], out[1])
    torch.testing.assert_close(again[1], out[1])


def test_the_same_seed_gives_the_same_object(small):
    first, second = (points(small, side=32) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert np.isfinite(first).all()


def test_a_card_may_write_its_sizes_out():
    text = json.dumps({"scale_factor": 7, "network": {"embed_dim": 32}, "vit": {"width": 768}})
    config = config_of(text)
    assert (config.scale_factor, config.network.embed_dim) == (7, 32)
    assert config.vit == VitConfig(width=768)
    assert config_of("mini") is NETWORKS["mini"]


@pytest.mark.parametrize("network", ["", "huge", "[1]", '{"depth": 3}', '{"vit": {"eyes": 2}}'])
def test_unknown_sizes_are_refused(network):
    with pytest.raises(WeightsError, match="no such network"):
        config_of(network)


def test_a_checkpoint_that_lacks_a_layer_is_refused():
    tensors = Pc2Net(SMALL).state_dict()
    with pytest.raises(WeightsError):
        identify({n: t for n, t in tensors.items() if "sa_layers.2" not in n}, TOLD)
    with pytest.raises(WeightsError, match="no checkpoint of PC"):
        identify({"state.weight": torch.zeros(3)}, {})


@pytest.mark.parametrize(
    "network",
    [
        '{"scale_factor": 0}',
        '{"scale_factor": 1e-320}',
        '{"radius": -1}',
        '{"beta_end": 5}',
        '{"vit": {"depth": "a"}}',
    ],
)
def test_sizes_that_cannot_be_are_refused(network):
    with pytest.raises(WeightsError, match="no such network"), torch.device("meta"):
        built(Pc2Net, network)


@pytest.mark.parametrize("shape", [(), (0,), (3,), (3, 3, 3), (2, 3, 4, 4, 4)])
@pytest.mark.parametrize(
    "name",
    [
        "point_cloud_model.model.classifier.2.weight",
        "point_cloud_model.model.sa_layers.0.0.voxel_layers.0.weight",
        "point_cloud_model.model.embedf.0.weight",
        "feature_model.model.patch_embed.proj.weight",
        "feature_model.model.pos_embed",
    ],
)
def test_a_checkpoint_of_odd_shapes_is_refused(name, shape):
    with torch.device("meta"):
        tensors = Pc2Net(SMALL).state_dict() | {name: torch.zeros(shape)}
    with pytest.raises(WeightsError):
        identify(tensors, TOLD)


def test_a_checkpoint_may_tell_the_heads_of_its_encoder():
    with torch.device("meta"):
        tensors = Pc2Net(SMALL).state_dict()
    network, _ = identify(tensors, TOLD)
    assert config_of(network).vit == SMALL.vit
    for notes in ({}, {"num_heads": 3}, {"num_heads": 0}, {"num_heads": "five"}):
        with pytest.raises(WeightsError, match="width 40"):
            identify(tensors, notes)
    usual = replace(SMALL, vit=VitConfig(32, 16, 64, 1), features=64)
    usual = replace(usual, network=replace(SMALL.network, extra_feature_channels=69))
    with torch.device("meta"):
        tensors = Pc2Net(usual).state_dict()
    for notes, heads in (({}, 1), ({"num_heads": 4}, 4)):
        vit = config_of(identify(tensors, notes)[0]).vit
        assert vit is not None
        assert vit.heads == heads


@pytest.mark.parametrize(
    "notes", [{"scale_factor": 0}, {"scale_factor": 1e9}, {"scale_factor": float("nan")}]
)
def test_notes_that_make_no_cloud_are_refused(notes):
    with torch.device("meta"):
        tensors = Pc2Net(SMALL).state_dict()
    with pytest.raises(WeightsError, match="above 0"):
        identify(tensors, TOLD | notes)


BLOCK = Pvcnn2Config(
    width_multiplier=0.25, voxel_resolution_multiplier=0.25, centers=(32, 16, 16, 16), dropout=0.0
)


def colors_of_moved(*, published: bool) -> tuple[Tensor, Tensor]:
    """Colours of a cloud, and of one whose embedding is the same and whose places are others."""
    torch.manual_seed(0)
    net = Pc2ColorNet(Pc2ColorConfig(local=4, published=published, network=BLOCK)).eval()
    with torch.no_grad():
        net.embed.weight[:, :3] = 0  # the embedding does not see the place
        places, local = torch.randn(1, 64, 3), torch.randn(1, 64, 4)
        return net(places, local), net(places.flip(1) * torch.tensor([1, 3, 0.2]), local)


def test_the_published_colour_model_does_not_see_places():
    """Its defect: embedded channels stand where a place is expected."""
    torch.testing.assert_close(*colors_of_moved(published=True))
    here, there = colors_of_moved(published=False)
    assert not torch.allclose(here, there, atol=1e-4)
