"""PC^2 against what its authors' code gave: encoder, projection, conditioning, prediction."""

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import cast

import pytest
import torch

from kernels.point_rasterize import pixels_of_points, rasterize_points
from models.cards.pc2 import PC2_MINI
from models.contract import PreparedImages
from models.diffusion.pc2 import (
    NETWORKS,
    Pc2Net,
    ProjectedStage,
    config_of,
    identify,
    load_pc2,
    noise_of,
)
from models.diffusion.projection import Views, distance_transform, fine_maps, looked_up
from models.encoders.vit import Vit, VitConfig
from models.errors import WeightsError
from tests.parity.golden import DEVICES, Golden, assert_close, assert_strict, golden, on_device

ENCODER, NETWORK = "feature_model.model.", "point_cloud_model.model."


@pytest.fixture(scope="module")
def pc2():
    return golden("pc2")


@pytest.fixture(scope="module", params=DEVICES)
def device(request: pytest.FixtureRequest) -> Iterator[torch.device]:
    with on_device(request.param) as found:
        yield found


@pytest.fixture(scope="module")
def inputs(pc2, device) -> dict[str, torch.Tensor]:
    return {name: tensor.to(device) for name, tensor in pc2.inputs.items()}


@pytest.fixture(scope="module")
def vit(pc2, device) -> Vit:
    sizes = pc2.config["vit"]
    net = Vit(
        VitConfig(
            image_size=pc2.config["image_size"],
            patch_size=sizes["patch_size"],
            width=sizes["embed_dim"],
            depth=sizes["depth"],
            heads=sizes["num_heads"],
        )
    )
    net.load_state_dict({k.removeprefix(ENCODER): v for k, v in pc2.weights().items()})
    return net.to(device).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def picture(inputs) -> tuple[torch.Tensor, torch.Tensor]:
    return inputs["image_u8"].float() / 255, inputs["mask_u8"].float() / 255


@pytest.fixture(scope="module")
def views(inputs) -> Views:
    return Views(*(inputs[f"camera.{name}"] for name in ("R", "T", "focal", "principal")))


@pytest.fixture(scope="module")
def maps(vit, picture) -> tuple[torch.Tensor, torch.Tensor]:
    rgb, mask = picture
    return vit.grid(vit(rgb)), fine_maps(rgb, mask)


def test_tokens_of_the_encoder(pc2, vit, picture):
    assert_close(vit(picture[0]), pc2.outputs["vit_tokens"], 1e-3, 1e-4)


def test_the_published_encoder_has_these_tensors(pc2):
    layout = {k.removeprefix(ENCODER): v for k, v in pc2.layout("feature_model_vit_s16").items()}
    with torch.device("meta"):
        assert_strict(Vit(VitConfig()), layout)


def test_the_distance_transform(pc2, picture):
    assert_close(distance_transform(picture[1]), pc2.outputs["distance_transform"], 0, 1e-5)


def test_the_map_of_all_conditioning(pc2, maps):
    coarse, fine = maps
    expected = pc2.outputs["local_conditioning_at_probe"]
    side = fine.shape[-1]
    size = (side, side)
    large = torch.nn.functional.interpolate(coarse, size, mode="bilinear", align_corners=False)
    whole = torch.cat([fine[:, :3], large, fine[:, 3:]], dim=1)
    step = side // expected.shape[-1]
    assert_close(whole[..., ::step, ::step], expected, 1e-3, 1e-4)


def test_points_of_the_picture(pc2, inputs, views):
    unit = float(inputs["scale_factor"])
    assert_close(views.to_ndc(inputs["x_t"], unit), pc2.outputs["points_ndc"], 0, 1e-5)


def test_which_point_each_pixel_sees(pc2, inputs, views):
    outputs = pc2.outputs
    ndc = views.to_ndc(inputs["x_t"], float(inputs["scale_factor"]))
    side = pc2.config["image_size"]
    fragments = rasterize_points(ndc, side, float(inputs["raster_radius"]))
    assert torch.equal(fragments.point.cpu(), outputs["fragments_idx"].long())
    seen = fragments.point.cpu() >= 0
    z = fragments.z.cpu()[seen]
    assert_close(z, outputs["zbuf"][seen], 1e-3, 1e-3)  # stored in half precision
    pixel = pixels_of_points(fragments, ndc.shape[1]).cpu()
    row, column = outputs["pixel_rowcol_lastwins"].long().unbind(-1)
    assert torch.equal(pixel, torch.where(row < 0, -1, row * side + column))


def notes_of(pc2: Golden) -> dict[str, object]:
    """What the configuration beside the authors' weights says."""
    return pc2.config | {"num_heads": pc2.config["vit"]["num_heads"]}


@pytest.fixture(scope="module")
def published(pc2) -> tuple[str, dict[str, torch.Tensor]]:
    """The fixture's checkpoint: both networks, as the authors' file would hold them."""
    weights = golden("pvcnn2").weights() | pc2.weights()
    network, tensors = identify(weights, notes_of(pc2))
    # The radius is an argument of the authors' class, and in no checkpoint.
    sizes = asdict(config_of(network)) | {"radius": pc2.config["raster_radius"]}
    return json.dumps(sizes), tensors


@pytest.fixture(scope="module")
def net(published, device) -> Pc2Net:
    network, tensors = published
    net = Pc2Net(config_of(network))
    net.load_state_dict(tensors)
    return net.to(device).eval().requires_grad_(False)


def test_a_checkpoint_says_its_own_sizes(pc2, published):
    sizes, config = pc2.config["vit"], config_of(published[0])
    assert config.image_size == pc2.config["image_size"]
    assert config.vit == VitConfig(
        config.image_size,
        sizes["patch_size"],
        sizes["embed_dim"],
        sizes["depth"],
        sizes["num_heads"],
    )
    for name, value in golden("pvcnn2").config.items():
        assert getattr(config.network, name) == value
    assert NETWORKS["published"].radius == 0.0075
    assert config.scale_factor == pc2.config["scale_factor"]
    assert (config.beta_start, config.beta_end) == (
        pc2.config["beta_start"],
        pc2.config["beta_end"],
    )


def test_the_predicted_noise(pc2, net, inputs, views, maps):
    with torch.inference_mode():  # with gradients, group norms are PyTorch's, which are coarser
        found = net.eps(inputs["x_t"], inputs["t"], views, *maps)
    assert_close(found, pc2.outputs["noise_pred"], 0, 5e-4)


def test_the_predicted_noise_through_the_served_form(
    pc2, published, device, inputs, views, maps, picture
):
    """From sigma's side: x = y * sqrt(1 + sigma^2), and back to noise."""
    card = replace(PC2_MINI, id="published", network=published[0], image_size=maps[1].shape[-1])
    model = load_pc2(card, published[1], device)
    rgba = torch.cat(picture, dim=1)
    with torch.inference_mode():
        given = model.encode(PreparedImages(rgba))
        kept = given.features | {"view": views.packed, "fine": maps[1]}  # its picture is opaque
        kept["coarse"] = maps[0]
        stage = cast(ProjectedStage, model.system.stages[0])
        sigma = stage.noise.sigmas.to(device)[inputs["t"]]
        x = inputs["x_t"] * (1 + sigma.view(-1, 1, 1) ** 2).sqrt().float()
        clean = stage.denoise(x, sigma, replace(given, features=kept), None, None)
    eps = (x - clean) / sigma.view(-1, 1, 1).float()
    assert_close(eps, pc2.outputs["noise_pred"], 0, 5e-4)


def test_the_table_of_betas(pc2, published):
    noise = noise_of(config_of(published[0]))
    betas = torch.tensor(noise.betas)
    assert_close(betas, pc2.outputs["sched.betas"], 1e-5, 1e-9)
    assert_close(torch.cumprod(1 - betas.double(), 0), pc2.outputs["sched.alphas_cumprod"], 1e-4, 0)


def test_the_published_size_loads_under_its_keys(pc2):
    layout = pc2.layout("feature_model_vit_s16")
    layout |= golden("pvcnn2").layout("PC2_point_cloud_model")
    with torch.device("meta"):
        assert_strict(Pc2Net(NETWORKS["published"]), layout)
        tensors = {key: torch.empty(shape) for key, (shape, _) in layout.items()}
    network, kept = identify(tensors, {})
    assert network == "published"
    assert kept.keys() == layout.keys()
    scaled, _ = identify(tensors, {"scale_factor": 7.0})
    assert json.loads(scaled)["scale_factor"] == 7.0


def test_the_custom_table_of_betas(pc2, published):
    network, _ = identify(published[1], notes_of(pc2) | {"beta_schedule": "custom"})
    betas = torch.tensor(noise_of(config_of(network)).betas)
    assert_close(betas, pc2.outputs["custom_betas"], 1e-5, 1e-9)


@pytest.mark.parametrize("lacking", [ENCODER, NETWORK])
def test_checkpoints_of_other_systems_are_refused(published, lacking):
    tensors = {k: v for k, v in published[1].items() if not k.startswith(lacking)}
    with pytest.raises(WeightsError, match="no checkpoint of PC"):
        identify(tensors, {})


def test_what_each_point_is_told(pc2, inputs, views, maps):
    x_t = inputs["x_t"]
    ndc = views.to_ndc(x_t, float(inputs["scale_factor"]))
    coarse, fine = maps
    local = looked_up(ndc, coarse, fine, float(inputs["raster_radius"]))
    told = torch.cat([x_t, local], dim=-1)
    assert_close(told, pc2.outputs["input_with_conditioning"], 0, 1e-4)
