import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bozzetto_client.sse import Message, Parser

STREAM = (
    "\ufeffretry: 1500\n\n"
    ": a comment\n"
    "id: 1-0\nevent: state\ndata: {}\n\n"
    "data: first\r\ndata:second\r\n\r\n"
    "data\rdata:  kept space\r\r"
    "event: lost\n\n"
    "id: bad\0id\nunknown: x\nevent: clé\ndata: ü\n\n"
    "data: never completed\n"
).encode()
MESSAGES = [
    Message("state", "{}", "1-0"),
    Message("message", "first\nsecond", "1-0"),
    Message("message", "\n kept space", "1-0"),
    Message("clé", "ü", "1-0"),
]


def read(*pieces: bytes) -> list[Message]:
    parser = Parser()
    messages = [message for piece in pieces for message in parser.feed(piece)]
    assert parser.retry_s == 1.5
    return messages


def test_a_stream_is_read_as_the_standard_says() -> None:
    assert read(STREAM) == MESSAGES


@given(st.lists(st.integers(0, len(STREAM)), max_size=20).map(sorted))
def test_it_may_be_cut_anywhere(cuts: list[int]) -> None:
    edges = [0, *cuts, len(STREAM)]
    assert read(*(STREAM[a:b] for a, b in itertools.pairwise(edges))) == MESSAGES


def test_byte_by_byte() -> None:
    assert read(*(bytes([value]) for value in STREAM)) == MESSAGES


@pytest.mark.parametrize("text", ["retry: soon", "retry: -1", "retry:"])
def test_a_retry_that_is_no_number_is_ignored(text: str) -> None:
    parser = Parser()
    parser.feed(f"{text}\n\n".encode())
    assert parser.retry_s is None


def test_a_message_comes_with_the_end_of_its_blank_line_not_later() -> None:
    parser = Parser()
    assert parser.feed(b"data: x\r\n") == []
    assert parser.feed(b"\r") == [Message("message", "x", "")]
    assert parser.feed(b"\ndata: y\n\n") == [Message("message", "y", "")]
