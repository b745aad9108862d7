"""Features of pixels for the points seen there. The z-buffer has a module of its own."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from kernels.errors import ShapeError
from kernels.point_rasterize import TABLE, gather_features
from kernels.point_rasterize.taps import Mode
from tests.kernels.kit import DEVICE, cloud, each_backend, forced, lengths, refused, strided
from tests.kernels.parity import golden_set

each = each_backend(TABLE)


@each
def test_golden_conditioning(backend: str) -> None:
    values = golden_set("pc2")
    row, column = values["pixel_rowcol_lastwins"].long().unbind(-1)
    pixel = torch.where(row >= 0, row * 224 + column, -1)
    mask = values["mask_u8"] / 255
    colour = (values["image_u8"] / 255 - 0.5) / 0.5
    tokens = values["vit_tokens"][:, 1:].mT.unflatten(2, (14, 14))
    with forced(backend, TABLE):
        features = torch.cat(
            [
                gather_features(colour, pixel, 224, "nearest"),
                gather_features(tokens, pixel, 224),
                gather_features(mask, pixel, 224),
                gather_features(values["distance_transform"], pixel, 224),
            ],
            dim=2,
        )
    assert torch.allclose(features, values["input_with_conditioning"][..., 3:], rtol=0, atol=1e-5)


@each
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
@pytest.mark.parametrize(
    ("shape", "size", "N"),
    [
        ((2, 5, 3, 7), (20, 30), 90),
        ((1, 130, 4, 4), (8, 9), 33),
        ((1, 1, 1, 1), (5, 5), 10),
        ((1, 3, 12, 10), (12, 10), 40),
        ((1, 17, 9, 16), (4, 3), 12),  # a map larger than the picture
    ],
)
def test_features_are_those_of_the_enlarged_map(
    backend: str, mode: Mode, shape: tuple[int, int, int, int], size: tuple[int, int], N: int
) -> None:
    (B, C, _, _), (H, W) = shape, size
    feature_map = cloud(*shape)
    pixel = torch.randint(-1, H * W, (B, N), generator=torch.Generator().manual_seed(0)).to(DEVICE)
    pixel[:, -1], pixel[:, 0] = H * W - 1, -1
    options = {"align_corners": False} if mode == "bilinear" else {}
    with forced(backend, TABLE):
        features = gather_features(feature_map, pixel, size, mode)
        half = gather_features(feature_map.half(), pixel, size, mode)
        assert torch.equal(gather_features(strided(feature_map), pixel, size, mode), features)
        side_by_side = feature_map.to(memory_format=torch.channels_last)
        assert torch.equal(gather_features(side_by_side, strided(pixel), size, mode), features)
    large = interpolate(feature_map.double(), size=size, mode=mode, **options).flatten(2)
    for b in range(B):
        expected = large[b][:, pixel[b]].T * (pixel[b] >= 0)[:, None]
        assert torch.allclose(features[b].double(), expected, rtol=1e-5, atol=2e-6)
    assert features.shape == (B, N, C)
    assert (features[pixel < 0] == 0).all()
    assert half.dtype == torch.float16
    assert torch.allclose(half.float(), features, rtol=2e-3, atol=2e-3)


@each
def test_a_map_as_large_as_the_picture_is_read_as_it_is(backend: str) -> None:
    feature_map = cloud(1, 4, 7, 11)
    pixel = torch.arange(77, device=DEVICE)[None]
    with forced(backend, TABLE):
        for mode in ("bilinear", "nearest"):
            features = gather_features(feature_map, pixel, (7, 11), mode)
            assert torch.equal(features, feature_map.flatten(2).mT)


@pytest.mark.gpu
@each
def test_bfloat16_features(backend: str) -> None:
    feature_map, pixel = cloud(2, 40, 5, 6, dtype=torch.bfloat16), lengths(0, 7, 500, 899)
    with forced(backend, TABLE):
        features = gather_features(feature_map, pixel.expand(2, 4), 30)
        exact = gather_features(feature_map.float(), pixel.expand(2, 4), 30)
    assert features.dtype == torch.bfloat16
    assert torch.allclose(features.float(), exact, rtol=2**-8, atol=1e-6)


@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
@pytest.mark.parametrize("backend", TABLE.runnable(DEVICE.type, torch.float64))
def test_gradient(backend: str, mode: Mode) -> None:
    feature_map = cloud(2, 3, 2, 3, dtype=torch.float64).requires_grad_()
    pixel = torch.tensor([[3, -1, 3, 41], [0, 17, 29, -1]], device=DEVICE)

    def features_of(given: Tensor) -> Tensor:
        return gather_features(given, pixel, (6, 7), mode)

    with forced(backend, TABLE):
        assert torch.autograd.gradcheck(features_of, feature_map)


@each
def test_gradient_in_single_precision(backend: str) -> None:
    """Against that of the enlarged map, by PyTorch."""
    pixel = torch.randint(-1, 15 * 12, (2, 50), generator=torch.Generator().manual_seed(0))
    pixel, weight = pixel.to(DEVICE), cloud(2, 50, 6, seed=1)
    feature_map = cloud(2, 6, 4, 3).requires_grad_()
    exact = feature_map.detach().double().requires_grad_()
    with forced(backend, TABLE):
        (gather_features(feature_map, pixel, (15, 12)) * weight).sum().backward()
    large = interpolate(exact, size=(15, 12), mode="bilinear", align_corners=False).flatten(2)
    at = pixel.clamp(min=0)[:, None].expand(-1, 6, -1)
    ((large.gather(2, at).mT * weight) * (pixel >= 0)[..., None]).sum().backward()
    assert feature_map.grad is not None
    assert exact.grad is not None
    assert torch.allclose(feature_map.grad.double(), exact.grad, rtol=1e-5, atol=1e-5)


@each
def test_bad_features(backend: str) -> None:
    feature_map, pixel = cloud(2, 3, 4, 4), lengths(0, 1, 2).expand(2, 3)
    with forced(backend, TABLE):
        with refused(ShapeError, "feature_map: [B, C, h, w]", "[3, 4, 4]"):
            gather_features(feature_map[0], pixel, 8)
        with refused(ShapeError, "pixel: [B, N] with B = 2", "[1, 3]"):
            gather_features(feature_map, pixel[:1], 8)
        with refused(ValueError, "feature_map:", "torch.bfloat16", "torch.int64"):
            gather_features(feature_map.long(), pixel, 8)
        with refused(ValueError, "pixel: torch.int64", "torch.int32"):
            gather_features(feature_map, pixel.int(), 8)
        with refused(ValueError, "pixel: device", "meta"):
            gather_features(feature_map, pixel.to("meta"), 8)
        with refused(ValueError, "pixel: values of -1 to 63", "64"):
            gather_features(feature_map, pixel + 62, 8)
        with refused(ValueError, "pixel: values of -1 to 63", "-2"):
            gather_features(feature_map, pixel - 2, 8)
        with refused(ValueError, "image_size: W", "0"):
            gather_features(feature_map, pixel, (8, 0))
        with refused(ValueError, "feature_map: finite"):
            gather_features(feature_map / 0, pixel, 8)
        with refused(ValueError, "mode: 'bilinear' or 'nearest'", "'cubic'"):
            gather_features(feature_map, pixel, 8, "cubic")  # type: ignore[arg-type]
