import pytest
import torch
from torch import Tensor

from models.encoders.own import (
    IMAGE_SIZE,
    MAP_CHANNELS,
    TOKEN_WIDTH,
    TOKENS,
    OwnEncoder,
    divided,
    enlarged,
    fit,
    token_grid,
)
from models.errors import WeightsError
from models.feedforward.draft import DraftConfig, DraftNet

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return DraftNet(DraftConfig(image_size=IMAGE_SIZE)).state_dict()


def test_the_sizes_are_those_of_the_network(tensors):
    description = OwnEncoder(tensors, CPU)(torch.rand(2, 4, IMAGE_SIZE, IMAGE_SIZE))
    assert description.tokens.shape == (2, TOKENS, TOKEN_WIDTH)
    sides = [IMAGE_SIZE // k for k in (8, 4, 2)]
    expected = [(2, C, side, side) for C, side in zip(MAP_CHANNELS, sides, strict=True)]
    assert [item.shape for item in description.maps] == expected
    assert description.layers.camera.shape == (2, 5)


def test_it_is_frozen(tensors):
    encoder = OwnEncoder(tensors, CPU)
    rgba = torch.rand(1, 4, IMAGE_SIZE, IMAGE_SIZE, requires_grad=True)
    assert not encoder(rgba).tokens.requires_grad
    assert not any(p.requires_grad for p in encoder.net.parameters())


def test_half_precision_weights_are_taken(tensors):
    half = {name: value.half() for name, value in tensors.items()}
    encoder = OwnEncoder(half, CPU)
    assert {p.dtype for p in encoder.net.parameters()} == {torch.float32}


def test_a_file_is_divided_by_prefix():
    one, two, three = torch.zeros(1), torch.ones(1), torch.ones(2)
    encoder, own = divided({"a": one, "system.a": two, "system.system.b": three})
    assert encoder == {"a": one}
    assert own == {"a": two, "system.b": three}
    assert divided({}) == ({}, {})


def test_weights_that_do_not_fit_are_named(tensors):
    some = dict(list(tensors.items())[1:])
    with pytest.raises(WeightsError, match=f"mini: .*{next(iter(tensors))}"):
        OwnEncoder(some, CPU, "mini")
    net = torch.nn.Linear(2, 3)
    for given in (
        {"weight": torch.zeros(3, 2)},
        {"weight": torch.zeros(2, 2), "bias": torch.zeros(3)},
        {"weight": torch.zeros(3, 2), "bias": torch.zeros(3), "more": torch.zeros(1)},
    ):
        with pytest.raises(WeightsError, match="a layer: the weights do not fit"):
            fit(net, given, "a layer")
    many = {f"blocks.{number}.weight": torch.zeros(1) for number in range(1000)}
    with pytest.raises(WeightsError) as caught:
        fit(net, many, "a layer")
    assert len(str(caught.value)) < 600
    assert "\n" not in str(caught.value)


def test_tokens_lie_as_the_picture_does(tensors):
    description = OwnEncoder(tensors, CPU)(torch.rand(1, 4, IMAGE_SIZE, IMAGE_SIZE))
    grid = token_grid(description)
    side = IMAGE_SIZE // 16
    assert grid.shape == (1, TOKEN_WIDTH, side, side)
    assert grid[0, :, 1, 2].equal(description.tokens[0, side + 2])
    assert enlarged(grid, 2 * side).shape == (1, TOKEN_WIDTH, 2 * side, 2 * side)
