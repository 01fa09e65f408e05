"""What each reader makes of tricky lines: vectors that were run, and the readers that run here."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from dotenv import dotenv_values
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from exai_ops.env.readers import READERS

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
# These run code in bash, which is not run here; systemd's column is environment.d, which expands $.
RUNS = {"v55 cmd-subst"}
PIECES = st.sampled_from(
    (
        "A=",
        "B=",
        "export C=",
        "1",
        "a b",
        '"',
        "'",
        "#",
        " # c",
        "\\n",
        "${A}",
        "${N:-d}",
        "$A",
        " ",
        "\n",
        "\r\n",
        "=",
        ":",
    )
)
TEXTS = st.lists(PIECES, max_size=14).map("".join)
NAMELESS = re.compile(r"(?m)^[ \r]*=")


@pytest.mark.parametrize("reader", COLUMNS)
@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_a_vector(vector: dict[str, Any], reader: str) -> None:
    expected = vector[COLUMNS[reader]]
    found = READERS[reader](vector["input"].encode(), {})
    if "__error__" in expected:
        assert found.refused
        assert not found.values
    else:
        assert found.refused is None
        assert found.values == {key: value for key, value in expected.items() if value is not None}


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_a_vector_in_bash(vector: dict[str, Any]) -> None:
    found = READERS["bash"](vector["input"].encode(), {})
    if vector["name"] in RUNS:
        assert (found.values, [problem.line for problem in found.problems]) == ({}, [1])
    else:
        assert found.values == vector["bash_source"]
    if vector["bash_error"]:
        assert found.refused or found.problems


@pytest.mark.parametrize("vector", [v for v in VECTORS if "$" not in v["input"]], ids=lambda v: v["name"])
def test_a_vector_in_systemd(vector: dict[str, Any]) -> None:
    found = READERS["systemd"](vector["input"].encode(), {})
    shown = {key: value.replace("\n", "\\n") for key, value in found.values.items()}
    assert shown == vector["systemd_252_environment_d"]


def test_systemd_expands_nothing() -> None:
    assert READERS["systemd"](b"A=1\nB=$A ${A}\n", {}).values == {"A": "1", "B": "$A ${A}"}


@settings(max_examples=4, phases=(Phase.explicit, Phase.reuse, Phase.generate), deadline=None)
@given(st.lists(TEXTS, min_size=40, max_size=40))
def test_bash_agrees(texts: list[str]) -> None:
    """For what runs no code; each file is sourced in a subshell without a path to any command."""
    program = "".join(
        f"( unset A B C N; set -a; . /dev/stdin >/dev/null 2>&1 <<'EOF_{i}'\n{text}\nEOF_{i}\n"
        f'printf \'%s\\037%s\\037%s\\036\' "${{A-unset}}" "${{B-unset}}" "${{C-unset}}" )\n'
        for i, text in enumerate(texts)
    )
    done = subprocess.run(
        [shutil.which("bash") or "bash", "--norc"],
        input=program.encode(),
        capture_output=True,
        check=False,
        timeout=60,
        env={"PATH": ""},
    )
    theirs = done.stdout.decode().split("\036")
    compared = 0
    for text, line in zip(texts, theirs, strict=False):
        found = READERS["bash"]((text + "\n").encode(), {})
        if found.refused or found.problems or "\x1f" not in line:
            continue
        compared += 1
        assert [found.values.get(key, "unset") for key in "ABC"] == line.split("\x1f"), repr(text)
    assert compared or not any(texts)


@pytest.mark.filterwarnings("ignore")
@given(TEXTS)
def test_python_dotenv_agrees_with_itself(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("A", "B", "C", "N"):
            patch.delenv(name, raising=False)
        theirs = dotenv_values(stream=io.StringIO(text))
        ours = READERS["python-dotenv"](text.encode(), {})
    assert ours.values == {key: value for key, value in theirs.items() if value is not None}


@settings(max_examples=5, phases=(Phase.explicit, Phase.reuse, Phase.generate), deadline=None)
@given(st.lists(TEXTS.filter(lambda text: not NAMELESS.search(text)), min_size=60, max_size=60))
def test_node_agrees(texts: list[str]) -> None:
    program = "const u=require('util');const t=JSON.parse(require('fs').readFileSync(0));console.log(JSON.stringify(t.map(x=>u.parseEnv(x))))"  # noqa: E501
    done = subprocess.run(
        ["node", "-e", program],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    for text, theirs in zip(texts, json.loads(done.stdout), strict=True):
        assert READERS["node"](text.encode(), {}).values == theirs, repr(text)


@pytest.mark.parametrize("reader", COLUMNS)
def test_lines_point_at_the_winner(reader: str) -> None:
    found = READERS[reader](b"# c\n\nA=1\n\nB=2\nA=3\n", {})
    assert (found.values, found.lines) == ({"A": "3", "B": "2"}, {"A": 6, "B": 5})


def test_a_bare_name_is_taken_from_the_shell() -> None:
    for reader in ("compose", "compose-raw", "docker-run"):
        found = READERS[reader](b"A\nB\n", {"A": "x"})
        assert (found.values, found.needs) == ({"A": "x"}, ("B",))


@pytest.mark.parametrize("reader", COLUMNS)
@pytest.mark.parametrize("line", ['A="x', "A=" + "$" * 40, "A=" + "${B:-" * 200, "A='", "\\" * 200])
def test_hostile_lines_stay_linear(reader: str, line: str) -> None:
    data = (line + "\n").encode() * 2000
    found = READERS[reader](data, {})
    assert found.reader == reader
