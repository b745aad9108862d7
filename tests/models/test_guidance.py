import math

import pytest
import torch

from models.guidance import guide, guided_batch


def network(batch, cond, uncond):
    """What a network would give: rows of `cond` or of `uncond`."""
    drop = batch.unconditional[:, None, None]
    return torch.where(drop, uncond[batch.rows], cond[batch.rows])


def clouds(seed, B=4):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(B, 5, 3, generator=generator)


def test_only_guided_rows_are_evaluated_twice():
    batch = guided_batch(torch.tensor([1.0, 2.0, 1.0, 0.0]))
    assert batch.clouds == 4
    assert batch.rows.tolist() == [0, 1, 2, 3, 1, 3]
    assert batch.unconditional.tolist() == [False] * 4 + [True] * 2


def test_guided_is_beyond_conditional():
    cond, uncond = clouds(0), clouds(1)
    w = torch.tensor([1.0, 3.0, 0.5, 0.0])
    batch = guided_batch(w)
    guided = guide(network(batch, cond, uncond), batch, w)
    expected = uncond + w[:, None, None] * (cond - uncond)
    torch.testing.assert_close(guided, expected)
    assert torch.equal(guided[0], cond[0])  # not nearly
    assert torch.equal(guided[3], uncond[3])


def test_without_guidance_nothing_is_added():
    cond = clouds(0)
    w = torch.ones(4)
    batch = guided_batch(w)
    assert batch.rows.tolist() == [0, 1, 2, 3]
    assert not batch.unconditional.any()
    assert torch.equal(guide(cond, batch, w), cond)


def test_a_row_does_not_depend_on_its_batch():
    cond, uncond = clouds(0), clouds(1)
    w = torch.tensor([2.5, 1.0, 7.0, 0.3])
    batch = guided_batch(w)
    together = guide(network(batch, cond, uncond), batch, w)
    for i in range(4):
        one = guided_batch(w[i : i + 1])
        alone = guide(network(one, cond[i : i + 1], uncond[i : i + 1]), one, w[i : i + 1])
        assert torch.equal(together[i], alone[0])


def test_half_precision_is_guided_in_float32():
    cond, uncond = clouds(0).bfloat16(), clouds(1).bfloat16()
    w = torch.full((4,), 3.3)
    batch = guided_batch(w)
    guided = guide(network(batch, cond, uncond), batch, w)
    assert guided.dtype == torch.float32
    expected = uncond.double() + w.double()[:, None, None] * (cond.double() - uncond.double())
    torch.testing.assert_close(guided.double(), expected, rtol=1e-6, atol=1e-6)


def test_one_number_per_point_can_be_guided():
    w = torch.tensor([2.0, 1.0])
    batch = guided_batch(w)
    assert guide(torch.tensor([3.0, 5.0, 1.0]), batch, w).tolist() == [5.0, 5.0]


def test_no_clouds_at_all():
    w = torch.zeros(0)
    batch = guided_batch(w)
    assert guide(torch.zeros(0, 5, 3), batch, w).shape == (0, 5, 3)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_scales_are_finite(bad):
    with pytest.raises(ValueError, match="finite"):
        guided_batch(torch.tensor([1.0, bad]))


def test_scales_are_one_per_row():
    with pytest.raises(ValueError, match=r"\[B\] expected, got \[\]"):
        guided_batch(torch.tensor(2.0))
    batch = guided_batch(torch.tensor([1.0, 2.0]))
    with pytest.raises(ValueError, match=r"\[2\] expected, got \[3\]"):
        guide(torch.zeros(3, 5, 3), batch, torch.ones(3))


def test_every_row_of_the_batch_is_wanted():
    w = torch.tensor([1.0, 2.0])
    with pytest.raises(ValueError, match="3 rows expected, got 2"):
        guide(torch.zeros(2, 5, 3), guided_batch(w), w)
