"""What an output cannot encode is spelled, in every format and command, and stays one line."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest

from exai_ops.cli import main
from exai_ops.render import RENDERERS

ODD = os.fsdecode(b".env\xff")
ENCODINGS = ("ascii", "utf-8")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env.example").write_text("A=1\nNAME=x\n")
    (tmp_path / ODD).write_bytes("NAME=é\n".encode() + b"A=\xff\nB\xfe=1\nC=1\n")
    (tmp_path / ".env").write_bytes("NAME=é\n".encode())
    return tmp_path


def said(monkeypatch: pytest.MonkeyPatch, encoding: str, *args: str) -> tuple[int, bytes]:
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding=encoding, errors="strict"))
    return main(["env", *args]), raw.getvalue()


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("format_", RENDERERS)
def test_a_check_of_names_and_values_that_are_no_utf8(
    monkeypatch: pytest.MonkeyPatch, format_: str, encoding: str
) -> None:
    code, out = said(monkeypatch, encoding, "check", "--live", ODD, "--format", format_)
    assert code == 1
    out.decode(encoding)
    assert b".env\\xff" in out.replace(b"\\\\", b"\\").replace(b"%5Cxff", b"\\xff")
    assert b"A=\\" not in out
    if format_ in ("json", "sarif"):
        json.loads(out)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("format_", ["text", "json"])
@pytest.mark.parametrize("key", ["NAME", "A", os.fsdecode(b"B\xfe")])
def test_explain_of_them(monkeypatch: pytest.MonkeyPatch, format_: str, encoding: str, key: str) -> None:
    code, out = said(monkeypatch, encoding, "explain", key, "--live", ODD, "--format", format_)
    assert code in (0, 3)  # 3 where every reader refuses the file that has the key
    out.decode(encoding)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("format_", ["text", "json"])
def test_diff_of_them(monkeypatch: pytest.MonkeyPatch, format_: str, encoding: str) -> None:
    code, out = said(monkeypatch, encoding, "diff", ".env.example", ODD, "--format", format_)
    assert code == 1
    out.decode(encoding)


def test_a_name_with_a_line_end_stays_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = ".env\nx: error ENV999 made up"
    (folder / name).write_text("A=1 \n")
    _, out = said(monkeypatch, "utf-8", "check", "--live", name, "--format", "short")
    assert b"\nx: error" not in out
    capsys.readouterr()
    assert main(["env", "fix", name]) == 0
    assert all(line.startswith("exai: .env\\x0ax: ") for line in capsys.readouterr().err.splitlines())
