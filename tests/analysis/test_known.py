"""Decoding by known names gives what plain decoding gives, whatever the names do."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exai_ops.monitor.analysis.known import MOST_ERRORS, MOST_NAMES, KnownNames
from exai_ops.monitor.analysis.lines import Line, More

NAMES = st.sampled_from(["a", "b", "é\n", ""]) | st.text(max_size=3)
LINES = st.builds(
    Line,
    st.floats(0, 2e9),
    NAMES,
    NAMES,
    NAMES,
    st.integers(0, 9),
    st.none() | st.floats(0, 9),
    st.none() | st.text(max_size=3),
    st.builds(More, st.none() | st.integers(1, 3), session=st.none() | st.text(max_size=3)),
    st.integers(1, 3),
)
_ENCODER = msgspec.json.Encoder()


def values(lines: list[Line]) -> list[object]:
    return [msgspec.structs.astuple(line) for line in lines]


@given(st.lists(st.lists(LINES, min_size=1, max_size=4), max_size=MOST_ERRORS + 5))
@settings(max_examples=60, deadline=None)
def test_lines_are_what_they_were(blocks: list[list[Line]]) -> None:
    names = KnownNames()
    for lines in blocks:
        assert values(names.lines(_ENCODER.encode_lines(lines))) == values(lines)


def test_names_that_recur_are_one_text() -> None:
    names = KnownNames()
    block = _ENCODER.encode_lines([Line(1.0, "kimi", "send", "stream")] * 2)
    names.lines(block)
    first, second = names.lines(block)
    assert first.connection_type is second.connection_type
    assert first.function is second.function


def test_more_names_than_are_worth_it_are_read_all_the_same() -> None:
    names = KnownNames()
    for begin in range(0, 3 * MOST_NAMES, 50):
        lines = [Line(1.0, "kimi", "send", f"f{n}") for n in range(begin, begin + 50)]
        assert values(names.lines(_ENCODER.encode_lines(lines))) == values(lines)


def test_what_is_no_event_is_an_error() -> None:
    names = KnownNames()
    names.lines(_ENCODER.encode_lines([Line(1.0, "kimi", "send", "f")]))
    for data in (b"{}\n", b"{", b'{"timestamp": 1.0, "connection_type": 5}'):
        with pytest.raises(msgspec.DecodeError):
            names.lines(data)
