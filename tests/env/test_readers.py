"""What each reader makes of 40 tricky files that the real readers have read, and what all readers share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from exai_ops.env.model import Reading
from exai_ops.env.readers import READERS

from .reader_texts import environments, texts

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "data" / "vectors.json").read_text(encoding="utf-8")
)
COLUMNS = {
    "python-dotenv": "python_dotenv_1_2_4",
    "compose": "compose_go",
    "compose-raw": "compose_format_raw",
    "docker-run": "docker_run_env_file",
    "node": "node_20_20_2",
}
# systemd's column is what the generator of environment.d prints: the same lexer, then an expansion of $ that
# EnvironmentFile= has not, and line ends written as \n. For the vectors that the expansion changes, here is
# what ``load_env_file`` of libsystemd-shared 252 gives, which is all that EnvironmentFile= does.
ENVIRONMENT_FILE: dict[str, dict[str, str]] = {
    "v13 dollar-unquoted": {"HOMEX": "z", "A": "a$HOMEX"},
    "v15 dollar-dq": {"HOMEX": "z", "A": "a${HOMEX}b"},
    "v16 dollar-sq": {"HOMEX": "z", "A": "a${HOMEX}b"},
    "v17 default-unset": {"A": "${NOPE_X:-def}"},
    "v18 default-dash-nocolon": {"A": "${NOPE_X-def}"},
    "v20 alt-plus": {"HOMEX": "z", "A": "${HOMEX:+alt}"},
    "v21 bcrypt-unquoted": {"A": "$2b$12$abcDEF"},
    "v48 redis-url-ref": {"PW": "p@ss#1", "A": "redis://:${PW}@redis:6379/0"},
    "v58 inherited-nested-default": {"A": "${NOPE_X:-${NOPE_Y:-deep}}"},
}
each_vector = pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
each_reader = pytest.mark.parametrize("reader", READERS)


@pytest.mark.parametrize("reader", COLUMNS)
@each_vector
def test_a_vector(vector: dict[str, Any], reader: str) -> None:
    expected = vector[COLUMNS[reader]]
    found = READERS[reader](vector["input"].encode(), {})
    if "__error__" in expected:
        assert found.refused
        assert not found.values
    else:
        assert found.refused is None
        assert found.values == {key: value for key, value in expected.items() if value is not None}


@each_vector
def test_a_vector_in_bash(vector: dict[str, Any]) -> None:
    """``$(echo hi)`` is the one whose value is not told: nothing is run here."""
    found = READERS["bash"](vector["input"].encode(), {})
    if vector["name"] == "v55 cmd-subst":
        assert (found.values, [problem.line for problem in found.problems]) == ({}, [1])
    else:
        assert found.values == vector["bash_source"]
        assert bool(found.refused or found.problems) == bool(vector["bash_error"])


@each_vector
def test_a_vector_in_systemd(vector: dict[str, Any]) -> None:
    found = READERS["systemd"](vector["input"].encode(), {})
    printed = {key: value.replace("\n", "\\n") for key, value in found.values.items()}
    expanded = vector["systemd_252_environment_d"]
    assert printed == ENVIRONMENT_FILE.get(vector["name"], expanded)
    assert (printed != expanded) == (vector["name"] in ENVIRONMENT_FILE)


@each_reader
def test_lines_point_at_the_winner(reader: str) -> None:
    found = READERS[reader](b"# c\n\nA=1\n\nB=2\nA=3\n", {})
    assert (found.values, found.lines) == ({"A": "3", "B": "2"}, {"A": 6, "B": 5})


@each_reader
@pytest.mark.parametrize("data", [b"", b"\n", b"\n\n  \n", b"# c", b"# c\n# A=1\n"])
def test_nothing_in_it(reader: str, data: bytes) -> None:
    assert READERS[reader](data, {}) == Reading(reader=reader, values={}, lines={})


@pytest.mark.parametrize(
    ("reader", "found"),
    [
        ("compose", ({"A": "x"}, ("B",))),
        ("compose-raw", ({"A": "x"}, ("B",))),
        ("docker-run", ({"A": "x"}, ("B",))),
        ("python-dotenv", ({}, ())),
        ("node", ({}, ())),
        ("bash", ({}, ())),
        ("systemd", ({}, ())),
    ],
)
def test_a_bare_name(reader: str, found: tuple[dict[str, str], tuple[str, ...]]) -> None:
    """Compose and docker run take it from the shell."""
    seen = READERS[reader](b"A\nB\n", {"A": "x"})
    assert (seen.values, seen.needs) == found


@pytest.mark.parametrize(
    ("reader", "needs"),
    [("compose", ("NOPE", "GONE")), ("python-dotenv", ("GONE",)), ("bash", ("NOPE", "GONE")), ("node", ())],
)
def test_what_is_looked_up_in_vain(reader: str, needs: tuple[str, ...]) -> None:
    """A name with a default is not among them, nor one that the file or the shell has."""
    seen = READERS[reader](b"A=1\nB=$NOPE\nC=${GONE}\nD=${X:-d}\nE=${A}${S}\n", {"S": "s"})
    assert seen.needs == needs


@each_reader
@settings(max_examples=300, deadline=None, derandomize=True)
@given(text=texts, environ=environments)
def test_any_text_is_read(reader: str, text: str, environ: dict[str, str]) -> None:
    found = READERS[reader](text.encode(), environ)
    last = text.count("\n") + text.count("\r") + 1
    assert found.reader == reader
    assert found.values.keys() == found.lines.keys()
    assert all(1 <= line <= last for line in found.lines.values())
    assert all(1 <= problem.line <= last for problem in found.problems)
    assert not (found.refused and found.values)


@each_reader
@pytest.mark.parametrize(
    "data", [b"\xff", b"A=\xff\n", b"A=1\0\nB=2\n", b"\xff\xfeA\0=\x001\0", b"\xed\xa0\x80=1\n"]
)
def test_bytes_that_are_no_text(reader: str, data: bytes) -> None:
    assert READERS[reader](data, {}).reader == reader
