import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import RangeError
from service.gateway.headers import byte_range, wait_seconds


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        (None, None),
        ("", None),
        ("wait", None),
        ("wait=x", None),
        ("wait=-1", None),
        ("respond-async", None),
        ("wait=0", 0),
        ("wait=5", 5),
        ("WAIT = 5", 5),
        ('wait="5"', 5),
        ("respond-async, wait=7; foo=bar", 7),
        ("wait=61", 60),
        ("wait=999999999", 60),
    ],
)
def test_wait_seconds(prefer, seconds):
    assert wait_seconds(prefer) == seconds


@given(st.integers(0, 50), st.integers(0, 60), st.integers(0, 60))
def test_range_against_slices(size, first, last):
    data = bytes(range(size))
    cases = {f"bytes={first}-": data[first:], f"bytes=-{last}": data[-last:] if last else b""}
    if first <= last:
        cases[f"bytes={first}-{last}"] = data[first : last + 1]
    else:
        assert byte_range(f"bytes={first}-{last}", size) is None
    for header, wanted in cases.items():
        if wanted:
            found = byte_range(header, size)
            assert found is not None
            assert data[found.start : found.start + found.length] == wanted
        else:
            with pytest.raises(RangeError) as caught:
                byte_range(header, size)
            assert caught.value.size == size
