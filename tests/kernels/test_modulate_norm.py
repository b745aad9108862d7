from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from kernels.checks import trust_values
from kernels.errors import BackendError, ShapeError
from kernels.modulate_norm import TABLE, modulate_norm
from tests.kernels.kit import (
    DEVICE,
    assert_as_exact,
    assert_repeatable,
    cloud,
    each_backend,
    forced,
    lengths,
    refused,
    relative_error,
    strided,
)

each = each_backend(TABLE)
HALF = [
    torch.float16,
    pytest.param(torch.bfloat16, marks=pytest.mark.gpu),
]
EPS = 1e-5


def _inputs(
    B: int, N: int, C: int, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """x, shift, scale, residual, gate."""
    x, residual = (cloud(B, N, C, seed=seed, dtype=dtype) for seed in (0, 1))
    shift, scale, gate = (cloud(B, C, seed=seed, dtype=dtype) for seed in (2, 3, 4))
    return x, shift, scale, residual, gate


def _written_out(x: Tensor, shift: Tensor, scale: Tensor, eps: float = EPS) -> Tensor:
    """As networks have it, each operation rounding to the type of x."""
    return F.layer_norm(x, x.shape[-1:], eps=eps) * (1 + scale[:, None]) + shift[:, None]


def _exact(x: Tensor, shift: Tensor, scale: Tensor, eps: float = EPS) -> Tensor:
    x, shift, scale = x.double(), shift.double(), scale.double()
    centred = x - x.mean(-1, keepdim=True)
    spread = (centred.square().mean(-1, keepdim=True) + eps).sqrt()
    return centred / spread * (1 + scale[:, None]) + shift[:, None]


@each
def test_hand_made(backend: str) -> None:
    x = torch.tensor([[[1.0, 3, 5, 7], [2, 2, 2, 2]]], device=DEVICE)
    residual = torch.tensor([[[0.0, 2, 0, 2], [1, 1, 1, 1]]], device=DEVICE)
    shift, scale, gate = (
        torch.tensor([row], device=DEVICE)
        for row in ([0.0, 1, 2, 3], [0.0, 1, -1, 0], [1.0, -1, 1, -1])
    )
    with forced(backend, TABLE):
        y = modulate_norm(x, shift, scale, eps=4.0 / 9)
        total, of_total = modulate_norm(x, shift, scale, residual, gate, eps=1e-12)
    # Mean 4, variance 5, root of 49/9: 7/3. The second row is constant.
    a, b, d = -3 * 3 / 7, 1 - 2 * 3 / 7, 3 + 3 * 3 / 7
    assert torch.allclose(y.cpu(), torch.tensor([[[a, b, 2, d], [0, 1, 2, 3]]]))
    assert total.tolist() == [[[1, 1, 5, 5], [3, 1, 3, 1]]]
    expected = torch.tensor([[[-1.0, -1, 2, 4], [1, -1, 2, 2]]])
    assert torch.allclose(of_total.cpu(), expected)


@each
@pytest.mark.parametrize(
    ("B", "N", "C"),
    [(1, 1, 1), (2, 63, 192), (1, 101, 288), (3, 5, 1152), (1, 3, 2048), (2, 7, 3), (1, 9, 1001)],
)
def test_against_float64(backend: str, B: int, N: int, C: int) -> None:
    x, shift, scale, residual, gate = _inputs(B, N, C)
    with forced(backend, TABLE):
        y = modulate_norm(x, shift, scale, eps=EPS)
        total, of_total = modulate_norm(x, shift, scale, residual, gate, EPS)
    assert_as_exact(y, _written_out(x, shift, scale), _exact(x, shift, scale))
    summed = x.double() + gate.double()[:, None] * residual.double()
    assert_as_exact(total, x + gate[:, None] * residual, summed, floor=1e-7)
    assert_as_exact(of_total, _written_out(total, shift, scale), _exact(total, shift, scale))


@each
@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("C", [192, 1152])
def test_half_precision(backend: str, dtype: torch.dtype, C: int) -> None:
    x, shift, scale, residual, gate = _inputs(2, 21, C, dtype)
    with forced(backend, TABLE):
        y = modulate_norm(x, shift, scale, eps=EPS)
        total, of_total = modulate_norm(x, shift, scale, residual, gate, EPS)
    assert_as_exact(y, _written_out(x, shift, scale), _exact(x, shift, scale))
    summed = x.double() + gate.double()[:, None] * residual.double()
    assert_as_exact(total, x + gate[:, None] * residual, summed)
    # Of the sum as it was handed out, not of what it was before it was rounded.
    assert_as_exact(of_total, _written_out(total, shift, scale), _exact(total, shift, scale))


@pytest.mark.parametrize("backend", ["triton", "reference", "native"])
def test_fusion_rounds_once(backend: str) -> None:
    """Half precision in and out costs half a unit in the last place, where operations that round
    between them cost more."""
    if backend not in TABLE.runnable(DEVICE.type, torch.float16):
        pytest.skip(f"{backend} does not run on {DEVICE}")
    x, shift, scale, _, _ = _inputs(1, 80, 192, torch.float16)
    truth = _exact(x, shift, scale)
    with forced(backend, TABLE):
        y = modulate_norm(x, shift, scale, eps=EPS)
    assert relative_error(y, truth) <= 1.01 * relative_error(truth.half(), truth)
    assert relative_error(_written_out(x, shift, scale), truth) > 1.2 * relative_error(y, truth)


@pytest.mark.parametrize("backend", TABLE.runnable(DEVICE.type, torch.float64))
def test_float64(backend: str) -> None:
    x, shift, scale, residual, gate = _inputs(2, 9, 33, torch.float64)
    with forced(backend, TABLE):
        total, y = modulate_norm(x, shift, scale, residual, gate, EPS)
    assert torch.allclose(total, x + gate[:, None] * residual, rtol=1e-14)
    assert torch.allclose(y, _exact(total, shift, scale), rtol=1e-12, atol=1e-13)


@each
def test_what_is_left_out_is_nought_or_one(backend: str) -> None:
    x, shift, scale, residual, gate = _inputs(2, 11, 48)
    nought, one = torch.zeros_like(shift), torch.ones_like(gate)
    with forced(backend, TABLE):
        for with_shift, with_scale in product((True, False), repeat=2):
            given = (shift if with_shift else None, scale if with_scale else None)
            full = (shift if with_shift else nought, scale if with_scale else nought)
            expected = modulate_norm(x, *full)
            assert torch.allclose(modulate_norm(x, *given), expected, rtol=1e-6, atol=1e-6)
            for with_gate in (True, False):
                total, y = modulate_norm(x, *given, residual, gate if with_gate else None)
                total_2, y_2 = modulate_norm(x, *full, residual, gate if with_gate else one)
                assert torch.allclose(total, total_2, rtol=1e-6, atol=1e-6)
                assert torch.allclose(y, y_2, rtol=1e-6, atol=1e-5)


@each
def test_constant_rows_give_the_shift(backend: str) -> None:
    _, shift, scale, _, _ = _inputs(2, 1, 192)
    x = torch.full((2, 5, 192), 0.375, device=DEVICE)
    with forced(backend, TABLE):
        y = modulate_norm(x, shift, scale)
    assert torch.allclose(y, shift[:, None].expand_as(y), atol=1e-4)


@pytest.mark.parametrize("backend", ["reference", "triton"])
@pytest.mark.parametrize("level", [0.1, 1e4, -1e8])
def test_constant_rows_at_any_level(backend: str, level: float) -> None:
    """Where the mean is corrected nothing of its rounding is left for 1 / sqrt(eps) to magnify."""
    if backend not in TABLE.runnable(DEVICE.type):
        pytest.skip(f"{backend} does not run on {DEVICE}")
    _, shift, scale, _, _ = _inputs(1, 1, 1001)
    with forced(backend, TABLE):
        y = modulate_norm(torch.full((1, 3, 1001), level, device=DEVICE), shift, scale)
    assert torch.allclose(y, shift[:, None].expand_as(y), atol=1e-5)


@each
def test_small_spread_far_from_nought(backend: str) -> None:
    """Mean 1e4, standard deviation 1e-2: E[x^2] - E[x]^2 would have no digit left."""
    _, shift, scale, _, _ = _inputs(2, 1, 192)
    x = cloud(2, 30, 192) * 1e-2 + 1e4
    truth = _exact(x, shift, scale, 1e-6)
    with forced(backend, TABLE):
        y = modulate_norm(x, shift, scale)
    assert_as_exact(y, _written_out(x, shift, scale, 1e-6), truth)
    if backend in ("reference", "triton"):
        assert relative_error(y, truth) < 1e-6


@each
def test_a_scale_of_minus_one_leaves_the_shift(backend: str) -> None:
    x, shift, _, _, _ = _inputs(2, 10, 100)
    with forced(backend, TABLE):
        y = modulate_norm(x, shift, torch.full_like(shift, -1))
    assert torch.equal(y, shift[:, None].expand_as(y))


@each
@pytest.mark.parametrize("factor", [1e-18, 1e-3, 1e17])
def test_tiny_and_huge_values(backend: str, factor: float) -> None:
    x, shift, scale, _, _ = _inputs(1, 10, 192)
    x = x * factor
    with forced(backend, TABLE):
        y = modulate_norm(x, shift, scale)
    assert relative_error(y, _exact(x, shift, scale, 1e-6)) < 1e-6


@each
def test_strides_do_not_matter(backend: str) -> None:
    x, shift, scale, residual, gate = _inputs(3, 13, 24)
    pieces = torch.cat([shift, scale, gate], dim=-1)[:, None].chunk(3, dim=-1)
    in_pieces = [piece[:, 0] for piece in pieces]  # rows 72 apart, as one projection gives them
    assert in_pieces[0].stride() == (72, 1)
    with forced(backend, TABLE):
        plain = modulate_norm(x, shift, scale, residual, gate)
        other = modulate_norm(
            strided(x), in_pieces[0], strided(scale), residual.mT.contiguous().mT, in_pieces[2]
        )
    assert all(
        torch.allclose(a, b, rtol=1e-6, atol=1e-6) for a, b in zip(plain, other, strict=True)
    )
    assert other[1].is_contiguous()


@each
def test_inputs_are_left_alone(backend: str) -> None:
    inputs = _inputs(2, 6, 20)
    before = [each.clone() for each in inputs]
    with forced(backend, TABLE):
        results = modulate_norm(*inputs)
    assert all(torch.equal(a, b) for a, b in zip(inputs, before, strict=True))
    assert not {each.data_ptr() for each in inputs} & {each.data_ptr() for each in results}


@each
def test_no_clouds_at_all(backend: str) -> None:
    x, shift, scale, residual, gate = _inputs(0, 5, 8)
    with forced(backend, TABLE):
        assert modulate_norm(x, shift, scale).shape == (0, 5, 8)
        assert modulate_norm(x, shift, scale, residual, gate)[0].shape == (0, 5, 8)


@each
@settings(max_examples=10)
@given(seed=st.integers(0, 2**31), level=st.floats(-10, 10), factor=st.floats(0.5, 4))
def test_order_level_and_size_do_not_matter(
    backend: str, seed: int, level: float, factor: float
) -> None:
    x, shift, scale, _, _ = _inputs(2, 9, 36)
    x = cloud(2, 9, 36, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    rows, columns = (torch.randperm(n, generator=generator).to(DEVICE) for n in (9, 36))
    with forced(backend, TABLE):
        plain = modulate_norm(x, shift, scale)
        by_row = modulate_norm(x[:, rows], shift, scale)
        by_column = modulate_norm(x[..., columns], shift[:, columns], scale[:, columns])
        moved = modulate_norm(x * factor + level, shift, scale, eps=1e-12)
        still = modulate_norm(x, shift, scale, eps=1e-12)
        alone = modulate_norm(x[1:], shift[1:], scale[1:])
    assert torch.equal(by_row, plain[:, rows])
    assert torch.allclose(by_column, plain[..., columns], rtol=1e-5, atol=1e-5)
    assert torch.allclose(moved, still, rtol=1e-4, atol=1e-4)
    assert torch.allclose(alone, plain[1:], rtol=1e-6, atol=1e-6)


@each
def test_gradient(backend: str) -> None:
    if backend != "triton":

        def both(
            x: Tensor, shift: Tensor, scale: Tensor, residual: Tensor, gate: Tensor
        ) -> tuple[Tensor, Tensor]:
            return modulate_norm(x, shift, scale, residual, gate, EPS)

        def alone(x: Tensor, scale: Tensor) -> Tensor:
            return modulate_norm(x, scale=scale, eps=EPS)

        inputs = [each.requires_grad_() for each in _inputs(2, 3, 7, torch.float64)]
        with forced(backend, TABLE):
            assert torch.autograd.gradcheck(both, inputs)
            assert torch.autograd.gradcheck(alone, (inputs[0], inputs[2]))
        return
    x, shift, scale, residual, gate = (each.requires_grad_() for each in _inputs(2, 9, 48))
    with forced(backend, TABLE):
        ours = modulate_norm(x, shift, scale, residual, gate, EPS)
    wide = [each.detach().double().requires_grad_() for each in (x, shift, scale, residual, gate)]
    total = wide[0] + wide[4][:, None] * wide[3]
    truth = (total, _exact(total, wide[1], wide[2]))
    weights = [cloud(2, 9, 48, seed=seed) for seed in (5, 6)]
    found = torch.autograd.grad(ours, (x, shift, scale, residual, gate), weights)
    expected = torch.autograd.grad(truth, wide, [weight.double() for weight in weights])
    for mine, right in zip(found, expected, strict=True):
        assert relative_error(mine, right) < 1e-6


@each
def test_gradient_of_some_inputs(backend: str) -> None:
    x, shift, scale, residual, gate = _inputs(2, 9, 16)
    residual.requires_grad_()
    shift.requires_grad_()
    with forced(backend, TABLE):
        total, y = modulate_norm(x, shift, scale, residual, gate)
    y.sum().backward()  # the sum itself unused
    assert total.requires_grad
    assert shift.grad is not None
    assert torch.allclose(shift.grad, torch.full_like(shift, 9))
    assert residual.grad is not None
    assert torch.isfinite(residual.grad).all()
    assert x.grad is None


@each
def test_every_run_gives_the_same_bits(backend: str) -> None:
    inputs = _inputs(2, 40, 192)

    def run() -> tuple[Tensor, ...]:
        x, shift, scale, residual, gate = leaves = tuple(
            each.clone().requires_grad_() for each in inputs
        )
        with forced(backend, TABLE):
            results = modulate_norm(x, shift, scale, residual, gate)
        return (*results, *torch.autograd.grad(results, leaves, [inputs[3], inputs[0]]))

    assert_repeatable(run)


@each
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_autocast_does_not_change_types(backend: str, dtype: torch.dtype) -> None:
    inputs = _inputs(1, 4, 16, dtype)
    x, shift, scale, residual, gate = (each.requires_grad_() for each in inputs)
    with forced(backend, TABLE), torch.autocast(DEVICE.type, torch.bfloat16):
        total, y = modulate_norm(x, shift, scale, residual, gate)
        (of_x,) = torch.autograd.grad(y.float().sum(), [x])
        plain = modulate_norm(x)
    assert {each.dtype for each in (total, y, of_x, plain)} == {dtype}


@each
def test_bad_input(backend: str) -> None:
    x, shift, scale, residual, gate = _inputs(2, 5, 8)
    with forced(backend, TABLE):
        with refused(ShapeError, "x: [B, N, C]", "[5, 8]"):
            modulate_norm(x[0], shift, scale)
        with refused(ShapeError, "x: [B, N, C]", "[2, 0, 8]"):
            modulate_norm(x[:, :0], shift, scale)
        with refused(ShapeError, "shift: [B, C] with B = 2, C = 8", "[1, 8]"):
            modulate_norm(x, shift[:1], scale)
        with refused(ShapeError, "scale: [B, C]", "[2, 7]"):
            modulate_norm(x, shift, scale[:, :7])
        with refused(ShapeError, "scale: [B, C]", "[2, 1, 8]"):
            modulate_norm(x, shift, scale[:, None])
        with refused(ShapeError, "residual: [B, N, C]", "[2, 4, 8]"):
            modulate_norm(x, shift, scale, residual[:, :4])
        with refused(ShapeError, "gate: [B, C]", "[2, 5, 8]"):
            modulate_norm(x, shift, scale, residual, residual)
        with refused(ValueError, "C: 1 to 2048", "2049"):
            modulate_norm(cloud(1, 1, 2049))
        with refused(ValueError, "eps: 1e-12 to 1.0", "0.0"):
            modulate_norm(x, shift, scale, eps=0.0)
        with refused(ValueError, "eps", "nan"):
            modulate_norm(x, shift, scale, eps=float("nan"))
        with refused(ValueError, "x: torch.float32", "torch.int64"):
            modulate_norm(x.long())
        with refused(ValueError, "scale: torch.float32 as of x", "torch.float16"):
            modulate_norm(x, shift, scale.half())
        with refused(ValueError, "residual: device", "meta"):
            modulate_norm(x, shift, scale, residual.to("meta"))
        with refused(ValueError, "gate: a residual"):
            modulate_norm(x, shift, scale, None, gate)  # type: ignore[call-overload]
        with refused(ValueError, "x: finite", "20 that"):
            modulate_norm(x.index_fill(2, lengths(3, 5), torch.nan), shift, scale)
        with refused(ValueError, "shift: finite"):
            modulate_norm(x, shift / 0, scale)
        with refused(ValueError, "scale: finite"):
            modulate_norm(x, shift, scale * torch.nan)
        with refused(ValueError, "residual: finite"):
            modulate_norm(x, shift, scale, residual / 0, gate)
        with refused(ValueError, "gate: finite"):
            modulate_norm(x, shift, scale, residual, gate / 0)


def test_an_unknown_backend_is_refused() -> None:
    with refused(BackendError, "modulate_norm", "eager", "'tiled'"), forced("tiled", TABLE):
        modulate_norm(cloud(1, 2, 3))


@each
def test_trusted_values_are_not_read(backend: str) -> None:
    x, shift, scale, _, _ = _inputs(2, 6, 20)
    x[0, 3, 7] = torch.nan
    with trust_values(), forced(backend, TABLE):
        y = modulate_norm(x, shift, scale)
    broken = torch.isnan(y).any(dim=-1)
    assert broken[0].tolist() == [row == 3 for row in range(6)]
    assert not broken[1].any()
