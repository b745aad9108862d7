import torch

from kernels.scatter import scatter_sum
from tests.kernels.kit import assert_repeatable, cloud, lengths


def test_rows_are_added_where_their_index_says() -> None:
    values = cloud(4, 2)
    out = scatter_sum(values, lengths(2, 0, 2, 2), 4)
    assert torch.equal(out[0], values[1])
    assert torch.allclose(out[2], values[0] + values[2] + values[3])
    assert not out[[1, 3]].any()


def test_every_run_gives_the_same_bits() -> None:
    values = cloud(5000, 3)
    index = torch.arange(5000, device=values.device) % 7
    assert_repeatable(lambda: scatter_sum(values, index, 7))
    truth = torch.stack([values[each::7].double().sum(0) for each in range(7)])
    assert torch.allclose(scatter_sum(values, index, 7).double(), truth, atol=1e-3)


def test_nothing_to_add() -> None:
    assert scatter_sum(cloud(0, 3), lengths(), 2).tolist() == [[0, 0, 0]] * 2
