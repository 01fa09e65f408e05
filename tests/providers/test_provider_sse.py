"""Events come out alike, however the bytes are split."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exai_ops.providers.sse import MAX_EVENT_BYTES, EventParser, EventTooLarge

CASES = [
    (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
    (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
    (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
    (b"data:a\n\n", [b"a"]),
    (b"data:  a\n\n", [b" a"]),
    (b"data: a\ndata: b\n\n", [b"a\nb"]),
    (b"data\n\n", [b""]),
    (b": ping\n\ndata: a\n\n", [b"a"]),
    (b"event: x\nid: 7\nretry: 9\ndata: a\n\n", [b"a"]),
    (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
    (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [b"a"]),
    (b"dataset: a\n\n", []),
    (b"\n\n\n", []),
    (b"", []),
    (b"data: unfinished\n", []),
    (b"data: unfinished", []),
    (b"data: \x0b\x0c\xc2\x85\n\n", [b"\x0b\x0c\xc2\x85"]),
]


def parse(*chunks: bytes) -> list[bytes]:
    parser = EventParser()
    return [event for chunk in chunks for event in parser.feed(chunk)]


@pytest.mark.parametrize(("stream", "events"), CASES)
def test_whole(stream: bytes, events: list[bytes]) -> None:
    assert parse(stream) == events


@pytest.mark.parametrize(("stream", "events"), CASES)
def test_byte_by_byte(stream: bytes, events: list[bytes]) -> None:
    assert parse(*(bytes([byte]) for byte in stream)) == events


TOKENS = [
    b"data",
    b":",
    b" ",
    b"\n",
    b"\r",
    b"\r\n",
    b"\n\n",
    b"x",
    b"data: {}",
    b": c",
    b"\xef\xbb\xbf",
    b"id:1",
]


@given(
    st.lists(st.sampled_from(TOKENS), max_size=40).map(b"".join),
    st.lists(st.integers(0, 200), max_size=12),
)
def test_any_split_gives_the_same_events(stream: bytes, cuts: list[int]) -> None:
    bounds = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    chunks = [stream[a:b] for a, b in pairwise(bounds)]
    assert parse(*chunks) == parse(stream)


@given(st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"])), max_size=5))
def test_what_is_sent_comes_back(texts: list[str]) -> None:
    stream = b"".join(b"data: " + text.encode() + b"\n\n" for text in texts)
    assert parse(stream) == [text.encode() for text in texts]


@pytest.mark.parametrize(
    "chunks",
    [
        [b"x" * (MAX_EVENT_BYTES + 1)],
        [b"data: "] + [b"x" * 65536] * 17,
        [b"data: " + b"x" * 65536 + b"\n"] * 17,
        [b"data: " + b"x" * MAX_EVENT_BYTES + b"y\n"],
    ],
)
def test_what_never_ends_is_refused(chunks: list[bytes]) -> None:
    with pytest.raises(EventTooLarge):
        parse(*chunks)
