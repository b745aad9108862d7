import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from kernels.checks import trust_values
from kernels.errors import BackendError, ShapeError
from kernels.guided_step import (
    TABLE,
    Coefficients,
    coefficients,
    guided_step,
    partners,
    table,
)
from models.guidance import guide, guided_batch
from models.samplers import Trajectory, advance, start
from models.schedules import beta_curve, beta_sigmas, karras_sigmas
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
SAMPLERS = [
    ("euler", 0.0),
    ("ddim", 0.0),
    ("ddim", 0.6),
    ("heun", 0.0),
    ("dpmpp_2m", 0.0),
    ("ddpm", 0.0),
]
SCHEDULES = {
    "karras": karras_sigmas(6, 0.02, 4.0),
    "one step": karras_sigmas(1, 0.02, 4.0),
    "two steps, far apart": (80.0, 0.002, 0.0),
    "betas": (*beta_sigmas(beta_curve("cosine", 1000))[::-125], 0.0),
}
ALL = Coefficients(guidance=2.5, skip=0.3, out=-0.7, x=0.6, memory=-0.25, noise=0.4)


def _random_rows(B: int) -> Tensor:
    return cloud(B, 6, seed=9)


def _exact(
    x: Tensor,
    out: Tensor,
    rows: Tensor,
    partner: Tensor | None = None,
    memory: Tensor | None = None,
    noise: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Cloud by cloud in float64, as sums of products."""
    following, denoised = [], []
    for b, (w, skip, scale, a, m, n) in enumerate(rows.double().tolist()):
        cond = out[b].double()
        uncond = cond if partner is None else out[int(partner[b])].double()
        denoised.append(skip * x[b].double() + scale * ((1 - w) * uncond + w * cond))
        of_memory = 0.0 if memory is None else m * (memory[b].double() - denoised[b])
        of_noise = 0.0 if noise is None else n * noise[b].double()
        following.append(a * x[b].double() + (1 - a) * denoised[b] + of_memory + of_noise)
    return torch.stack(following), torch.stack(denoised)


@each
def test_hand_made(backend: str) -> None:
    x = torch.tensor([[[8.0, 0]], [[4, 4]]], device=DEVICE)
    out = torch.tensor([[[2.0, 4]], [[1, 2]], [[0, 2]]], device=DEVICE)
    memory, noise = torch.full_like(x, 10), torch.tensor([[[1.0, 0]], [[0, 1]]], device=DEVICE)
    rows = table(
        [
            Coefficients(guidance=3, skip=0.5, out=1, x=0.5, memory=0.1, noise=2),
            Coefficients(x=0.25),
        ],
        DEVICE,
    )
    with forced(backend, TABLE):
        step = guided_step(x, out, rows, lengths(2, 1), memory, noise)
    # First cloud: guided (0 + 3 * 2, 2 + 3 * 2), denoised (4 + 6, 0 + 8).
    assert torch.allclose(step.denoised.cpu(), torch.tensor([[[10.0, 8]], [[1, 2]]]))
    first = [10 - 0.5 * 2 + 0 + 2, 8 - 0.5 * 8 + 0.1 * 2]
    assert torch.allclose(step.x.cpu(), torch.tensor([[first], [[1.75, 2.5]]]))


@each
@pytest.mark.parametrize(("B", "N", "C"), [(1, 1, 1), (2, 63, 3), (3, 1001, 3), (1, 256, 6)])
def test_against_float64(backend: str, B: int, N: int, C: int) -> None:
    x, memory, noise = (cloud(B, N, C, seed=seed) for seed in (0, 1, 2))
    out, rows = cloud(2 * B, N, C, seed=3), _random_rows(B)
    partner = torch.arange(B, 2 * B, device=DEVICE)
    for optional in (
        (None, None, None),
        (partner, None, None),
        (None, memory, None),
        (None, None, noise),
        (partner, memory, noise),
    ):
        outputs = out[:B] if optional[0] is None else out
        with forced(backend, TABLE):
            step = guided_step(x, outputs, rows, *optional)
        truth = _exact(x, outputs, rows, *optional)
        assert relative_error(step.x, truth[0]) < 3e-7
        assert relative_error(step.denoised, truth[1]) < 3e-7


@each
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_network_in_half_precision(backend: str, dtype: torch.dtype) -> None:
    """It is widened as it is read, so the state is as exact as with a network in float32."""
    x, memory, noise = (cloud(2, 50, 3, seed=seed) for seed in (0, 1, 2))
    out, rows = cloud(3, 50, 3, seed=3, dtype=dtype), _random_rows(2)
    with forced(backend, TABLE):
        step = guided_step(x, out, rows, lengths(0, 2), memory, noise)
        wide = guided_step(x, out.float(), rows, lengths(0, 2), memory, noise)
    assert step.x.dtype == step.denoised.dtype == torch.float32
    assert torch.equal(step.x, wide.x)
    assert torch.equal(step.denoised, wide.denoised)


@pytest.mark.parametrize("backend", TABLE.runnable(DEVICE.type, torch.float64))
def test_float64(backend: str) -> None:
    x, memory, noise = (cloud(2, 9, 3, seed=seed, dtype=torch.float64) for seed in (0, 1, 2))
    out, rows = cloud(4, 9, 3, seed=3, dtype=torch.float64), _random_rows(2).double()
    with forced(backend, TABLE):
        step = guided_step(x, out, rows, lengths(3, 2), memory, noise)
    truth = _exact(x, out, rows, lengths(3, 2), memory, noise)
    assert relative_error(step.x, truth[0]) < 1e-15
    assert relative_error(step.denoised, truth[1]) < 1e-15


@each
@pytest.mark.parametrize(("sampler", "eta"), SAMPLERS)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_it_walks_as_the_samplers_do(backend: str, sampler: str, eta: float, schedule: str) -> None:
    """Each evaluation of a trajectory of models.samplers, from the same x: as near as that is to
    what it gives in float64, for some of these steps are ill-conditioned."""
    sigmas = SCHEDULES[schedule]
    way = _start(sampler, sigmas, eta)
    target = cloud(40, 3, seed=1)
    memory = torch.zeros(1, 40, 3, device=DEVICE)
    while not way.done:
        row, x, wide = coefficients(sampler, sigmas, way.evaluation, eta), way.x, _widened(way)
        estimate = _estimate(x, way.sigma, target)
        noise = torch.randn(x.shape, generator=_copied(way.generator)).to(DEVICE)
        advance(way, estimate)
        advance(wide, estimate)
        with forced(backend, TABLE):
            step = guided_step(
                x[None], estimate[None], table([row], DEVICE), None, memory, noise[None]
            )
        assert torch.equal(step.denoised[0], estimate)
        assert_as_exact(step.x[0], way.x, wide.x)
        memory = (x if sampler == "heun" else estimate)[None]
        if way.evaluation == way.evaluations:  # the last step ends at denoised
            assert torch.equal(step.x[0], estimate)
    with refused(ValueError, "evaluation:", str(way.evaluations)):
        coefficients(sampler, sigmas, way.evaluations, eta)


def _widened(way: Trajectory) -> Trajectory:
    """The same state in float64."""
    memory = tuple(each.double() for each in way.memory)
    return replace(way, x=way.x.double(), memory=memory, generator=_copied(way.generator))


def _copied(generator: torch.Generator) -> torch.Generator:
    copy = torch.Generator()
    copy.set_state(generator.get_state())
    return copy


def _start(sampler: str, sigmas: Sequence[float], eta: float = 0.0) -> Trajectory:
    return start(sampler, sigmas, (40, 3), torch.Generator().manual_seed(3), DEVICE, eta)


def _estimate(x: Tensor, sigma: float, target: Tensor) -> Tensor:
    """What a network that has learned one cloud, spread by 0.3, would say: it depends on x."""
    return target + 0.09 / (0.09 + sigma**2) * (x - target)


@each
def test_clouds_of_several_samplers_share_a_step(backend: str) -> None:
    sigmas = SCHEDULES["karras"]
    ways = [_start(sampler, sigmas) for sampler in ("euler", "heun", "dpmpp_2m")]
    target = cloud(40, 3, seed=1)
    memory = torch.zeros(3, 40, 3, device=DEVICE)
    for evaluation in range(len(sigmas) - 1):
        x = torch.stack([way.x for way in ways])
        out = torch.stack([_estimate(way.x, way.sigma, target) for way in ways])
        rows = table([coefficients(way.sampler, sigmas, evaluation) for way in ways], DEVICE)
        with forced(backend, TABLE):
            step = guided_step(x, out, rows, memory=memory)
        for way, estimate in zip(ways, out, strict=True):
            advance(way, estimate)
        assert relative_error(step.x, torch.stack([way.x for way in ways])) < 1e-6
        memory = torch.stack([out[0], x[1], out[2]])


@each
def test_it_guides_as_models_do(backend: str) -> None:
    w = torch.tensor([1.0, 3, 0, 1, -0.5], device=DEVICE)
    batch = guided_batch(w)
    out = cloud(len(batch.rows), 20, 3)
    rows = table([Coefficients(guidance=float(value)) for value in w], DEVICE)
    with forced(backend, TABLE):
        step = guided_step(cloud(5, 20, 3, seed=1), out, rows, partners(batch.rows, batch.clouds))
    assert relative_error(step.denoised, guide(out, batch, w)) < 2e-7
    assert torch.equal(step.denoised[::3], out[[0, 3]])  # not guided: untouched
    assert torch.equal(step.denoised[2], out[6])  # w = 0 ignores the picture
    assert torch.equal(step.x, step.denoised)


def test_partners() -> None:
    assert partners(lengths(0, 1, 2, 3, 1, 3), 4).tolist() == [0, 4, 2, 5]
    assert partners(lengths(0, 1), 2).tolist() == [0, 1]
    assert partners(lengths(), 0).tolist() == []


@pytest.mark.parametrize("sigma", [1e-3, 0.45, 4.0, 80.0])
def test_preconditioning(sigma: float) -> None:
    """Karras et al. 2022: the target that the network is left with has variance 1, and is that of
    all with the least gain on the network's errors."""
    data = 0.45
    row = coefficients("euler", (sigma, 0.0), 0, sigma_data=data)
    target_variance = ((1 - row.skip) ** 2 * data**2 + row.skip**2 * sigma**2) / row.out**2
    assert target_variance == pytest.approx(1, rel=1e-12)
    for skip in (row.skip * 0.99, row.skip * 1.01):
        assert (1 - skip) ** 2 * data**2 + skip**2 * sigma**2 > row.out**2
    assert row[:1] + row[3:] == (1, 0, 0, 0)


def test_preconditioning_is_at_the_sigma_of_the_evaluation() -> None:
    sigmas = (4.0, 1.0, 0.0)
    skips = [coefficients("heun", sigmas, i, sigma_data=1.0).skip for i in range(3)]
    assert skips == pytest.approx([1 / 17, 1 / 2, 1 / 2])


def test_coefficients_by_hand() -> None:
    sigmas = (8.0, 4.0, 1.0, 0.0)

    def row(sampler: str, evaluation: int, eta: float = 0.0) -> tuple[float, ...]:
        return coefficients(sampler, sigmas, evaluation, eta)[3:]

    assert row("euler", 1) == (0.25, 0, 0)
    assert row("euler", 2) == (0, 0, 0)
    assert row("heun", 0) == (0.5, 0, 0)
    assert row("heun", 1) == (0.0, 0.5, 0)
    assert row("heun", 3) == (-1.0, 0.5, 0)
    assert row("heun", 4) == (0, 0, 0)
    assert row("dpmpp_2m", 0) == (0.5, 0, 0)
    assert row("dpmpp_2m", 1) == pytest.approx((0.25, -0.75, 0))  # twice the step before: a = 1
    assert row("dpmpp_2m", 2) == (0, 0, 0)
    assert row("ddpm", 1) == pytest.approx((1 / 16, 0, math.sqrt(15 / 16)))
    assert row("ddim", 1, eta=1) == row("ddpm", 1)
    assert row("ddim", 1) == row("euler", 1)


@pytest.mark.parametrize(
    ("sampler", "sigmas", "evaluation", "eta", "word"),
    [
        ("rk4", (1.0, 0.0), 0, 0.0, "sampler: euler, "),
        ("euler", (1.0,), 0, 0.0, "sigmas: "),
        ("euler", (1.0, 0.5), 0, 0.0, "sigmas: "),
        ("euler", (1.0, 1.0, 0.0), 0, 0.0, "sigmas: "),
        ("euler", (math.nan, 0.0), 0, 0.0, "sigmas: "),
        ("euler", (math.inf, 0.0), 0, 0.0, "sigmas: "),
        ("euler", (1.0, 0.0), 1, 0.0, "evaluation: 0 to 0"),
        ("heun", (1.0, 0.5, 0.0), 3, 0.0, "evaluation: 0 to 2"),
        ("euler", (1.0, 0.0), -1, 0.0, "evaluation: "),
        ("ddim", (1.0, 0.0), 0, 1.5, "eta: 0 to 1"),
        ("ddim", (1.0, 0.0), 0, math.nan, "eta: 0 to 1"),
        ("heun", (1.0, 0.0), 0, 0.5, "eta: 0 to 1 expected, for ddim only"),
    ],
)
def test_bad_coefficients(
    sampler: str, sigmas: tuple[float, ...], evaluation: int, eta: float, word: str
) -> None:
    with refused(ValueError, word):
        coefficients(sampler, sigmas, evaluation, eta)


def test_table() -> None:
    rows = table([ALL, Coefficients()], DEVICE)
    assert rows.dtype == torch.float32
    assert torch.allclose(rows.cpu(), torch.tensor([tuple(ALL), (1, 0, 1, 0, 0, 0)]))
    assert table([]).shape == (0, 6)


@each
@settings(max_examples=10)
@given(
    seed=st.integers(0, 2**31),
    shift=st.floats(-8, 8),
    sampler=st.sampled_from(["euler", "dpmpp_2m", "heun"]),
    evaluation=st.integers(0, 4),
)
def test_clouds_move_and_mix_as_they_are(
    backend: str, seed: int, shift: float, sampler: str, evaluation: int
) -> None:
    """A cloud that is moved stays moved; the order of points and of clouds changes nothing; a cloud
    that is alone gets the same bits."""
    x, memory = (cloud(3, 20, 3, seed=seed + i) for i in range(2))
    out = cloud(5, 20, 3, seed=seed + 2)
    partner = lengths(3, 1, 4)
    row = coefficients(sampler, SCHEDULES["karras"], evaluation, guidance=1.5)
    rows = table([row, row._replace(guidance=1), row], DEVICE)
    generator = torch.Generator().manual_seed(seed)
    points, clouds = (torch.randperm(n, generator=generator).to(DEVICE) for n in (20, 3))
    with forced(backend, TABLE):
        plain = guided_step(x, out, rows, partner, memory)
        moved = guided_step(x + shift, out + shift, rows, partner, memory + shift)
        by_point = guided_step(x[:, points], out[:, points], rows, partner, memory[:, points])
        by_cloud = guided_step(
            x[clouds],
            torch.cat([out[clouds], out[partner[clouds]]]),
            rows[clouds],
            lengths(3, 4, 5),
            memory[clouds],
        )
        alone = guided_step(x[1:2], out[1:2], rows[1:2], None, memory[1:2])
    weight = 1 + abs(row.x) + abs(row.memory)
    assert torch.allclose(moved.x, plain.x + shift, rtol=0, atol=1e-5 * weight)
    assert torch.equal(by_point.x, plain.x[:, points])
    assert torch.equal(by_cloud.x, plain.x[clouds])
    assert torch.equal(alone.x, plain.x[1:2])


@each
@pytest.mark.parametrize("factor", [1e-30, 1e-3, 1e30])
def test_tiny_and_huge_values(backend: str, factor: float) -> None:
    x, memory, noise = (cloud(1, 40, 3, seed=seed) * factor for seed in (0, 1, 2))
    out, rows = cloud(2, 40, 3, seed=3) * factor, table([ALL], DEVICE)
    with forced(backend, TABLE):
        step = guided_step(x, out, rows, lengths(1), memory, noise)
    assert relative_error(step.x, _exact(x, out, rows, lengths(1), memory, noise)[0]) < 3e-7


@each
def test_nearly_clean_clouds_lose_nothing(backend: str) -> None:
    """Heun's second evaluation of a long step weighs x by -s / 2t, here -20,000: differences from
    denoised keep what sums of products would lose."""
    sigmas = (80.0, 0.002, 0.0)
    denoised = cloud(1, 100, 3)
    x = denoised + 0.002 * cloud(1, 100, 3, seed=1)
    before = denoised + 80 * cloud(1, 100, 3, seed=2)
    row = coefficients("heun", sigmas, 1)
    slopes = (before.double() - x) / (80 - 0.002), (x.double() - denoised) / 0.002
    truth = before.double() + (0.002 - 80) * (slopes[0] + slopes[1]) / 2
    with forced(backend, TABLE):
        step = guided_step(x, denoised, table([row], DEVICE), memory=before)
    assert relative_error(step.x, truth) < 1e-6
    products = row.x * x + (1 - row.x - row.memory) * denoised + row.memory * before
    assert relative_error(products, truth) > 1e-5


@each
def test_strides_do_not_matter(backend: str) -> None:
    x, memory, noise = (cloud(2, 33, 3, seed=seed) for seed in (0, 1, 2))
    out, rows, partner = cloud(4, 33, 3, seed=3), _random_rows(2), lengths(2, 3)
    with forced(backend, TABLE):
        plain = guided_step(x, out, rows, partner, memory, noise)
        other = guided_step(
            strided(x),
            out.mT.contiguous().mT,
            strided(rows),
            strided(partner[None])[0],
            strided(memory),
            noise.transpose(0, 1).contiguous().transpose(0, 1),
        )
    assert all(torch.equal(a, b) for a, b in zip(plain, other, strict=True))


@each
def test_results_are_new(backend: str) -> None:
    x, out = cloud(2, 6, 3), cloud(2, 6, 3, seed=1)
    x_before, out_before = x.clone(), out.clone()
    with forced(backend, TABLE):
        step = guided_step(x.requires_grad_(), out, table([Coefficients()] * 2, DEVICE))
    assert torch.equal(x, x_before)
    assert torch.equal(out, out_before)
    assert len({each.data_ptr() for each in (x, out, *step)}) == 4
    assert not step.x.requires_grad
    assert not step.denoised.requires_grad


@each
def test_no_clouds_at_all(backend: str) -> None:
    x = cloud(0, 5, 3)
    with forced(backend, TABLE):
        assert guided_step(x, x, table([], DEVICE)).x.shape == (0, 5, 3)
        step = guided_step(x, x, table([], DEVICE), lengths(), x, x)
    assert step.denoised.shape == (0, 5, 3)


@each
def test_every_run_gives_the_same_bits(backend: str) -> None:
    x, memory, noise = (cloud(3, 300, 3, seed=seed) for seed in (0, 1, 2))
    out, rows = cloud(6, 300, 3, seed=3), _random_rows(3)

    def run() -> tuple[Tensor, ...]:
        with forced(backend, TABLE):
            return guided_step(x, out, rows, lengths(3, 4, 5), memory, noise)

    assert_repeatable(run)


@each
def test_bad_input(backend: str) -> None:
    x, out, rows = cloud(2, 5, 3), cloud(3, 5, 3, seed=1), _random_rows(2)
    partner = lengths(0, 2)
    with forced(backend, TABLE):
        with refused(ShapeError, "x: [B, N, C]", "[5, 3]"):
            guided_step(x[0], out, rows, partner)
        with refused(ShapeError, "x: [B, N, C]", "[2, 0, 3]"):
            guided_step(x[:, :0], out, rows, partner)
        with refused(ShapeError, "out: [2, 5, 3]", "[3, 5, 3]"):
            guided_step(x, out, rows)
        with refused(ShapeError, "out: [2, 5, 3]", "[1, 5, 3]"):
            guided_step(x, out[:1], rows, lengths(0, 0))
        with refused(ShapeError, "out: [3, 5, 3]", "[3, 4, 3]"):
            guided_step(x, out[:, :4], rows, partner)
        with refused(ShapeError, "out:", "[]"):
            guided_step(x, out.sum(), rows, partner)
        with refused(ShapeError, "coefficients: [B, 6] with B = 2", "[2, 5]"):
            guided_step(x, out, rows[:, :5], partner)
        with refused(ShapeError, "partner: [B] with B = 2", "[3]"):
            guided_step(x, out, rows, lengths(0, 1, 2))
        with refused(ShapeError, "memory: [B, N, C]", "[3, 5, 3]"):
            guided_step(x, out, rows, partner, memory=out)
        with refused(ShapeError, "noise: [B, N, C]", "[1, 5, 3]"):
            guided_step(x, out, rows, partner, noise=x[:1])
        with refused(ValueError, "x: torch.float32", "torch.float16"):
            guided_step(x.half(), out, rows.half(), partner)
        with refused(ValueError, "out: torch.float32", "torch.float64"):
            guided_step(x, out.double(), rows, partner)
        with refused(ValueError, "coefficients: torch.float32 as of x", "torch.float64"):
            guided_step(x, out, rows.double(), partner)
        with refused(ValueError, "memory: torch.float32 as of x", "torch.float16"):
            guided_step(x, out, rows, partner, x.half())
        with refused(ValueError, "partner: torch.int64", "torch.int32"):
            guided_step(x, out, rows, partner.int())
        with refused(ValueError, "partner: values of 0 to 2", "3"):
            guided_step(x, out, rows, lengths(0, 3))
        with refused(ValueError, "partner: values of 0 to 2", "-1"):
            guided_step(x, out, rows, lengths(-1, 2))
        with refused(ValueError, "out: device", "meta"):
            guided_step(x, out.to("meta"), rows, partner)
        with refused(ValueError, "partner: device", "meta"):
            guided_step(x, out, rows, partner.to("meta"))
        with refused(ValueError, "x: finite", "10 that"):
            guided_step(x.index_fill(2, lengths(1), torch.nan), out, rows, partner)
        with refused(ValueError, "out: finite"):
            guided_step(x, out / 0, rows, partner)
        with refused(ValueError, "coefficients: finite"):
            guided_step(x, out, rows * torch.nan, partner)
        with refused(ValueError, "memory: finite"):
            guided_step(x, out, rows, partner, x / 0)
        with refused(ValueError, "noise: finite"):
            guided_step(x, out, rows, partner, None, x / 0)


def test_an_unknown_backend_is_refused() -> None:
    with refused(BackendError, "guided_step", "fused", "'eager'"), forced("eager", TABLE):
        guided_step(cloud(1, 2, 3), cloud(1, 2, 3), table([ALL], DEVICE))


@each
def test_trusted_values_are_not_read(backend: str) -> None:
    x, out = cloud(2, 6, 3), cloud(2, 6, 3, seed=1)
    out[1, 2, 1] = torch.nan
    with trust_values(), forced(backend, TABLE):
        step = guided_step(x, out, table([ALL] * 2, DEVICE))
    assert torch.isnan(step.x).nonzero().tolist() == [[1, 2, 1]]
