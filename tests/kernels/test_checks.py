import pytest
import torch

from kernels.checks import (
    check_alike,
    check_devices,
    check_dtype,
    check_finite,
    check_index,
    check_lengths,
    check_range,
    check_shapes,
    trust_values,
    values_are_trusted,
)
from kernels.errors import ShapeError
from tests.kernels.kit import DEVICE, cloud, lengths, refused


def test_letters_stand_for_sizes() -> None:
    sizes = check_shapes(a=(cloud(2, 5, 3), "B N 3"), b=(None, "B N"), c=(cloud(2, 7), "B M"))
    assert sizes == {"B": 2, "N": 5, "M": 7}


@pytest.mark.parametrize(
    ("shape", "pattern"),
    [
        ((2, 5), "B N 3"),
        ((2, 5, 3, 1), "B N 3"),
        ((2, 5, 1), "B N 3"),  # what broadcasts is not what fits
        ((2, 0, 3), "B N 3"),
        ((4, 5), "N N"),
        ((), "B"),
    ],
)
def test_what_does_not_fit_exactly_is_refused(shape: tuple[int, ...], pattern: str) -> None:
    with refused(ShapeError, "x: [", "expected", f"got {list(shape)}"):
        check_shapes(x=(torch.zeros(shape), pattern))


def test_a_letter_means_the_same_everywhere() -> None:
    with refused(ShapeError, "b: [B, N] with B = 2, N = 5", "got [2, 6]"):
        check_shapes(a=(torch.zeros(2, 5), "B N"), b=(torch.zeros(2, 6), "B N"))


def test_an_empty_batch_fits() -> None:
    assert check_shapes(x=(torch.zeros(0, 5), "B N")) == {"B": 0, "N": 5}


def test_a_batch_that_no_launch_takes_is_refused() -> None:
    assert check_shapes(x=(torch.zeros(65_535, 1), "B N"))["B"] == 65_535
    with refused(ShapeError, "x: B of 0 to 65535", "65536"):
        check_shapes(x=(torch.zeros(65_536, 1), "B N"))


def test_types_and_devices() -> None:
    x = cloud(2)
    check_alike(a=x, b=None, c=x)
    with refused(ValueError, "c: torch.float32 as of a", "torch.float64"):
        check_alike(a=x, c=x.double())
    with refused(ValueError, "c: device", "as of a", "meta"):
        check_devices(a=x, c=x.to("meta"))
    with refused(ValueError, "x: torch.int64 or torch.bool", "torch.float32"):
        check_dtype("x", x, [torch.int64, torch.bool])


def test_numbers_in_range() -> None:
    check_range("radius", 1.0, 0.0, 1.0)
    for value in (-0.1, 1.1, float("nan")):
        with refused(ValueError, "radius: 0.0 to 1.0", str(value)):
            check_range("radius", value, 0.0, 1.0)


def test_index_in_range() -> None:
    check_index("index", lengths(0, 4), 0, 4)
    check_index("index", lengths(), 0, 4)
    with refused(ValueError, "index: values of 0 to 4", "-1"):
        check_index("index", lengths(-1, 4), 0, 4)
    with refused(ValueError, "index: values of 0 to 4", "5"):
        check_index("index", lengths(0, 5), 0, 4)


def test_lengths() -> None:
    check_lengths("lengths", None, 2, 5, cloud(1))
    check_lengths("lengths", lengths(1, 5), 2, 5, cloud(1))
    with refused(ShapeError, "lengths: [2]", "[2, 1]"):
        check_lengths("lengths", lengths(1, 5)[:, None], 2, 5, cloud(1))
    with refused(ValueError, "lengths: device", "meta"):
        check_lengths("lengths", lengths(1, 5), 2, 5, cloud(1).to("meta"))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_values_that_are_not_finite(dtype: torch.dtype, bad: float) -> None:
    x = torch.ones(3, 50, dtype=dtype, device=DEVICE)
    check_finite(x=x, other=None)
    x[1, 7] = bad
    x[2, 7] = -bad  # an infinite sum could hide both
    with refused(ValueError, "x: finite", "got 2 that"):
        check_finite(x=x)


def test_large_values_are_finite() -> None:
    check_finite(x=torch.full((100,), torch.finfo(torch.float32).max, device=DEVICE))
    check_finite(x=torch.full((100,), torch.finfo(torch.float16).max, device=DEVICE).half())


def test_values_are_trusted_where_told_so() -> None:
    bad = torch.full((2,), torch.nan, device=DEVICE)
    with trust_values():
        assert values_are_trusted()
        check_finite(x=bad)
        check_index("index", lengths(9), 0, 1)
        with pytest.raises(ShapeError):
            check_shapes(x=(bad, "B 3"))
    assert not values_are_trusted()
    with pytest.raises(ValueError, match="finite"):
        check_finite(x=bad)
