"""No command shows a secret by another way than its own key: numbers, other keys, names taken from it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from exai_ops.cli import main

from .compose_cases import write

NUMBER = "48151623"
COMMANDS = (
    ["check", "--code", "src"], ["diff", ".env.example", ".env"], ["sync", "--dry-run"], ["fix", "--dry-run"],
)  # fmt: skip


def said(files: Mapping[str, str], *keys: str, capsys: pytest.CaptureFixture[str]) -> str:
    """All that the commands say about a folder with these files."""
    Path("src").mkdir(exist_ok=True)
    write(Path(), files)
    for command in (*COMMANDS, *(["explain", key] for key in keys)):
        main(["env", *command])
    main(["env", "check", "--format", "json"])
    output = capsys.readouterr()
    return output.out + output.err


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("key", ["DB_PASSWORD_2", "DB_PASS_PROD", "OTP_SECRET_COUNT", "DB_PASSWORD"])
def test_a_number_under_the_name_of_a_secret(key: str, capsys: pytest.CaptureFixture[str]) -> None:
    files = {".env": f"{key}={NUMBER}\n", ".env.example": f"{key}=10000001\n"}
    assert NUMBER not in said(files, key, capsys=capsys)
