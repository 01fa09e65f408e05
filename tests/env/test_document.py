"""The grammar: every byte comes back, and each part stands where it is said to stand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exai_ops.env.document import parse
from exai_ops.env.model import Assignment, Comment, Unparsable

LINES = st.sampled_from(
    (
        "A=1",
        "export B='x y' # c",
        'C="two\nlines"',
        'D="open',
        "# --- one ---",
        "# note",
        "",
        "x y",
        "=z",
        "E: 1",
    )
)
FILES = st.lists(LINES, max_size=12).flatmap(
    lambda lines: st.sampled_from(("\n", "\r\n", "\r")).map(lambda end: end.join(lines))
)


def only(text: str) -> Assignment:
    (node,) = parse(text.encode()).assignments
    return node


@given(st.binary(max_size=200))
def test_any_bytes_come_back(data: bytes) -> None:
    assert parse(data).data == data


@given(FILES)
def test_files_come_back_and_lines_count(text: str) -> None:
    document = parse(text.encode())
    assert document.text == text
    line = 1
    for node in document.nodes:
        assert node.line == line
        line += node.raw.count("\n") + node.raw.count("\r") - node.raw.count("\r\n")


@pytest.mark.parametrize(
    ("text", "key", "written", "value", "quote", "inline", "column"),
    [
        ("A=1\n", "A", "1", "1", "", None, None),
        ("A=30  # why\n", "A", "30", "30", "", "# why", 7),
        ("A=  # why\n", "A", "", "", "", "# why", 5),
        ("A=#c\n", "A", "#c", "#c", "", None, None),
        ("A=123#4\n", "A", "123#4", "123#4", "", None, None),
        ("A='x # y' # c\n", "A", "'x # y'", "x # y", "'", "# c", 11),
        ('A="a\\"b"\n', "A", '"a\\"b"', 'a\\"b', '"', None, None),
        ("A = 1 \n", "A", "1", "1", "", None, None),
        ("  export A=1\n", "A", "1", "1", "", None, None),
        ("A: 1\n", "A", "1", "1", "", None, None),
        ("A\n", "A", "", "", "", None, None),
    ],
)
def test_an_assignment(  # a row of the table
    text: str, key: str, written: str, value: str, quote: str, inline: str | None, column: int | None
) -> None:
    node = only(text)
    found = (node.key, node.written, node.value, node.quote, node.inline, node.inline_column)
    assert found == (key, written, value, quote, inline, column)


def test_export_and_column() -> None:
    node = only("  export A=1\n")
    assert (node.export, node.column) == (True, 10)


def test_a_value_that_spans_lines_ends_where_its_quote_does() -> None:
    first, second = parse(b'A="one\ntwo" # c\nB=2\n').assignments
    assert (first.line, first.end_line, first.value, first.inline_column) == (1, 2, "one\ntwo", 6)
    assert (second.key, second.line) == ("B", 3)


@pytest.mark.parametrize("text", ["A B=1\n", "=1\n", 'A="open\n', "'x'\n"])
def test_what_is_no_assignment(text: str) -> None:
    document = parse((text + "B=2\n").encode())
    assert isinstance(document.nodes[0], Unparsable)
    assert [node.key for node in document.assignments] == ["B"]


@pytest.mark.parametrize(
    "heading",
    [
        "# =====\n# Redis\n# =====\n",
        "# --- Redis ---\n",
        "# == Redis ==\n",
        "#### Redis ####\n",
        "#---\n# Redis\n#---\n",
    ],
)
def test_a_heading_names_the_section(heading: str) -> None:
    document = parse(f"A=1\n\n{heading}# the host\nB=2\n".encode())
    one, two = document.assignments
    assert (one.section, two.section, two.above) == (None, "Redis", ("the host",))
    assert [n.text for n in document.nodes if isinstance(n, Comment) and n.heading] == ["Redis"]


def test_mark_line_ends_and_encoding() -> None:
    document = parse(b"\xef\xbb\xbfA=1\r\nB=\xff\r\n")
    assert (document.bom, document.newline, document.encoding_error) == (True, "\r\n", 2)


def test_the_last_assignment_wins() -> None:
    document = parse(b"A=1\nB=2\nA=3\n")
    last = document.last_of("A")
    assert last is not None
    assert (last.line, len(document.all_of("A")), document.all_of("C")) == (3, 2, ())
