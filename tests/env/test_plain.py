"""Files without peculiarities are read as their readers read them; others are left to these."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exai_ops.env.readers import READERS, plain

DATA = Path(__file__).parent / "data"
PIECES = st.sampled_from(
    ["A", "B_1", "export ", "=", " = ", "\t", " ", "  ", "#", " # c", "'", '"', "\\", "$", "{", "}", ":",
     "é", "→", "\n", "\n\n", "x", "1", "\ufeff", "-", "\r\n", "\u00a0", "`", "A=1\n", "B='x'\n", "# c\n",
     "A= # c\n"]
)  # fmt: skip
LINES = st.tuples(
    st.sampled_from(["", " ", "export ", "#"]),
    st.sampled_from(["A", "B", "export", "a_1"]),
    st.sampled_from(["=", "= ", " =", " = "]),
    st.sampled_from(
        ["", "x", "x y", "it's", "'q q'", '"q"', "'q'r", '"', "#", "# c # d", "a#b", "a #b #c", "\\n", "a=b"]
    ),
    st.sampled_from(["", " ", " # c", "#c", "  #"]),
    st.sampled_from(["\n", "\n\n", "\n# c\n"]),
).map("".join)


@settings(max_examples=600, deadline=None)
@given(st.one_of(st.lists(PIECES, max_size=14), st.lists(LINES, max_size=4)).map("".join))
def test_the_same_as_the_reader(text: str) -> None:
    data = text.encode()
    for reader in plain.READERS:
        quick = plain.read(data, reader)
        assert quick is None or quick == READERS[reader](data, {})


@pytest.mark.parametrize(
    "text",
    [
        "A=1", "A= 1 \n", "A=\n\n# c\n  B=2 # c\n", "export A=1\n", "A= # c\n", "A=a#b  #c\n",
        "A='x' # c\n",
        'A="x y"\n', "A=it's\n", "A=1\nA=2\n", "\ufeffA=1\n", "A =1\n", "A=''\n",
    ],
)  # fmt: skip
def test_plain_files_are_taken(text: str) -> None:
    for reader in plain.READERS:
        assert plain.read(text.encode(), reader) == READERS[reader](text.encode(), {})


@pytest.mark.parametrize(
    "data",
    [
        b"A=$B\n",
        b"A='x\ny'\n",
        b'A="\\n"\n',
        b"A\n",
        b"what is this\n",
        b"A=1\r\n",
        b"\xff",
        b"A='x' y\n",
        b"A=\t#c\n",
        b"A=#c\n",
    ],
)
def test_others_are_for_the_reader(data: bytes) -> None:
    assert [plain.read(data, reader) for reader in plain.READERS] == [None, None]


@pytest.mark.parametrize(
    "path", sorted(DATA.glob("2025-*/.env*")), ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_real_files_are_plain(path: Path) -> None:
    data = path.read_bytes()
    for reader in plain.READERS:
        assert plain.read(data, reader) == READERS[reader](data, {})
