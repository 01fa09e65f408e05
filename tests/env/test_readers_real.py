"""Our readers and the real ones on generated texts: python-dotenv, Node and bash, as installed here."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from dotenv import dotenv_values
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from exai_ops.env.readers import READERS

from .reader_texts import NAMES, batches, environments, texts

BATCHED = settings(
    max_examples=10,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
    deadline=None,
    derandomize=True,
)
NODE = """
const {parseEnv} = require("util")
const texts = JSON.parse(require("fs").readFileSync(0))
console.log(JSON.stringify(texts.map(text => Object.entries(parseEnv(text)))))
"""
# Each text has a shell of its own, because it may end it, and no way to any command. \037 stands between the
# values, \036 behind a text; a subshell of the text says nothing.
BASH_ONE = r"""
exec 3>&1 >/dev/null 2>&1 </dev/null
_file=$1
trap '
[[ $BASHPID == $$ ]] && printf "%s\037" "$_ended" "${A-unset}" "${B-unset}" "${C-unset}" "${N-unset}" >&3
printf "\036" >&3' EXIT
set --
_ended=ended
. "$_file"
_ended=whole
"""
BASH_ALL = r"""
for file in *.env; do
  unset A B C N
  case $file in
    *-1.env) export N="of the shell";;
    *-2.env) export A="of the shell";;
    *-3.env) export N=;;
  esac
  "$BASH" --norc ./one.sh "$file"
done
"""
ENVIRONMENTS: tuple[dict[str, str], ...] = ({}, {"N": "of the shell"}, {"A": "of the shell"}, {"N": ""})


@settings(
    max_examples=800,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=(Phase.explicit, Phase.generate),
)
@given(texts, environments)
def test_python_dotenv(tmp_path: Path, text: str, environ: dict[str, str]) -> None:
    (tmp_path / "file").write_bytes(text.encode())
    with pytest.MonkeyPatch.context() as patch:
        for name in NAMES:
            patch.delenv(name, raising=False)
        for name, value in environ.items():
            patch.setenv(name, value)
        theirs = dotenv_values(tmp_path / "file")
    ours = READERS["python-dotenv"](text.encode(), environ)
    assert ours.values == {key: value for key, value in theirs.items() if value is not None}


@BATCHED
@given(st.lists(texts, min_size=80, max_size=80))
def test_node(written: list[str]) -> None:
    done = subprocess.run(
        ["node", "-e", NODE],
        input=json.dumps(written),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    for text, theirs in zip(written, json.loads(done.stdout), strict=True):
        assert READERS["node"](text.encode(), {}).values == dict(theirs), repr(text)


@pytest.mark.parametrize(
    "text", [" =1\n", "A=1\n  =2\nB=3\n", "  =\n", "\n =x", "A=1\n = \n", "=x\nA=1\n", " = = \n"]
)
def test_node_and_a_name_of_spaces(text: str) -> None:
    done = subprocess.run(
        ["node", "-e", NODE], input=json.dumps([text]), capture_output=True, text=True, check=True, timeout=60
    )
    assert READERS["node"](text.encode(), {}).values == dict(json.loads(done.stdout)[0])


def test_node_as_a_process(tmp_path: Path) -> None:
    """``--env-file`` gives the process what ``parseEnv`` gives."""
    text = "A=1 # c\nB=`x y`\nexport C='z'\n"
    (tmp_path / "file").write_text(text)
    program = "const {A, B, C} = process.env; console.log(JSON.stringify({A, B, C}))"
    done = subprocess.run(
        ["node", f"--env-file={tmp_path / 'file'}", "-e", program],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert READERS["node"](text.encode(), {}).values == json.loads(done.stdout)


@BATCHED
@given(batches(60))
def test_bash(tmp_path: Path, written: list[tuple[str, dict[str, str]]]) -> None:
    theirs = _bash(tmp_path, written)
    for (text, environ), (ended, *values) in zip(written, theirs, strict=True):
        found = READERS["bash"](text.encode(), environ)
        seen = {name: value for name, value in zip(NAMES, values, strict=True) if value != "unset"}
        if found.refused is not None:
            assert ended == "ended", repr(text)
            continue
        for name in NAMES:
            if name in found.values:
                assert seen.get(name) == found.values[name], (text, name)
            elif not found.problems:
                assert seen.get(name) == environ.get(name), (text, name)


def _bash(home: Path, written: list[tuple[str, dict[str, str]]]) -> list[list[str]]:
    """For each text whether bash came to its end, and the values of NAMES."""
    for old in home.iterdir():
        old.unlink()
    (home / "one.sh").write_text(BASH_ONE)
    for at, (text, environ) in enumerate(written):
        (home / f"{at:04}-{ENVIRONMENTS.index(environ)}.env").write_bytes(text.encode())
    done = subprocess.run(
        [shutil.which("bash") or "bash", "--norc", "-c", BASH_ALL],
        cwd=home,
        capture_output=True,
        check=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        env={"PATH": "", "HOME": "/root", "LC_ALL": "C.UTF-8"},
    )
    records = done.stdout.decode("utf-8", "surrogateescape").split("\036")[:-1]
    return [record.split("\037")[:-1] for record in records if record]
