"""The root command: lazy mounting, the edge where failures become lines and exit codes, start-up cost."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer

import exai_ops
from exai_ops import cli
from exai_ops.cli import COMMANDS, main
from exai_ops.commands.entry import Entry
from exai_ops.errors import CouldNotLook, ExaiError, SettingsError, ToolNotFound, UsageError

ROOT = Path(__file__).parent.parent
HEAVY = (
    "aiohttp", "asyncio", "dotenv", "httpx", "mcp", "msgspec", "prometheus_client", "psutil", "pydantic",
    "redis", "rich", "stamina", "starlette", "structlog", "supabase", "uvicorn", "uvloop", "websockets",
)  # fmt: skip


def exai(*args: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "exai_ops", *args]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT, **options
    )


@pytest.fixture
def mount(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., Any]], None]:
    """Put a function in the place of ``exai version``."""

    def put(function: Callable[..., Any]) -> None:
        module = ModuleType("mounted_for_a_test")
        module.command = function  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setattr(cli, "COMMANDS", {"version": Entry(module.__name__, "command", "A test.")})

    return put


@pytest.mark.parametrize(
    ("args", "message", "command"),
    [
        (["nope"], "No such command 'nope'", ""),
        (["stop", "--bad"], "No such option: --bad", "stop "),
        (["settings", "shw"], "No such command 'shw'. Did you mean 'show'?", "settings "),
        (["serve", "--port", "x"], "Invalid value for '--port': 'x' is not a valid int", "serve "),
    ],
)
def test_every_usage_error_has_one_style(args: list[str], message: str, command: str) -> None:
    done = exai(*args)
    program = f"{shlex.quote(sys.executable)} -m exai_ops"
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (f"exai: error: {message}\nhint: {program} {command}--help lists what it takes\n")


def test_help_lists_every_command_with_its_help() -> None:
    done = exai("--help")
    assert done.returncode == 0
    for name, entry in COMMANDS.items():
        assert any(line.split() == [name, *entry.help.split()] for line in done.stdout.splitlines())


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["version"], ["settings", "check"], ["nope"]])
def test_light_commands_import_nothing_heavy(args: list[str]) -> None:
    code = (
        "import sys, json; from exai_ops.cli import main; main(sys.argv[1:]);"
        f"print(json.dumps([m for m in {HEAVY!r} if m in sys.modules]), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *args], capture_output=True, text=True, timeout=60, check=True, cwd="/"
    )
    assert json.loads(done.stderr.splitlines()[-1]) == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"Usage: exai {name}")
    assert len(out.splitlines()) > 4


def test_version() -> None:
    assert exai("--version").stdout == f"exai {exai_ops.__version__}\n"
    assert exai("version").stdout.startswith(f"exai {exai_ops.__version__}\npython 3.")
    assert json.loads(exai("version", "--json").stdout)["exai"] == exai_ops.__version__


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["srve"], "No such command 'srve'. Did you mean 'serve'?"),
        (["--nope"], "No such option: --nope"),
        (["version", "--jsno"], "No such option: --jsno"),
        (["version", "extra"], "unexpected extra argument"),
        ([], "Usage: exai"),
    ],
)
def test_usage_errors_exit_2_on_stderr(args: list[str], said: str) -> None:
    done = exai(*args)
    assert done.returncode == 2
    assert done.stdout == ""
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("error", "code", "lines"),
    [
        (ExaiError("it failed", hint="mend it"), 1, ["exai: error: it failed", "hint: mend it"]),
        (ToolNotFound("no\n  such tool"), 1, ["exai: error: no such tool"]),
        (UsageError("bad"), 2, ["exai: error: bad"]),
        (SettingsError(["A: x", "B: y"], hint="h"), 2, ["exai: error: A: x", "exai: error: B: y", "hint: h"]),
        (CouldNotLook("away"), 3, ["exai: error: away"]),
        (KeyboardInterrupt(), 130, []),
        (typer.Exit(124), 124, []),
        (typer.Abort(), 130, []),
        (BrokenPipeError(), 141, []),
    ],
)
def test_failures_become_lines_and_exit_codes(
    mount: Callable[[Callable[..., Any]], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    lines: list[str],
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(cli, "_drop_stdout", lambda: None)
    mount(fail)
    assert main(["version"]) == code
    assert capsys.readouterr().err.splitlines() == lines


def test_a_bug_keeps_its_traceback_without_the_secrets(
    mount: Callable[[Callable[..., Any]], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail() -> None:
        raise RuntimeError("refused canary-key and sk-abcdefgh12345678")

    monkeypatch.setenv("MOONSHOT_API_KEY", "canary-key")
    mount(fail)
    assert main(["version"]) == 70
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert "in fail" in said
    assert "canary" not in said
    assert "abcdefgh" not in said


def test_a_command_that_returns_a_number_exits_with_it(mount: Callable[[Callable[..., Any]], None]) -> None:
    def seven() -> int:
        return 7

    mount(seven)
    assert main(["version"]) == 7


def test_a_reader_that_leaves_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "exai_ops", "settings", "example"],
            stdout=write, stderr=subprocess.PIPE, timeout=60, check=False, cwd=ROOT,
        )  # fmt: skip
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&- <&-"])
def test_closed_streams_are_no_bug(closed: str) -> None:
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m exai_ops version {closed}"],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("args", [["version"], ["settings", "example"], ["--help"]])
def test_a_full_disk_beneath_stdout_is_one_line(args: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "exai_ops", *args],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=30, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (
        cli.EXIT_OUTPUT,
        "exai: error: stdout cannot be written: No space left on device\n",
    )


def test_an_interrupt_of_the_imports_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    from exai_ops import __main__ as entry

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "exai_ops.cli")
    monkeypatch.setattr("builtins.__import__", interrupted)
    code = entry.main()
    monkeypatch.undo()
    assert code == cli.EXIT_INTERRUPTED


def test_an_error_does_not_drive_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    cli.report(ExaiError("said \x1b[31mred\x07\u202e\nin two", hint="\x9b2J"))
    assert capsys.readouterr().err == ("exai: error: said \\x1b[31mred\\x07\\u202e in two\nhint: \\x9b2J\n")
