import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from kernels.attention import TABLE, attention
from kernels.attention.key_values import KeyValues
from tests.kernels.attending import able, eager, exact, qkv
from tests.kernels.kit import (
    DEVICE,
    assert_as_exact,
    assert_repeatable,
    cloud,
    forced,
    lengths,
    relative_error,
    strided,
)

HALF_ERROR = {torch.float16: 2e-3, torch.bfloat16: 1e-2}

each = able()
each_masked = able(masked=True)
each_with_lse = able(masked=True, lse=True)
each_with_gradient = able(torch.float64, masked=True, gradient=True, deterministic=True)


@each
def test_hand_made(backend: str) -> None:
    q = torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]], device=DEVICE)
    k = torch.tensor([[[[2.0, 5.0], [0.0, 7.0]]]], device=DEVICE)
    v = torch.tensor([[[[1.0, 0.0], [0.0, 1.0]]]], device=DEVICE)
    with forced(backend, TABLE):
        out = attention(q, k, v, scale=1.0)
    e = torch.tensor(2.0).exp().item()
    expected = [[e / (e + 1), 1 / (e + 1)], [0.5, 0.5]]
    assert torch.allclose(out[0, 0], torch.tensor(expected, device=DEVICE))


@each
@pytest.mark.parametrize(
    ("B", "H", "N", "M", "d"),
    [
        (1, 1, 1, 1, 8),
        (2, 3, 63, 1, 16),
        (1, 2, 1, 65, 32),
        (1, 1, 129, 65, 48),
        (2, 1, 65, 33, 64),
        (1, 2, 17, 100, 72),
        (1, 1, 20, 40, 80),
        (1, 1, 33, 17, 96),
        (1, 1, 33, 40, 128),
        (1, 1, 5, 1001, 24),
    ],
)
def test_against_float64(backend: str, B: int, H: int, N: int, M: int, d: int) -> None:
    q, k, v = qkv(B, H, N, M, d)
    with forced(backend, TABLE):
        out = attention(q, k, v)
    assert out.shape == (B, H, N, d)
    assert_as_exact(out, eager(q, k, v), exact(q, k, v), floor=5e-7)


@able(torch.float16)
@pytest.mark.parametrize(
    ("N", "M", "d"), [(129, 65, 72), (1, 1, 16), (100, 64, 64), (9, 1025, 80), (40, 63, 128)]
)
def test_half_precision(backend: str, N: int, M: int, d: int) -> None:
    q, k, v = qkv(1, 1, N, M, d, dtype=torch.float16)
    with forced(backend, TABLE):
        out = attention(q, k, v)
    assert out.dtype == torch.float16
    assert relative_error(out, exact(q, k, v)) <= HALF_ERROR[torch.float16]


@pytest.mark.gpu
@able(torch.bfloat16)
@pytest.mark.parametrize("N", [1, 129, 1281, 4096])
@pytest.mark.parametrize("d", [64, 72, 80, 128])
def test_bfloat16(backend: str, N: int, d: int) -> None:
    q, k, v = qkv(2, 4, N, N, d, dtype=torch.bfloat16)
    with forced(backend, TABLE):
        out = attention(q, k, v)
    assert relative_error(out, exact(q, k, v)) <= HALF_ERROR[torch.bfloat16]


@pytest.mark.parametrize("backend", ["reference", "eager", "sdpa_flash", "sdpa_math"])
def test_bfloat16_by_pytorch(backend: str) -> None:
    q, k, v = qkv(1, 2, 65, 33, 72, dtype=torch.bfloat16)
    with forced(backend, TABLE):
        out = attention(q, k, v)
    assert relative_error(out, exact(q, k, v)) <= HALF_ERROR[torch.bfloat16]


@each
def test_scale(backend: str) -> None:
    q, k, v = qkv(1, 1, 16, 20, 32)
    with forced(backend, TABLE):
        out = attention(q, k, v, scale=1.0)
    assert relative_error(out, exact(q, k, v, scale=1.0)) < 1e-6
    assert relative_error(out, exact(q, k, v)) > 0.1


@each_masked
@pytest.mark.parametrize(
    "shape", [(2, 3, 37, 70), (1, 3, 37, 70), (2, 1, 1, 70), (37, 70), (3, 37, 1), ()]
)
def test_bias_of_any_shape(backend: str, shape: tuple[int, ...]) -> None:
    q, k, v = qkv(2, 3, 37, 70, 16)
    bias = 3 * cloud(1, *shape, seed=9)[0]
    with forced(backend, TABLE):
        out = attention(q, k, v, bias)
    assert_as_exact(out, eager(q, k, v, bias), exact(q, k, v, bias), floor=5e-7)


@each_masked
def test_bias_with_shut_out_keys(backend: str) -> None:
    q, k, v = qkv(1, 2, 40, 130, 16)
    bias = cloud(1, 1, 40, 130, seed=4)
    bias = bias.masked_fill(cloud(40, 130, seed=5) > 0.3, -torch.inf)
    bias[..., :64] = -torch.inf  # a whole tile, the first
    bias[..., 70] = 0
    with forced(backend, TABLE):
        out = attention(q, k, v, bias.mT.contiguous().mT)
    assert relative_error(out, exact(q, k, v, bias)) < 1e-6


@each_with_lse
def test_queries_without_a_key(backend: str) -> None:
    q, k, v = qkv(2, 1, 5, 40, 16)
    bias = torch.zeros(5, 40, device=DEVICE)
    bias[1] = -torch.inf
    bias[3, :30] = -torch.inf
    count = lengths(40, 30)  # which leaves row 3 of the second nothing either
    with forced(backend, TABLE):
        out, lse = attention(q, k, v, bias, count, return_lse=True)
    empty = torch.tensor([[0, 1, 0, 0, 0], [0, 1, 0, 1, 0]], dtype=torch.bool, device=DEVICE)[
        :, None
    ]
    assert torch.equal(lse == -torch.inf, empty)
    assert torch.equal((out == 0).all(-1), empty)
    assert torch.isfinite(out).all()
    rest = exact(q[:1], k[:1], v[:1], bias.index_fill(0, lengths(1), 0.0))
    assert relative_error(out[:1, :, [0, 2, 3, 4]], rest[:, :, [0, 2, 3, 4]]) < 1e-6


@each_masked
def test_queries_without_a_key_are_0_on_every_backend(backend: str) -> None:
    q, k, v = qkv(1, 2, 4, 20, 16)
    bias = torch.zeros(4, 1, device=DEVICE)
    bias[2] = -torch.inf
    with forced(backend, TABLE):
        out = attention(q, k, v, bias)
    assert (out[:, :, 2] == 0).all()
    assert relative_error(out[:, :, :2], exact(q, k, v)[:, :, :2]) < 1e-6


@each_masked
def test_padding_is_never_read(backend: str) -> None:
    q, k, v = qkv(3, 2, 33, 70, 16)
    count = lengths(70, 1, 65)
    for b in range(3):
        k[b, :, count[b] :] = torch.nan
        v[b, :, count[b] :] = torch.inf
    with forced(backend, TABLE):
        out = attention(q, k, v, key_lengths=count)
        for b in range(3):
            n = int(count[b])
            alone = exact(q[b : b + 1], k[b : b + 1, :, :n], v[b : b + 1, :, :n])
            assert relative_error(out[b : b + 1], alone) < 1e-6


@each_with_lse
def test_logarithm_of_the_sum(backend: str) -> None:
    q, k, v = qkv(2, 2, 65, 70, 16)
    bias, count = cloud(65, 70, seed=8), lengths(33, 70)
    with forced(backend, TABLE):
        out, lse = attention(q, k, v, bias, count, return_lse=True)
        plain = attention(q, k, v, bias, count)
    scores = q.double() @ k.double().mT / 4 + bias.double()
    scores[0, :, :, 33:] = -torch.inf
    assert lse.dtype == torch.float32
    assert torch.allclose(lse.double(), scores.logsumexp(-1), rtol=1e-6, atol=1e-6)
    assert torch.equal(out, plain)


@able(torch.float16, masked=True)
def test_wide_bias_reaches_halves_in_their_type(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """cuDNN takes float32 numbers for halves; whoever is asked, sees halves only."""
    q, k, v = qkv(1, 2, 30, 40, 16, dtype=torch.float16)
    bias = 2 * cloud(1, 2, 30, 40, seed=3)
    bias[..., 0] = -torch.inf
    seen: list[torch.dtype] = []
    original = F.scaled_dot_product_attention

    def spy(q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor, scale: float) -> Tensor:
        seen.append(attn_mask.dtype)
        return original(q, k, v, attn_mask=attn_mask, scale=scale)

    monkeypatch.setattr(F, "scaled_dot_product_attention", spy)
    with forced(backend, TABLE):
        out = attention(q, k, v, bias)
    assert relative_error(out, exact(q, k, v, bias)) <= HALF_ERROR[torch.float16]
    assert seen == ([torch.float16] if backend.startswith("sdpa") else [])


@able(torch.float16, masked=True)
def test_huge_finite_bias_stays_finite(backend: str) -> None:
    q, k, v = qkv(1, 1, 3, 5, 16, dtype=torch.float16)
    bias = torch.full((3, 5), -1e9, device=DEVICE)
    bias[1, 2] = 1e9
    with forced(backend, TABLE):
        out = attention(q, k, v, bias)
    assert torch.allclose(out[0, 0, 1], v[0, 0, 2])
    assert (out[0, 0, 0] != 0).any()


@each
def test_huge_scores(backend: str) -> None:
    """Of plus and minus 10,000: one key takes all, and nothing overflows."""
    q, k, v = qkv(1, 1, 20, 70, 16)
    q, k = torch.where(q > 0, 50.0, -50.0), torch.where(k > 0, 50.0, -50.0)
    with forced(backend, TABLE):
        out = attention(q, k, v)
    assert (q @ k.mT / 4).abs().max() >= 5000
    assert relative_error(out, exact(q, k, v)) < 1e-6


@each
def test_one_huge_key(backend: str) -> None:
    q, k, v = qkv(1, 1, 33, 70, 16)
    k[0, 0, 66] *= 1e4
    with forced(backend, TABLE):
        out = attention(q, k, v)
    assert_as_exact(out, eager(q, k, v), exact(q, k, v), floor=1e-5)


@each
def test_equal_keys_give_the_mean(backend: str) -> None:
    q, k, v = qkv(1, 2, 9, 129, 16)
    with forced(backend, TABLE):
        out = attention(q, k[:, :, :1].expand(-1, -1, 129, -1), v)
    mean = v.double().mean(2, keepdim=True).expand(-1, -1, 9, -1)
    assert relative_error(out, mean) < 2e-6


@each
@pytest.mark.parametrize("factor", [1e-30, 1e-3, 1e15])
def test_values_of_any_size(backend: str, factor: float) -> None:
    q, k, v = qkv(1, 1, 9, 33, 16)
    with forced(backend, TABLE):
        out, plain = attention(q, k, v * factor), attention(q, k, v)
    assert relative_error(out / factor, plain) < 1e-6


@each
def test_strides_do_not_matter(backend: str) -> None:
    q, k, v = qkv(2, 2, 33, 44, 16)
    with forced(backend, TABLE):
        plain = attention(q, k, v)
        for other in (
            attention(strided(q), strided(k), strided(v)),
            attention(q.contiguous(), k.mT.contiguous().mT, v.contiguous()),
        ):
            assert relative_error(other, plain) < 1e-6


@each
def test_no_rows_at_all(backend: str) -> None:
    with forced(backend, TABLE):
        assert attention(*qkv(0, 2, 5, 7, 16)).shape == (0, 2, 5, 16)


@each
@settings(max_examples=5)
@given(seed=st.integers(0, 2**20))
def test_order_of_keys_and_queries_does_not_matter(backend: str, seed: int) -> None:
    q, k, v = qkv(1, 1, 17, 37, 16, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    keys, queries = (torch.randperm(n, generator=generator).to(DEVICE) for n in (37, 17))
    with forced(backend, TABLE):
        plain = attention(q, k, v)
        other = attention(q[:, :, queries], k[:, :, keys], v[:, :, keys])
        shifted = attention(q, k + cloud(1, 1, 1, 16, seed=seed), v)
    assert relative_error(other, plain[:, :, queries]) < 1e-6
    # What is added to all keys moves every score of a query alike.
    assert relative_error(shifted, plain) < 1e-5


@each_with_gradient
def test_gradient(backend: str) -> None:
    q, k, v = (x.requires_grad_() for x in qkv(2, 1, 4, 6, 3, dtype=torch.float64))
    bias = cloud(4, 6, seed=7, dtype=torch.float64)
    bias[0, 1] = bias[2] = -torch.inf  # one key, and all of a query's
    count = lengths(6, 3)

    def call(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return attention(q, k, v, bias, count)

    with forced(backend, TABLE):
        assert torch.autograd.gradcheck(call, (q, k, v))


@able(torch.float64, masked=True, gradient=True, bias_gradient=True)
def test_gradient_of_the_bias(backend: str) -> None:
    q, k, v = qkv(1, 2, 4, 6, 3, dtype=torch.float64)
    bias = cloud(4, 6, seed=7, dtype=torch.float64).requires_grad_()
    with forced(backend, TABLE):
        assert torch.autograd.gradcheck(lambda bias: attention(q, k, v, bias), (bias,))


@able(gradient=True, deterministic=True)
def test_every_run_gives_the_same_gradient(backend: str) -> None:
    def run() -> tuple[Tensor, ...]:
        q, k, v = (x.clone().requires_grad_() for x in qkv(1, 2, 65, 70, 16))
        with forced(backend, TABLE):
            attention(q, k, v).square().sum().backward()
        return tuple(x.grad for x in (q, k, v) if x.grad is not None)

    assert len(run()) == 3
    assert_repeatable(run)


@each
def test_every_run_gives_the_same_bits(backend: str) -> None:
    q, k, v = qkv(2, 2, 130, 65, 16)
    with forced(backend, TABLE):
        assert_repeatable(lambda: attention(q, k, v))


@each_masked
def test_stacked_keys_give_each_job_its_own(backend: str) -> None:
    jobs = [
        KeyValues(*qkv(rows, 2, 1, M, 16, seed=M)[1:]) for rows, M in ((1, 96), (2, 33), (1, 1))
    ]
    q, _, _ = qkv(4, 2, 40, 1, 16)
    with forced(backend, TABLE):
        together = KeyValues.stack(jobs).attend(q)
        again = KeyValues.stack([KeyValues.stack(jobs[:2]), jobs[2]]).attend(q)
        alone = torch.cat(
            [job.attend(part) for job, part in zip(jobs, q.split([1, 2, 1]), strict=True)]
        )
    assert relative_error(together, alone) < 1e-6
    assert relative_error(again, alone) < 1e-6


def test_equally_long_keys_stack_without_lengths() -> None:
    jobs = [KeyValues(*qkv(1, 2, 1, 7, 16, seed=seed)[1:]) for seed in range(2)]
    assert KeyValues.stack(jobs).lengths is None
    assert KeyValues.stack(jobs).k.shape == (2, 2, 7, 16)
