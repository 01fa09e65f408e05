"""``exai monitor analyze``: options, output, exit codes, the page that it writes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from exai_ops.cli import main
from exai_ops.monitor.analysis.as_report import sparkline
from exai_ops.monitor.analysis.rules import RULES

from .incidents import leak, storm
from .test_input import EVENTS, ndjson
from .traffic import Source


def run(*args: object) -> int:
    return main(["monitor", "analyze", *map(str, args)])


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("quiet") / "quiet.ndjson"
    path.write_bytes(ndjson(EVENTS))
    return path


@pytest.fixture(scope="module")
def ill(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ill") / "ill.ndjson"
    source = Source("sparse", 6)
    events = storm(source, 60) + leak(Source("sparse", 7), 1)
    events += [events[-1]._replace(function_name="<script>alert(1)</script>", error="\x1b[31m")]
    path.write_bytes(ndjson(sorted(events, key=lambda event: event.timestamp)))
    return path


def test_a_quiet_recording_is_ok(quiet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(quiet, "--tz", "Australia/Melbourne", "--by", "type", "--p", "50,99.9") == 0
    out = capsys.readouterr().out
    assert "AEDT" in out
    assert "p99.9" in out
    assert out.endswith("\nok\n")


def test_incidents_fail(ill: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(ill) == 1
    out = capsys.readouterr().out
    assert "MON006" in out
    assert "MON010" in out
    assert "\x1b" not in out


@pytest.mark.parametrize("form", ["short", "github", "sarif", "junit", "json"])
def test_every_format_is_given(ill: Path, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(ill, "--format", form) == 1
    out = capsys.readouterr().out
    assert "MON010" in out
    assert "\x1b" not in out


def test_json_has_everything(ill: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(ill, "--format", "json", "--by", "type,function,direction") == 1
    document = json.loads(capsys.readouterr().out)
    assert document["schema_version"] == 1
    assert document["summary"]["groups"][0].keys() >= {"type", "function", "direction", "p50_ms", "p99_ms"}
    assert {one["code"] for one in document["findings"]} >= {"MON006", "MON010"}
    assert all(one["evidence"] for one in document["findings"])


def test_the_page_holds_nothing_foreign(ill: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    assert run(ill, "--html", page) == 1
    text = page.read_text(encoding="utf-8")
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "http://" not in text
    assert "https://" not in text
    assert "prefers-color-scheme: dark" in text


def test_a_page_that_cannot_be_written_leaves_what_was_there(ill: Path, tmp_path: Path) -> None:
    assert run(ill, "--html", tmp_path / "missing" / "report.html") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["--only", "MON010"], 1, "MON010"),
        (["--skip", "MON006,MON010"], 0, "ok"),
        (["--direction", "connect,disconnect", "--only", "MON006"], 1, "MON006"),
        (["--type", "sqlite"], 0, "ok"),
        (["--grep", "append", "--errors"], 3, "no event fits"),
        (["--since", "2030-01-01T00:00Z"], 3, "no event"),
        (["--by", "colour"], 2, "--by"),
        (["--p", "101"], 2, "--p"),
        (["--only", "XYZ"], 2, "--only"),
        (["--engine", "spark"], 2, "--engine"),
        (["--format", "xml"], 2, "--format"),
        (["--grep", "("], 2, "--grep"),
        (["--engine", "duckdb", "--errors"], 2, "--engine duckdb"),
        (["--port", "1"], 2, "--url and --port"),
        (["--explain", "mon003"], 0, "MON003 (warning)"),
        (["--list-rules"], 0, "MON015"),
    ],
)
def test_options(
    ill: Path, args: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(ill, *args) == code
    out, err = capsys.readouterr()
    assert said in out + err


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "there is no event"),
        (b"hello\nworld\n", "2 lines could not be read, first"),
        (b"{}", "not an event"),
    ],
)
def test_nothing_to_analyze_is_3(
    data: bytes, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "recording"
    path.write_bytes(data)
    assert run(path) == 3
    assert said in capsys.readouterr().err


def test_a_file_that_is_not_there_is_3(tmp_path: Path) -> None:
    assert run(tmp_path / "none") == 3
    assert run(tmp_path) == 2


def test_a_broken_file_beside_a_good_one_is_not_called_good(quiet: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x1f\x8b\x08\x00 not gzip")
    assert run(quiet, broken) == 3


def test_without_a_file_and_a_daemon_it_could_not_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EXAI_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("EXAI_WS_PORT", "9")
    assert run() == 3
    assert "name a file" in capsys.readouterr().err


def test_kept_events_are_analyzed_without_a_daemon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from exai_ops.monitor.kept import KeptEvents
    from exai_ops.settings import environment, load

    monkeypatch.setenv("EXAI_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("EXAI_WS_PORT", "9")
    kept = KeptEvents(load(environment(None)).event_folder, max_bytes=1 << 30, max_age_s=1e9)
    kept.append(EVENTS)
    kept.close()
    assert run() == 0
    assert f"{len(EVENTS):,} events" in capsys.readouterr().out


def test_the_docs_have_every_rule() -> None:
    page = (Path(__file__).parents[2] / "docs" / "monitor.md").read_text(encoding="utf-8")
    for rule in RULES:
        assert f"| {rule.code} | {rule.severity} | {rule.title} |" in page


def test_a_sparkline() -> None:
    assert sparkline([0, 1, 8, None], 10) == " ▂█ "


@pytest.mark.parametrize("format_", ["text", "short", "github"])
def test_names_in_a_recording_forge_no_line(format_: str, tmp_path: Path) -> None:
    path = tmp_path / "evil.ndjson"
    evil = "kimi\x1b]0;pwn\x07\u202e\u009b31m\n::error::pwn"
    rows = [
        {"timestamp": 1_767_225_600.0 + n, "connection_type": evil, "direction": "error", "script": "s",
         "function": evil, "data_size_bytes": 1, "response_time_ms": 1.0, "error": evil,
         "metadata": {"request": evil}}
        for n in range(60)
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "exai_ops", "monitor", "analyze", str(path), "--format", format_],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr  # a warning is all
    assert "pwn" in done.stdout
    assert not any(line.startswith("::error::pwn") for line in done.stdout.splitlines())
    assert not any(c in done.stdout for c in "\x1b\x07\u202e\u009b")
