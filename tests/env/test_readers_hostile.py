"""Files that are made to take long: each reader goes through them once, and keeps bounds."""

from __future__ import annotations

import tracemalloc

import pytest

from exai_ops.compose.interpolation import parse_template
from exai_ops.env.readers import READERS

MEGA = 1 << 20
# Each is quadratic, or worse, for a reader that looks at a character again and again.
HOSTILE = {
    "one long word": b"x" * MEGA,
    "one long value": b"A=" + b"x" * MEGA,
    "quotes that never close": b"A='x\n" * 20_000,
    "double quotes that never close": b'A="x\n' * 20_001,
    "variables that never close": b"A=" + b"${B:-" * 40_000,
    "variables that never close, with space": b"A=" + b"${B:-x " * 40_000,
    "names that never end": b"A=" + b"${A" * 60_000 + b":x}",
    "names that end in a colon": b"A=" + b"${A:" * 60_000 + b"}",
    "variables in one another": b"A=" + b"${B:-" * 10_000 + b"}" * 10_000,
    "braces in a variable": b"A=${B:-" + b"{" * 15_000 + b"}" * 15_000,
    "dollars": b"A=" + b"$" * 60_000,
    "backslashes": b"A=" + b"\\" * 60_000,
    "backslashes in quotes": b'A="' + b"\\" * 60_001,
    "spaces in a value": b"A=x" + b" " * MEGA + b"x",
    "spaces in a name": b"A" + b" " * MEGA + b"=1",
    "hashes": b"A=1" + b" #" * 60_000,
    "hashes without space": b"A=1 x" + b"#" * MEGA,
    "equals": b"=" * MEGA,
    "spaces with equals": b" =" * 40_000,
    "export": b"export " * 15_000,
    "a script, then a long word": b"if x\n" + b"a" * MEGA,
    "a script, then brackets": b"if x\n" + b"A[" * 60_000,
    "subscripts": b"A[;" * 15_000,
    "brackets": b"A=$(" * 15_000,
    "backticks": b"A=`x" * 15_001,
    "commands": b"A=1;" * 15_000,
    "braces for export": b"export A={" * 20_000 + b",}",
    "tildes": b"A=" + b"~:" * 15_000,
    "comments that go on": b"#\\\n" * 15_000,
    "carriage returns": b"\r" * 60_000,
    "bare names": b"A\n" * 15_000,
}
CHAINS = {
    "plain": b"A=$A$A\n",
    "braces": b"A=${A}${A}\n",
    "defaults": b"A=${N:-${A}${A}}\n",
    "quotes": b'A="${A}${A}"\n',
    "joined": b"A+=$A\n",
    "another name": b"A=${B:=$A$A$A}\nB=$B$B\n",
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files(name: str, reader: str) -> None:
    for end in (b"", b"\n"):
        assert READERS[reader](HOSTILE[name] + end, {}).reader == reader


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", CHAINS)
def test_values_that_double(name: str, reader: str) -> None:
    """A reader that expands refuses the file before its values fill the memory."""
    tracemalloc.start()
    try:
        found = READERS[reader](b"A=xxxxxxxx\n" + CHAINS[name] * 64, {})
        assert tracemalloc.get_traced_memory()[1] < 160 * MEGA
    finally:
        tracemalloc.stop()
    assert sum(map(len, found.values.values())) <= 32 * MEGA


@pytest.mark.parametrize("reader", ["compose", "python-dotenv", "bash"])
def test_values_that_double_refuse_the_file(reader: str) -> None:
    found = READERS[reader](b"A=xxxxxxxx\n" + b"A=${A}${A}\n" * 64, {})
    assert found.refused
    assert "grow" in found.refused
    assert found.values == {}


def test_bash_gives_up_on_a_file_without_end() -> None:
    found = READERS["bash"](b"A=1\n" + b"B='x'" + b"'x'" * 500_000 + b"\nC=1\n", {})
    assert found.values == {"A": "1"}
    assert "reading stops here" in found.problems[-1].message


def test_compose_gives_up_on_variables_without_end() -> None:
    line = b"A=" + b"$$" * 3500 + b"\n"
    assert READERS["compose"](line * 10, {}).refused is None
    assert "with variables" in str(READERS["compose"](line * 310, {}).refused)


@pytest.mark.parametrize("text", ["${B:-" * 31 + "}" * 31, "${B:-" * 5_000, "${B:-{" * 5_000 + "}}" * 5_000])
def test_a_template_in_templates(text: str) -> None:
    assert list(parse_template(text).references()) or parse_template(text).parts
