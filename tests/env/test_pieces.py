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


WORD = "Winter24go"
PEM = "-----BEGIN PRIVATE " + "KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n"
HELD = {
    "under another key": {".env": f"DB_PASSWORD={WORD}\nMYSQL_CMD=mysql -p{WORD}\n"},
    "under another key, where the files differ": {
        ".env": f"DB_PASSWORD={WORD}\nMYSQL_CMD=mysql -p{WORD}\n",
        ".env.example": "DB_PASSWORD=\nMYSQL_CMD=mysql -psomething\n",
    },
    "under another key, which the live file lacks": {
        ".env": f"DB_PASSWORD={WORD}\n",
        ".env.example": f"DB_PASSWORD=\nMYSQL_CMD=mysql -p{WORD}\n",
    },
    "under another key, which readers see otherwise": {
        ".env": f"DB_PASSWORD=a$bc{WORD}\nMYSQL_CMD=\"x\" y -pa$bc{WORD}\nB='it is' -pa$bc{WORD}\n"
    },
    "behind a dollar": {".env": f"DB_PASSWORD=pa${WORD}\n"},
    "in braces": {".env": f'DB_PASSWORD="pa${{{WORD}}}x"\n'},
    "in braces, with a default": {".env": f'DB_PASSWORD="pa${{{WORD}:+y}}"\n'},
    "in a compose file": {
        "compose.yml": f'services: {{db: {{image: x, environment: {{MYSQL_PASSWORD: "pa${WORD}"}}}}}}\n'
    },
    "in a compose file, as a list": {
        "compose.yml": f'services: {{db: {{image: x, environment: ["DB_PASSWORD=pa${{{WORD}}}x"]}}}}\n'
    },
    "in a command": {
        "compose.yml": f'services: {{db: {{image: x, command: "r --requirepass pa${WORD}"}}}}\n'
    },
    "as an alias": {
        "compose.yml": f"services:\n  db:\n    image: x\n    environment:\n      DB_PASSWORD: *{WORD}\n"
    },
    "at the end of a private key": {
        ".env": f"KEY={PEM}{WORD}==\n-----END PRIVATE KEY-----\n",
        ".env.example": "A=1\n",
    },
    "at the end of a private key, padded once": {
        ".env": f"KEY={PEM}{WORD}=\n-----END PRIVATE KEY-----\n",
        ".env.example": "A=1\n",
    },
}  # fmt: skip


@pytest.mark.parametrize("files", HELD.values(), ids=HELD)
def test_a_secret_somewhere_else(files: Mapping[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    files = {".env": "A=1\n", ".env.example": "A=1\n", **files}
    text = said(files, "DB_PASSWORD", "MYSQL_PASSWORD", "MYSQL_CMD", "CMD", "B", capsys=capsys).lower()
    assert not [WORD[at : at + 5] for at in range(len(WORD) - 4) if WORD[at : at + 5].lower() in text]


def test_a_variable_is_named_where_it_is_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    files = {
        ".env": "A=1\nDB_PASSWORD=${MISSING_ONE}\nB=x$MISSING_TWO\nURL=http://u:${MISSING_PW}@h\n",
        "compose.yml": 'services:\n  db:\n    image: "x:v$missing3"\n    command: run ${missing_4}\n',
    }
    text = said(files, capsys=capsys)
    for name in ("MISSING_ONE", "MISSING_TWO", "MISSING_PW", "missing3", "missing_4"):
        assert name in text


def test_a_secret_that_the_compose_file_holds(capsys: pytest.CaptureFixture[str]) -> None:
    body = f"{{image: x, environment: {{DB_PASSWORD: {WORD}, CMD: m -p{WORD}}}}}"
    write(Path(), {".env": f"CMD=m -p{WORD}\n", ".env.example": "CMD=m -p1\n"})
    write(Path(), {"compose.yml": f"services: {{db: {body}}}\n"})
    for command in (["check"], ["check", "--format", "sarif"], ["explain", "CMD"]):
        main(["env", *command])
    output = capsys.readouterr()
    assert "CMD" in output.out
    assert WORD not in output.out + output.err
