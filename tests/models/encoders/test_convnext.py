import pytest
import torch

from models.encoders.convnext import ConvNeXt


def test_each_stage_halves_the_side():
    maps = ConvNeXt((8, 16, 24), (1, 2, 1))(torch.rand(2, 3, 96, 64))
    assert [list(item.shape) for item in maps] == [[2, 8, 24, 16], [2, 16, 12, 8], [2, 24, 6, 4]]


def test_a_side_that_is_no_multiple_is_cut():
    maps = ConvNeXt((8, 16), (1, 1))(torch.rand(1, 3, 137, 137))
    assert [item.shape[-1] for item in maps] == [34, 17]


@pytest.mark.parametrize("axis", [2, 3])
def test_a_new_network_is_about_its_down_sampling_alone(axis):
    """The scale of a block's branch starts at 1e-6."""
    torch.manual_seed(0)
    net = ConvNeXt((8,), (2,))
    x = torch.rand(1, 3, 32, 32).flip(axis)
    down = net.stages[0].get_submodule("0")
    torch.testing.assert_close(net(x)[0], down(x), rtol=1e-3, atol=1e-3)
