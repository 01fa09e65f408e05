"""A value that is broken in two: its rest is no key, is reported at its line, and never comes out."""

from __future__ import annotations

from pathlib import Path

import pytest

from exai_ops.cli import main
from exai_ops.env.document import parse
from exai_ops.env.model import Unparsable
from exai_ops.env.rules import seen, within
from exai_ops.render import RENDERERS

from .cases import context, found, places

RULES = (*within.RULES, *seen.RULES)
PIECES = ("kestrel", "sunny7Qk", "RIVERBANK", "meadow", "Zk3vN8qL", "mHc9Yd4F")
FILES = {
    "an apostrophe": "A=1\nDB_PASSWORD='kestrel's-sunny7Qk\nB=2\n",
    "text behind a quote": 'DB_PASSWORD="Zk3vN8qL"mHc9Yd4F\nB=2\n',
    "of a key like any other": 'K="Zk3vN8qL"mHc9Yd4F\n',
    "a name behind a quote": "K='kestrel'meadow=1\n",
    "an assignment behind a quote": "K='kestrel's=meadow\n",
    "a hash behind a quote": "K='kestrel's#meadow\nL='kestrel's #1\n",
    "the next line": "DB_PASSWORD=kestrel\nmeadow\nRIVERBANK\nB=2\n",
    "below a quote that closes early": "K='kestrel's\nmeadow\nRIVERBANK\n",
    "a quote that never ends": 'K="kestrel\nB=2\nmeadow\n\nRIVERBANK\nsunny7Qk/==\n',
    "a dollar": 'DB_PASSWORD="kestrel"$sunny7Qk\nDB_TOKEN=kestrel$meadow\n',
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    text = "services:\n  web: {image: a:1, env_file: [.env], environment: {X: '${DB_PASSWORD:-}'}}\n"
    (tmp_path / "docker-compose.yml").write_text(text)
    return tmp_path


def _silent(capsys: pytest.CaptureFixture[str]) -> None:
    said = capsys.readouterr()
    assert [piece for piece in PIECES if piece in said.out + said.err] == []
    assert "Traceback" not in said.err


@pytest.mark.parametrize("name", FILES)
def test_no_piece_comes_out(folder: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    (folder / ".env").write_text(FILES[name])
    (folder / ".env.example").write_text("DB_PASSWORD=\nK=\nB=2\n")
    (folder / "old.env").write_text("B=1\n")
    for renderer in RENDERERS:
        main(["env", "check", "--format", renderer])
    main(["env", "check", "--baseline", "base.json", "--write-baseline"])
    for reader in ("python-dotenv", "compose", "node", "bash", "systemd"):
        main(["env", "diff", "old.env", ".env", "--reader", reader])
    main(["env", "diff", "old.env", ".env"])
    for key in ("K", "DB_PASSWORD", "s-sunny7", "sunny7", "riverban", "meado"):
        main(["env", "explain", key])
        main(["env", "explain", key, "--format", "json"])
    main(["env", "sync", "--dry-run"])
    main(["env", "sync", "--reverse", "--dry-run"])
    main(["env", "fix", "--dry-run"])
    _silent(capsys)
    assert [piece for piece in PIECES if piece in (folder / "base.json").read_text()] == []
    main(["env", "sync"])
    assert [piece for piece in PIECES if piece in (folder / ".env.example").read_text()] == []


LINES = {
    "an apostrophe": ("ENV107", [("error", 2, "DB_PASSWORD")]),
    "text behind a quote": ("ENV107", [("error", 1, "DB_PASSWORD")]),
    "of a key like any other": ("ENV107", [("error", 1, "K")]),
    "a hash behind a quote": ("ENV107", [("error", 1, "K"), ("error", 2, "L")]),
    "the next line": ("ENV107", [("error", 2, None)]),
    "a quote that never ends": ("ENV107", [("error", 3, None), ("error", 6, None)]),
}


@pytest.mark.parametrize("name", LINES)
def test_it_is_an_error_at_its_line(name: str) -> None:
    code, there = LINES[name]
    assert places(found(RULES, code, context(live=FILES[name]))) == there


def test_a_word_in_capitals_may_be_a_key_and_is_not_shown() -> None:
    assert places(found(RULES, "ENV116", context(live=FILES["the next line"]))) == [("info", 3, None)]


CLEAN = {
    "a bare key": "A=1\nDEBUG\n",
    "below an empty secret": "DB_PASSWORD=\nDEBUG\n",
    "below a placeholder": "DB_PASSWORD=your-db-password-here\nDEBUG\n",
    "below a blank line": "DB_PASSWORD=kestrel\n\nDEBUG\n",
    "quotes in quotes": "A='\"x\"'\nB=\"it's\"\nC='a \"b\" c'\nD=it's\nE='x' # it's\nDEBUG\n",
    "a lower-case key below a secret": "DB_PASSWORD=kestrel\nregion=x\n",
    "a value of several lines": 'A_KEY="one\ntwo"\nB=1\nDEBUG\n',
}


@pytest.mark.parametrize("text", CLEAN.values(), ids=CLEAN)
def test_other_files_are_as_they_were(text: str) -> None:
    assert not [node for node in parse(text.encode()).nodes if isinstance(node, Unparsable)]
    for code in ("ENV106", "ENV107", "ENV109"):
        assert found(RULES, code, context(live=text)) == []


def test_backticks_are_part_of_the_value() -> None:
    assert found(RULES, "ENV107", context(live="A=`x`y\n")) == []


def test_a_shell_joins_what_others_split() -> None:
    text = "A='x'y\n"
    assert found(RULES, "ENV107", context(live=text, readers=("bash", "systemd"))) == []
    assert places(found(RULES, "ENV107", context(live=text))) == [("error", 1, "A")]
    assert parse(text.encode()).data == text.encode()
