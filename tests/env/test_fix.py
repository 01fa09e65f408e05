"""``fix``: what has one right answer, and that no key gets another value."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from exai_ops.env.fix import CODES, fix
from exai_ops.env.model import Document
from exai_ops.env.readers import READERS
from exai_ops.errors import CouldNotLook

from .documents import comments, document, documents

TABLE = {
    "clean": ("# c\nA=1\nB='x'  # c\n", (), "# c\nA=1\nB='x'  # c\n", []),
    "byte order mark": ("\ufeffA=1\n", (), "A=1\n", [("ENV101", 1)]),
    "a line that ends otherwise": ("A=1\nB=2\r\nC=3\n", (), "A=1\nB=2\nC=3\n", [("ENV103", 2)]),
    "most lines end with CR LF": ("A=1\r\nB=2\nC=3\r\n", (), "A=1\r\nB=2\r\nC=3\r\n", [("ENV103", 2)]),
    "a CR alone": ("A=1\r\r\nB=2\nC=3\n", (), "A=1\r\r\nB=2\nC=3\n", []),
    "all lines end with CR LF": ("A=1\r\nB=2\r\n", (), "A=1\r\nB=2\r\n", []),
    "a comment as value": ("A=  # why\nB=\n", (), "# why\nA=\nB=\n", [("ENV104", 1)]),
    "a comment as value, exported": ("export A= # why  \n", (), "# why\nexport A=\n", [("ENV104", 1)]),
    "a comment as value at the end": ("A= # why", (), "# why\nA=\n", [("ENV104", 1), ("ENV115", 1)]),
    "a comment as value, CR LF": ("A= # why\r\nB=\r\n", (), "# why\r\nA=\r\nB=\r\n", [("ENV104", 1)]),
    "a comment behind quotes": ("A='' # why\n", (), "A='' # why\n", []),
    "space behind a value": ("A=1 \t\nB='x ' \n", (), "A=1\nB='x '\n", [("ENV105", 1), ("ENV105", 2)]),
    "space behind a comment": ("A=1 # c \n", (), "A=1 # c\n", [("ENV105", 1)]),
    "space inside quotes": ("A='x \ny '\n", (), "A='x \ny '\n", []),
    "space behind a backslash": ("A=x\\ \nB=\n", (), "A=x\\ \nB=\n", []),
    "spaces for bash": ("A = 1\n", ("bash",), "A=1\n", [("ENV114", 1)]),
    "spaces for docker run": ("A =1\nB= 2\n", ("docker-run",), "A=1\nB= 2\n", [("ENV114", 1)]),
    "space behind a value for Compose's raw": ("A=1   \nA=1\n", ("compose-raw",), "A=1   \nA=1\n", []),
    "a tab behind a value for Node": (
        "A=1\t\nB=1 \nC='1'\t\n", ("node",), "A=1\t\nB=1\nC='1'\n", [("ENV105", 2), ("ENV105", 3)]
    ),
    "a line end within quotes": ("A='x\r\ny'\nB=2\n", (), "A='x\r\ny'\nB=2\n", []),
    "a line that ends otherwise behind quotes": (
        "A='x\ny'\r\nB=2\nC=\n", (), "A='x\ny'\nB=2\nC=\n", [("ENV103", 1)]
    ),
    "no last line end, and bash keeps a CR": ("A=1\nB=2\r\nC=3\r\nD=4", ("bash",), "A=1\nB=2\nC=3\nD=4\n", [
        ("ENV103", 2), ("ENV103", 3), ("ENV115", 4)
    ]),
    "no last line end, CR LF": ("A=1\r\nB=2", (), "A=1\r\nB=2\r\n", [("ENV115", 2)]),
    "no last line end, bash": ("A=1\r\nB=2", ("bash",), "A=1\nB=2\n", [("ENV103", 1), ("ENV115", 2)]),
    "the same line again, with a CR alone": ("S: 1\r\nS: 1\r", (), "S: 1\r\nS: 1\r", []),
    "spaces for Compose": ("A = 1\n", ("compose", "python-dotenv"), "A = 1\n", []),
    "a colon is a judgement": ("A: 1\n", ("bash",), "A: 1\n", []),
    "no last line end": ("A=1", (), "A=1\n", [("ENV115", 1)]),
    "an empty file": ("", (), "", []),
    "the same line again": ("A=1\n# c\nA=1\nB=\n", (), "A=1\n# c\nB=\n", [("ENV003", 3)]),
    "the same value, another comment": ("A=1\nA=1 # c\n", (), "A=1\nA=1 # c\n", []),
    "another value in between": ("A=1\nA=2\nA=1\n", (), "A=1\nA=2\nA=1\n", []),
    "the same line expands anew": ("A=${A}x\nA=${A}x\n", (), "A=${A}x\nA=${A}x\n", []),
    "the same line but for the spaces": ("A=1\nA = 1 \n", ("bash",), "A=1\n", [("ENV003", 2)]),
    "a comment of a line that goes": (
        "A= # x\nA= # y\n", (), "# x\nA=\n# y\n", [("ENV104", 1), ("ENV104", 2), ("ENV003", 2)]
    ),
    "what is no assignment stays": ("no key \nA=1\n", (), "no key \nA=1\n", []),
}  # fmt: skip


@pytest.mark.parametrize(("text", "readers", "expected", "fixes"), TABLE.values(), ids=TABLE)
def test_one_right_answer(
    text: str, readers: tuple[str, ...], expected: str, fixes: list[tuple[str, int]]
) -> None:
    done = fix(document(text), readers=readers)
    assert done.document.text == expected
    assert [(f.code, f.line) for f in done.fixes] == fixes


_LINES = ("A=1", "S: 1", "B=2", "export MM", "P=  ", "  ", "M=a#b", "N='q'z", "C='x\r\ny'", 'D="', "E=x\\")
_BYTES = st.lists(
    st.sampled_from(_LINES)
    .flatmap(lambda text: st.sampled_from(("\n", "\r\n", "\r", "\t\r\n", " \n")).map(lambda end: text + end)),
    max_size=9,
).map("".join)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(_BYTES, st.sampled_from(tuple(READERS)))
@example("export MM\nP=  \r\n  \r\n\t\r\nM=a#b\r\nB\r\nS: 1\r\nN='q'z\r\nS: 1\r", "compose")
def test_a_second_run_does_nothing_whatever_the_line_ends(text: str, reader: str) -> None:
    try:
        after = fix(document(text), readers=(reader,)).document
    except CouldNotLook:
        return
    assert fix(after, readers=(reader,)).fixes == ()


@settings(max_examples=200, deadline=None)
@given(_BYTES, st.sampled_from(tuple(READERS)))
@example("A=1   ", "compose-raw")
@example("A=x\t", "node")
@example("A=1\rP=  \rA=1\n", "compose")
@example("A=1\r\nB=2", "bash")
def test_no_reader_in_use_gets_another_value(text: str, reader: str) -> None:
    assume('D="' not in text)  # a quote that is open, or closes below, is another thing to each reader
    # bash takes a CR behind white space for a command, so the assignment is lost, and is mended.
    assume(reader != "bash" or not re.search(r"[ \t]\r", text))
    codes = set(CODES) - {"ENV101", "ENV103", "ENV104", "ENV114"}  # these mend what a reader stumbles over
    try:
        after = fix(document(text), readers=(reader,), codes=codes).document
    except CouldNotLook:
        return
    before, now = (READERS[reader](data, {}).values for data in (text.encode(), after.data))
    keys = {key for key in before | now if "\n" not in key}  # Node makes one of a line without = and the next
    assert {key: now.get(key) for key in keys} == {key: before.get(key) for key in keys}


@pytest.mark.parametrize("code", CODES)
def test_a_rule_alone(code: str) -> None:
    text = "\ufeffA = 1 \nB= # c\nA = 1 \nD=1\r\nC=1"
    done = fix(document(text), readers=("bash",), codes=(code,))
    assert {f.code for f in done.fixes} == {code}
    assert fix(document(text), readers=("bash",), codes=()).document.text == text


def test_what_somebody_wants_as_it_is_stays() -> None:
    done = fix(
        document("\ufeffA=1 \nB=2 \n"),
        leave=lambda code, line, key: code == "ENV101" or (line, key) == (1, "A"),
    )
    assert done.document.text == "\ufeffA=1 \nB=2\n"


def test_a_repeated_line_stays_above_what_may_be_the_rest_of_its_value() -> None:
    text = "REDIS_PASSWORD=one\nA=one\nREDIS_PASSWORD=one\nBARE\n"
    assert fix(document(text), readers=("bash",)).document.text == text


@settings(max_examples=120, deadline=None)
@given(documents())
def test_values_and_comments_stay_and_a_second_run_does_nothing(before: Document) -> None:
    done = fix(before, readers=("bash",))
    after = done.document
    assert {k: a[-1].value.replace("\r", "") for k, a in after.index.items()} == {
        k: a[-1].value.replace("\r", "") for k, a in before.index.items()
    }
    repeated = sum(f.code == "ENV003" for f in done.fixes)
    assert len(list(after.assignments)) == len(list(before.assignments)) - repeated
    assert set(comments(before)) <= set(comments(after))
    assert bool(done.fixes) == (after.text != before.text)
    assert fix(after, readers=("bash",)).fixes == ()
