"""``exai env check`` as a command: files, options, formats, exit codes, imports, time."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from exai_ops.cli import COMMANDS, main
from exai_ops.commands.env import ENV_COMMANDS
from exai_ops.commands.env import check as typed
from exai_ops.commands.env.checking import Options, parse
from exai_ops.commands.root import invoke
from exai_ops.env.rules import RULES
from exai_ops.render import RENDERERS

ROOT = Path(__file__).parents[2]
OCTOBER = ROOT / "tests" / "env" / "data" / "2025-10-18"
HEAVY = (
    "aiohttp", "asyncio", "httpx", "mcp", "msgspec", "prometheus_client", "psutil", "pydantic",
    "redis", "rich", "stamina", "starlette", "structlog", "supabase", "typer", "uvicorn", "uvloop",
    "websockets",
)  # fmt: skip
UNUSED = (
    "dataclasses", "difflib", "dotenv", "exai_ops.compose.model", "inspect", "json", "subprocess", "tempfile",
    "textwrap", "tomllib", "xml", "yaml",
)  # fmt: skip
"""What a check of two files alone has no use for: each takes a share of its time to import."""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a pair of files: a warning, an info and an error in them."""
    (tmp_path / ".env.example").write_text("A=45\nB=1\nC= # why\n")
    (tmp_path / ".env").write_text("A=30\nB=1\nC=\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(*args: str) -> int:
    return main(["env", "check", "--only", "ENV0,ENV1", *args])


def codes(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return re.findall(r"^(?:\S+: )?\w+ ([A-Z]{3}[0-9]{3}) ", capsys.readouterr().out, re.MULTILINE)


def test_it_finds_its_files_and_fails_on_errors(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check("--format", "short") == 1
    assert codes(capsys) == ["ENV005", "ENV009", "ENV104"]


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["--skip", "ENV104"], 0),
        (["--skip", "ENV104", "--fail-on", "warning"], 1),
        (["--skip", "ENV104,ENV005", "--fail-on", "warning"], 0),
        (["--skip", "ENV104,ENV005", "--fail-on", "info"], 1),
        (["--only", "ENV104"], 1),
        (["--fail-on", "never"], 2),
        (["--format", "xml"], 2),
        (["--only", "ENV9999"], 2),
        (["--explain", "ENV14"], 2),
        (["--write-baseline"], 2),
        (["--live", "gone.env"], 3),
        (["--live", "."], 3),
        (["--example", ".env.example", "--baseline", "gone.json"], 3),
        (["--compose", "gone.yml"], 3),
    ],
)
def test_exit_codes(here: Path, capsys: pytest.CaptureFixture[str], args: list[str], code: int) -> None:
    rooms = [] if "--only" in args else ["--only", "ENV0,ENV1"]
    assert main(["env", "check", *rooms, *args]) == code
    err = capsys.readouterr().err
    assert "Traceback" not in err
    assert code < 2 or err.startswith("exai: error: ")


def test_nothing_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["env", "check"]) == 3
    assert ".env.example, " in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["fifo", "folder", "binary", "latin", "large"])
def test_bad_input_ends_soon_in_one_line(here: Path, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    bad = here / "bad.env"
    if kind == "fifo":
        os.mkfifo(bad)
    elif kind == "folder":
        bad.mkdir()
    elif kind == "large":
        with bad.open("wb") as file:
            file.truncate(50 * 1024 * 1024)
    else:
        bad.write_bytes(b"A=1\n\0\1\2" if kind == "binary" else b"A=caf\xe9\n")
    began = time.monotonic()
    code = check("--live", "bad.env")
    assert time.monotonic() - began < 5
    said = capsys.readouterr()
    if kind == "latin":  # it can be judged: the line is named
        assert (code, "ENV111" in said.out) == (1, True)
    else:
        assert (code, said.out) == (3, "")
        assert said.err.startswith("exai: error: bad.env: ")
        assert len([line for line in said.err.splitlines() if not line.startswith("hint: ")]) == 1


def test_an_unreadable_name(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "link.env").symlink_to(here / "link.env")
    assert check("--live", "link.env") == 3
    assert capsys.readouterr().err.startswith("exai: error: link.env: ")


@pytest.mark.parametrize("name", RENDERERS)
def test_every_format_has_the_same_exit_code(
    here: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert check("--format", name) == 1
    assert "ENV104" in capsys.readouterr().out


def test_baseline(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check("--baseline", "base.json", "--write-baseline") == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "exai: base.json: written, with 3 findings\n")
    assert check("--baseline", "base.json", "--fail-on", "info") == 0
    assert capsys.readouterr().out == "ok\n"
    (here / ".env").write_text("\nA=45\nB=1\nC=\nA=46\n")
    assert check("--baseline", "base.json", "--format", "short", "--fail-on", "warning") == 1
    assert codes(capsys) == ["ENV003"]
    (here / ".env").write_text("A=45\nB=1\nC=\n")
    assert check("--baseline", "base.json", "--format", "short") == 0
    assert codes(capsys) == ["ENV092"]


def test_a_baseline_keeps_nothing_of_the_suppressions(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / ".env").write_text("A=45\nB=1  # exai:ignore[ENV104] nothing\nC=  # exai:ignore[ENV104]\n")
    assert check("--baseline", "base.json", "--write-baseline") == 0
    capsys.readouterr()
    check("--baseline", "base.json", "--format", "short")
    assert sorted(codes(capsys)) == ["ENV090", "ENV091"]


def test_suppression(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / ".env.example").write_text(
        "A=45  # exai:ignore[ENV005] each has its own\nB=1\n# exai:ignore[ENV104] meant\nC= # why\n"
        "# exai:ignore-file[ENV102] nothing\n"
    )
    (here / "pyproject.toml").write_text(
        '[tool.exai]\nignore = [{ code = "ENV009", key = "C", file = ".env.*", reason = "said elsewhere" }]\n'
    )
    assert check("--format", "short", "--fail-on", "warning") == 1
    assert codes(capsys) == ["ENV090"]


def test_pyproject_says_what_may_differ_and_who_reads(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "pyproject.toml").write_text('[tool.exai]\ndiffer = ["A"]\nreaders = ["python-dotenv"]\n')
    assert check("--format", "short") == 1
    assert codes(capsys) == ["ENV009", "ENV104", "ENV112"]
    (here / "pyproject.toml").write_text('[tool.exai]\nreaders = ["pyhton-dotenv"]\n')
    assert check() == 2
    assert "python-dotenv" in capsys.readouterr().err


def test_list_and_explain(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["env", "check", "--list-rules"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [r.code for r in RULES]
    for rule in RULES:
        assert main(["env", "check", "--explain", rule.code.lower()]) == 0
        assert capsys.readouterr().out.startswith(f"{rule.code} ({rule.severity}): ")
    assert main(["env", "check", "--explain", "ENV14"]) == 2
    assert "did you mean ENV1" in capsys.readouterr().err


def test_json_is_json(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check("--format", "json")
    found = json.loads(capsys.readouterr().out)["findings"]
    assert [f["code"] for f in found] == ["ENV005", "ENV009", "ENV104"]
    assert found[0]["where"] == {"file": ".env.example", "line": 1, "name": "A"}


def _by_typer(args: list[str], monkeypatch: pytest.MonkeyPatch) -> Options | None:
    """What the typer command makes of arguments, or None when it refuses them."""
    got: list[Options] = []

    def take(options: Options) -> int:
        got.append(options)
        return 0

    monkeypatch.setattr(typed, "run", take)
    invoke(["env", "check", *args], COMMANDS)
    return got[0] if got else None


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["--example", "a", "--live=b", "--compose", "c", "--compose=d", "--env-file", "e", "--code", "f"],
        [
            "--format",
            "json",
            "--format",
            "short",
            "--fail-on=info",
            "--only",
            "A",
            "--only",
            "B,C",
            "--skip=D",
        ],
        ["--list-rules", "--explain", "X", "--baseline", "b.json", "--write-baseline"],
        ["--live=", "--live=a=b"],
        ["--live", ""],
    ],
)
def test_the_quick_way_is_the_same_as_typers(args: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    options = parse(args)
    assert options is not None
    assert options == _by_typer(args, monkeypatch)


@pytest.mark.parametrize(
    "args",
    [["--help"], ["-h"], ["--nope"], ["--live"], ["extra"], ["--list-rules=1"], ["--", "--live"],
     ["--live", "-x"], ["--liv", "a"], ["--live", "--example"]],
)  # fmt: skip
def test_anything_unusual_is_for_typer(args: list[str]) -> None:
    assert parse(args) is None


def test_both_ways_have_the_same_options() -> None:
    parameters = inspect.signature(typed.check).parameters
    fields = Options._field_defaults
    assert {name: p.default or fields[name] for name, p in parameters.items()} == fields


@pytest.mark.parametrize("name", ENV_COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["env", name, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"Usage: exai env {name}")


PAIR = ("--example", str(OCTOBER / ".env.example"), "--live", str(OCTOBER / ".env.docker.template"))


def imported(names: Sequence[str], folder: Path, *options: str) -> str:
    """Which of some modules a check of the October pair imports, in a folder without a repository."""
    code = (
        "import sys; from exai_ops.cli import main; main(sys.argv[1:]);"
        f"print(*[m for m in {names!r} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "env", "check", *PAIR, *options],
        capture_output=True, text=True, timeout=60, check=True, cwd=folder,
    )  # fmt: skip
    return done.stderr.splitlines()[-1]


def test_nothing_heavy_is_imported(tmp_path: Path) -> None:
    assert imported(HEAVY, tmp_path, "--compose", str(OCTOBER / "docker-compose.yml")) == ""


def test_a_pair_of_files_imports_what_it_needs_alone(tmp_path: Path) -> None:
    assert imported((*HEAVY, *UNUSED), tmp_path) == ""


def test_ten_thousand_keys_are_judged(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in ((".env.example", "1"), (".env", "2")):
        (here / name).write_text("".join(f"# about key {n}\nKEY_{n}={value}\n" for n in range(10_000)))
    assert check("--format", "short") == 0
    assert len(capsys.readouterr().out.splitlines()) == 10_000


def test_the_suppressions_of_the_documentation_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    section = (ROOT / "docs" / "env.md").read_text().partition("## Suppression\n")[2].partition("## ")[0]
    block = [line[4:] for line in section.splitlines() if line.startswith("    ")]
    assert len(block) == 4
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_bytes("".join(f"{line}\r\n" for line in block).encode())
    (tmp_path / ".env.example").write_text("EXAI_WS_PORT=9000\nGREETING=\n")
    main(["env", "check", "--only", "ENV0,ENV102,ENV104", "--format", "json"])
    said = {f["code"] for f in json.loads(capsys.readouterr().out)["findings"] if f["status"] != "skip"}
    assert said.isdisjoint({"ENV005", "ENV090", "ENV091", "ENV102", "ENV104"}), said


def test_the_first_commands_of_the_documentation_can_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (ROOT / "docs" / "env.md").read_text()
    commands = [line.split(">")[0].split() for line in text.splitlines() if line.startswith("    exai env")]
    assert len(commands) == 3
    for name in (".env.example", "pyproject.toml", "compose", "exai_ops"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    assert main(commands[0][1:]) == 3
    hint = re.search(r"hint: (cp \S+ \S+), and fill it in", capsys.readouterr().err)
    assert hint is not None
    assert f"`{hint[1]}` comes first" in text
    subprocess.run(hint[1].split(), check=True, timeout=30)
    assert [main(command[1:]) for command in commands] == [1, 1, 1]
