"""Hints name commands as this process was started, so that they can be pasted."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from exai_ops.cli import COMMANDS
from exai_ops.commands.program import program, spelled

ROOT = Path(__file__).parent.parent
SCRIPT = Path(sys.executable).with_name("exai")


@pytest.mark.parametrize(
    ("argv0", "orig0", "name"),
    [
        (".venv/bin/exai", ".venv/bin/python", ".venv/bin/exai"),
        ("/a b/exai", "/a b/python", "'/a b/exai'"),
        ("/src/exai_ops/__main__.py", ".venv/bin/python", ".venv/bin/python -m exai_ops"),
        ("/src/exai_ops/__main__.py", "/a b/python", "'/a b/python' -m exai_ops"),
        ("/lib/pytest/__main__.py", "python", "exai"),
        ("-c", "python", "exai"),
    ],
)
def test_the_name_is_what_was_typed(argv0: str, orig0: str, name: str) -> None:
    assert program([argv0], [orig0]) == name


def test_a_program_on_the_path_goes_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "exai"
    script.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert program([str(script)], ["python"]) == "exai"


@pytest.mark.parametrize(
    ("hint", "said"),
    [
        ("start one with: exai serve", "start one with: ./exai serve"),
        (
            "`exai status` shows its calls; `exai stop` ends it",
            "`./exai status` shows its calls; `./exai stop` ends it",
        ),
        ("no exai daemon, my-exai serve, exai servers", "no exai daemon, my-exai serve, exai servers"),
        ("name an address", "name an address"),
        ("exai --help says more", "./exai --help says more"),
    ],
)
def test_commands_in_a_hint_are_spelled(hint: str, said: str) -> None:
    assert spelled(hint, COMMANDS, "./exai") == said
    assert spelled(hint, COMMANDS, "exai") == hint


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ([sys.executable, "-m", "exai_ops"], f"{shlex.quote(sys.executable)} -m exai_ops"),
        ([str(SCRIPT)], shlex.quote(str(SCRIPT))),
    ],
)
def test_a_hint_can_be_pasted(command: list[str], name: str, tmp_path: Path) -> None:
    env = {"PATH": os.defpath, "EXAI_STATE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    told = subprocess.run(
        [*command, "stop", "--port", "1"],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert told.returncode == 3
    assert f"hint: start one with `{name} serve`" in told.stderr
