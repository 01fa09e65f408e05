"""Logs: the pipeline, the bounded file, and that no canary gets through."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exai_ops import logs
from exai_ops.errors import SettingsError
from exai_ops.logs import MASK, Redactor
from exai_ops.settings import Secret, Settings

CANARY = "canary-7f3a'\"\\é/+="


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    yield
    logs.close()


def fail() -> None:
    raise ValueError(f"refused {CANARY} {CANARY!r}")


def configured(stream: io.StringIO, **fields: object) -> None:
    logs.configure(Settings(kimi_api_key=Secret(CANARY), **fields), stream=stream)  # type: ignore[arg-type]


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_secret_is_masked_wherever_it_is(log_format: str) -> None:
    out = io.StringIO()
    configured(out, log_format=log_format)
    log = logs.get_logger("exai")
    message = f"message {CANARY}"
    log.info(message, nested={"deep": [CANARY, {"a": CANARY}]}, flat=CANARY)
    logging.getLogger("uvicorn.error").warning("args %s %r", CANARY, {"k": CANARY})
    try:
        fail()
    except ValueError:
        log.exception("failed")
        logging.getLogger("asyncio").exception("failed %s", CANARY)
    with logs.bound(session=CANARY):
        log.info("bound")
    text = out.getvalue()
    assert "canary" not in text
    assert text.count("ValueError") >= 2
    assert text.count(MASK) >= 9


@pytest.mark.parametrize(
    ("text", "gone", "kept"),
    [
        ("Authorization: Bearer abc.def-123", "abc.def", "Bearer"),
        ("{'authorization': 'Basic dXNlcjpwYXNz'}", "dXNlcjpwYXNz", "Basic"),
        ("authorization: 0123456789abcdef.secretpart", "secretpart", "authorization"),
        ("key sk-abcdEFGH12345678 was refused", "abcdEFGH", "was refused"),
        ("GET /?api_key=hunter22&x=1", "hunter22", "x=1"),
        ('{"token": "opensesame", "n": 1}', "opensesame", '"n": 1'),
        ('{\\"password\\": \\"opensesame\\"}', "opensesame", "password"),
        ("redis://user:passw0rd@host:6379/0", "passw0rd", "host:6379"),
        ("jwt eyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl end", "eyJzdWIiOi", "end"),
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str, gone: str, kept: str) -> None:
    redacted = Redactor()(text)
    assert gone not in redacted
    assert kept in redacted
    assert MASK in redacted


@pytest.mark.parametrize(
    "text",
    ["max_tokens=4096 used", "tokens: 12345", "monkey: banana", "the key is missing", "http://h:8079/v1"],
)
def test_ordinary_text_is_kept(text: str) -> None:
    assert Redactor([])(text) == text


@given(st.text(min_size=4).filter(lambda s: s.strip("*")), st.text(), st.text())
def test_no_known_secret_survives_in_text_or_json(secret: str, before: str, after: str) -> None:
    redact = Redactor([secret])
    for written in (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1]):
        assert redact(f"{before}\n{written}\n{after}").count(f"\n{written}\n") == 0


def test_json_lines_carry_time_level_and_ids() -> None:
    out = io.StringIO()
    configured(out, log_format="auto")
    with logs.bound(session="s1", request="r1"):
        logs.get_logger("exai").info("call accepted", tool="chat")
        logging.getLogger("aiohttp.client").error("broken %d", 7)
    logs.get_logger("exai").debug("not at this level")
    first, second = map(json.loads, out.getvalue().splitlines())
    assert first["timestamp"].endswith("Z")
    assert (first["level"], first["event"], first["tool"]) == ("info", "call accepted", "chat")
    assert (second["event"], second["logger"], second["request"]) == ("broken 7", "aiohttp.client", "r1")


async def test_ids_belong_to_their_task() -> None:
    out = io.StringIO()
    configured(out)
    entered = asyncio.Barrier(2)

    async def work(session: str) -> None:
        with logs.bound(session=session):
            await entered.wait()
            logs.get_logger("exai").info("at work", mine=session)

    await asyncio.gather(work("a"), work("b"))
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert sorted(line["session"] for line in lines) == ["a", "b"]
    assert all(line["session"] == line["mine"] for line in lines)


def test_a_text_line_cannot_be_forged() -> None:
    out = io.StringIO()
    configured(out, log_format="text")
    logs.get_logger("exai").info("hello\nERROR forged \x1b[31m", name="a\nb")
    assert len(out.getvalue().splitlines()) == 1
    assert "\x1b" not in out.getvalue()


def test_the_file_is_bounded_and_private(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "exai.log"
    configured(io.StringIO(), log_file=str(path), log_max_bytes=2048, log_backups=2)
    log = logs.get_logger("exai")
    for number in range(200):
        log.info("line", number=number, secret=CANARY)
    logs.close()
    files = sorted(path.parent.iterdir())
    assert [file.name for file in files] == ["exai.log", "exai.log.1", "exai.log.2"]
    assert all(file.stat().st_size <= 2048 for file in files)
    assert path.stat().st_mode & 0o077 == 0
    text = "".join(file.read_text() for file in reversed(files))
    numbers = [json.loads(line)["number"] for line in text.splitlines()]
    assert numbers == list(range(numbers[0], 200))
    assert "canary" not in text


def test_a_file_that_cannot_be_opened_names_its_variable(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"EXAI_LOG_FILE: .*: Is a directory"):
        configured(io.StringIO(), log_file=str(tmp_path))


def test_no_backup_keeps_one_file(tmp_path: Path) -> None:
    path = tmp_path / "exai.log"
    configured(io.StringIO(), log_file=str(path), log_max_bytes=1024, log_backups=0)
    for number in range(50):
        logging.getLogger("x").warning("line %d", number)
    assert [file.name for file in tmp_path.iterdir()] == ["exai.log"]
    assert path.stat().st_size <= 1024


def test_a_record_that_cannot_be_formatted_is_named_without_its_content(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configured(io.StringIO())
    ours = next(h for h in logging.getLogger().handlers if isinstance(h, logs.LineHandler))
    ours.handle(logging.LogRecord("odd", logging.WARNING, "x.py", 1, "%d", (CANARY,), None))
    said = capsys.readouterr().err
    assert "odd" in said
    assert "canary" not in said


def test_a_full_disk_beneath_stderr_ends_nothing() -> None:
    code = (
        "from exai_ops import logs; from exai_ops.settings import Settings;"
        "logs.configure(Settings()); logs.get_logger('x').warning('lost'); print('went on', flush=True)"
    )
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code],
            stdout=subprocess.PIPE,
            stderr=full,
            text=True,
            timeout=30,
            check=False,
        )
    assert done.stdout == "went on\n"


def test_configuring_again_replaces() -> None:
    first, second = io.StringIO(), io.StringIO()
    configured(first)
    configured(second)
    logging.getLogger("x").warning("once")
    assert first.getvalue() == ""
    assert second.getvalue().count("once") == 1


def test_the_daemon_does_not_pay_for_rich() -> None:
    code = (
        "import sys; from exai_ops import logs; from exai_ops.settings import Settings;"
        "logs.configure(Settings()); logs.get_logger('x').info('hi');"
        "print([m for m in ('rich', 'rich.console') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.strip() == "[]"
    assert json.loads(done.stderr)["event"] == "hi"
