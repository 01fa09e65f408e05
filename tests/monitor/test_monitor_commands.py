"""``exai monitor stats``, ``trace`` and ``export`` of what is on disk, and of daemons that go wrong."""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from websockets.asyncio.server import ServerConnection, serve

from exai_ops.cli import main
from exai_ops.commands.monitor import source
from exai_ops.monitor import kept
from exai_ops.monitor.events import Event
from exai_ops.monitor.kept import KeptEvents
from exai_ops.monitor.lookup import complete, meant, merged

BEGAN = 1_767_225_600.0
Run: TypeAlias = Callable[..., tuple[int, str, str]]


def call(request: str, at: float, session: str = "s-1", **more: Any) -> list[Event]:
    """The events of a call of 250 ms that asked kimi once."""
    known = {"session": session, "request": request, "tool": "chat"}
    asked = {**known, "model": "k2", "attempt": 1}
    return [
        Event(at, "websocket", "receive", "daemon", "call_tool", 100, None, None, known),
        Event(at + 0.05, "kimi", "send", "upstream", "stream", 130, None, None, asked),
        Event(at + 0.2, "kimi", "receive", "upstream", "stream", 900, 150.0, None, asked | {"status": 200}),
        Event(at + 0.25, "websocket", "send", "daemon", "chat", 500, 250.0, None, known)._replace(**more),
    ]


@pytest.fixture
def port() -> int:
    """Where no daemon is."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], port: int
) -> Run:
    """Runs ``exai monitor ...``: code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EXAI_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("EXAI_WS_PORT", str(port))
    monkeypatch.setenv("COLUMNS", "80")

    def run(*args: str) -> tuple[int, str, str]:
        code = main(["monitor", *args])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """Events of three calls, one of which failed."""
    folder = tmp_path / "state" / "events"
    store = KeptEvents(folder, max_bytes=2**30, max_age_s=1e12)
    store.append(
        [
            *call("abc1", BEGAN),
            *call("abc2", BEGAN + 10, error="INTERNAL", direction="error"),
            *call("xyz", BEGAN + 20, "s-2"),
            Event(BEGAN + 30, "sqlite", "send", "storage", "write", 10, 2.0, weight=10),
        ]
    )
    store.close()
    return folder


# --- on disk --------------------------------------------------------------------------------


def test_stats_of_what_is_on_disk(run: Run, disk: Path) -> None:
    code, out, err = run("stats", "--format", "json", "--by", "type,direction", "--sort", "name")
    assert code == 0
    assert "no daemon at" in err
    assert f"exai: computed from the events that are kept on disk ({disk})" in err
    found = json.loads(out)
    assert (found["source"], found["exact"], found["total"]["events"]) == ("disk", False, 22)
    assert [(row["type"], row["direction"], row["events"]) for row in found["rows"]] == [
        ("kimi", "receive", 3), ("kimi", "send", 3), ("sqlite", "send", 10), ("websocket", "error", 1),
        ("websocket", "receive", 3), ("websocket", "send", 2),
    ]  # fmt: skip
    code, out, _ = run("stats", "--tz", "Australia/Melbourne", "--from-disk", "--errors")
    assert code == 0
    assert out.splitlines()[0].startswith("2026-01-01 11:00:10 AEDT")
    assert out.splitlines()[2].split()[:4] == ["websocket", "1", "1", "100.0"]
    assert run("stats", "--session", "nobody")[:2] == (0, "no events\n")
    assert run("stats", "--until", "2020-01-01T00:00Z", "--from-disk")[:2] == (0, "no events\n")


@pytest.mark.parametrize("asked", ["abc1", "xyz", "xy"])
def test_trace_of_what_is_on_disk(run: Run, disk: Path, asked: str) -> None:
    code, out, err = run("trace", asked, "--tz", "UTC", "--events")
    assert code == 0
    assert f"exai: from disk ({disk})" in err
    lines = out.splitlines()
    assert lines[0].startswith("chat abc1  session s-1" if asked == "abc1" else "chat xyz  session s-2")
    assert lines[1].endswith("UTC  250.0 ms  ok")
    assert any(line.lstrip().startswith("kimi 1") and line.endswith("150.0 ms") for line in lines)
    assert sum("attempt=1" in line for line in lines) == 2
    assert max(map(len, lines[:6])) <= 80


def test_trace_as_json(run: Run, disk: Path) -> None:
    code, out, _ = run("trace", "abc2", "--format", "json", "--from-disk")
    found = json.loads(out)
    assert (code, found["schema_version"], found["request"], found["error"]) == (0, 1, "abc2", "INTERNAL")
    assert (found["started_at"], found["duration_ms"]) == (
        "2026-01-01T00:00:10.000+00:00",
        pytest.approx(250),
    )
    assert [span["name"] for span in found["spans"]] == ["chat", "kimi 1"]
    assert len(found["events"]) == 4


def test_a_beginning_of_several_lists_them(run: Run, disk: Path) -> None:
    code, out, err = run("trace", "abc", "--tz", "UTC")
    assert (code, out) == (2, "")
    assert "  abc2  --session s-1  2026-01-01 00:00:10.000 UTC  chat\n" in err
    assert "'abc' is the beginning of 2 calls" in err
    store = KeptEvents(disk, max_bytes=2**30, max_age_s=1e12)
    store.append([*call("abc", BEGAN + 40), *call("abc", BEGAN + 50, "s-9")])
    store.close()
    assert "'abc' is the beginning of 2 calls" in run("trace", "abc")[2]
    assert run("trace", "abc", "--session", "s-9")[0] == 0


def test_a_call_that_nobody_knows(run: Run, disk: Path) -> None:
    code, out, err = run("trace", "nobody")
    assert (code, out) == (1, "")
    assert f"no call whose id begins with 'nobody' is known to disk ({disk})" in err


def test_export_of_what_is_on_disk(run: Run, disk: Path, tmp_path: Path) -> None:
    code, out, err = run("export", "--request", "abc", "--errors")
    found = json.loads(out)
    assert code == 0
    assert [event["error"] for event in found["recent_events"]] == ["INTERNAL"]
    assert found["summary"]["websocket"]["total_errors"] == 1
    assert f"exai: 1 event from disk ({disk}) to stdout; the summary is of what was exported\n" in err
    code, out, err = run("export", "-o", "all.csv.gz", "--from-disk")
    assert (code, out) == (0, "")
    assert err == f"exai: 13 events (for 22) from disk ({disk}) to all.csv.gz\n"
    span = ("--since", "2026-01-01T00:00:10Z", "--until", "2026-01-01T00:00:20Z")
    assert len(run("export", "--format", "ndjson", *span)[1].splitlines()) == 4


def test_a_round_trip_through_sqlite_is_kept_events_again(run: Run, disk: Path, tmp_path: Path) -> None:
    again = tmp_path / "again" / "events" / "events-1.sqlite3"
    again.parent.mkdir(parents=True)
    assert run("export", "-o", str(again))[0] == 0
    assert list(kept.read(again.parent)) == list(kept.read(disk))


def test_tail_shows_what_is_on_disk_and_says_so(run: Run, disk: Path, port: int) -> None:
    code, out, err = run("tail", "--since", "2026-01-01T00:00:05Z", "--function", "chat")
    assert code == 3
    assert [json.loads(line)["metadata"]["request"] for line in out.splitlines()] == ["abc2", "xyz"]
    assert f"exai: no daemon at ws://127.0.0.1:{port}/: connection refused; from disk ({disk}):\n" in err
    assert "2 events in " in err
    assert run("tail", "--since", "1m", "--url", f"ws://127.0.0.1:{port}/")[:2] == (3, "")
    assert run("tail", "--last", "5")[:2] == (3, "")


# --- bad input ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["stats", "--by", "typ"], "--by: 'typ' is not known"),
        (["stats", "--by", ""], "--by: '' is not known"),
        (["stats", "--sort", "p96"], "--sort: 'p96' is not known"),
        (["stats", "--format", "xml"], "--format: 'xml' is not known"),
        (["stats", "--type", "kimii"], "--type: 'kimii' is not known"),
        (["stats", "--grep", "("], "--grep: '(' at character 1"),
        (["stats", "--since", "1m", "--until", "1h"], "--until: is not after --since"),
        (["stats", "--until", "2026-01-01"], "--until: '2026-01-01' has no offset"),
        (["stats", "--from-disk", "--url", "ws://a/"], "--from-disk: asks no daemon"),
        (["trace"], "Missing argument 'REQUEST'"),
        (["trace", " "], "REQUEST: is empty"),
        (["trace", "a", "--tz", "Mars"], "--tz: 'Mars' is no zone"),
        (["trace", "a", "--format", "csv"], "--format: 'csv' is not known"),
        (["export", "--format", "xml"], "--format: 'xml' is not known"),
        (["export", "-o", "/nowhere/x.json"], "there is no folder /nowhere"),
        (["export", "-o", "."], "--output: . is a folder"),
        (["export", "--slower", "x"], "--slower: 'x' is no length of time"),
    ],
)
def test_bad_input_is_named(run: Run, disk: Path, args: list[str], said: str) -> None:
    code, out, err = run(*args)
    assert (code, out) == (2, "")
    assert said in err


@pytest.mark.parametrize("args", [["stats"], ["trace", "x"], ["export"], ["export", "-o", "e.json"]])
def test_without_a_daemon_and_without_a_disk(run: Run, tmp_path: Path, args: list[str]) -> None:
    code, out, err = run(*args)
    assert (code, out) == (3, "")
    assert "; and no events are kept in " in err
    assert "no events are kept in" in run(*args, "--from-disk")[2]
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_disk_is_told(run: Run, disk: Path, tmp_path: Path) -> None:
    (path,) = kept.files(disk)
    path.write_bytes(b"no database" * 1000)
    (tmp_path / "old.json").write_text("old")
    for args in (
        ["stats"],
        ["trace", "x"],
        ["export", "-o", "old.json"],
        ["tail", "--since", "2026-01-01T00:00Z"],
    ):
        code, out, err = run(*args)
        assert (code, out) == (3, "")
        assert f"{path} cannot be read: file is not a database" in err
    assert (tmp_path / "old.json").read_text() == "old"
    assert {one.name for one in tmp_path.iterdir()} == {"old.json", "state"}


def test_a_disk_that_is_full(run: Run, disk: Path, tmp_path: Path) -> None:
    """A file cannot grow beyond the limit of its process, as on a disk that is full."""
    (tmp_path / "old.csv").write_text("old")
    store = KeptEvents(disk, max_bytes=2**30, max_age_s=1e12)
    store.append(event for n in range(500) for event in call(f"r{n}", BEGAN + 100 + n))
    store.close()

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    for name in ("old.csv", "new.sqlite3"):
        done = subprocess.run(
            [sys.executable, "-m", "exai_ops", "monitor", "export", "--from-disk", "-o", name],
            capture_output=True, text=True, timeout=30, check=False, preexec_fn=limit,
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (1, "")
        assert f"exai: error: {name} cannot be written: " in done.stderr
    assert (tmp_path / "old.csv").read_text() == "old"
    assert {one.name for one in tmp_path.iterdir()} == {"old.csv", "state"}


# --- daemons that go wrong ------------------------------------------------------------------

SUBSCRIBED = json.dumps({"op": "subscribed", "stream": "s", "sequence": 9, "time": BEGAN, "version": "1"})


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def events_frame(*events: Event) -> str:
    return json.dumps({"op": "events", "sequence": 9, "events": [event.exported() for event in events]})


@contextlib.asynccontextmanager
async def daemon_saying(port: int, *frames: str, stays: bool = False) -> AsyncIterator[None]:
    """Says the same to everybody, and then leaves."""

    async def talk(socket: ServerConnection) -> None:
        await socket.recv()
        for frame in frames:
            await socket.send(frame)
        if stays:
            await socket.wait_closed()
        else:
            socket.transport.abort()

    async with serve(talk, "127.0.0.1", port):
        yield


@pytest.mark.parametrize(
    ("frames", "said"),
    [
        ([], "the connection to ws://127.0.0.1"),
        ([SUBSCRIBED], "was lost"),
        ([SUBSCRIBED, events_frame(*call("abc1", BEGAN))], "was lost"),
        (
            [SUBSCRIBED, events_frame(*call("abc1", BEGAN)), '{"op":"error","message":"kept events: bad"}'],
            "bad",
        ),
        ([SUBSCRIBED, '{"op":"events","sequence":1,"events":[{"timestamp":"x"}]}'], "has another form"),
        (
            [SUBSCRIBED, '{"op":"events","sequence":1,"events":[{"timestamp":1}]}'],
            "is no event: Object missing required field `datetime`",
        ),
        ([SUBSCRIBED, "<html>"], "no JSON"),
        (['{"op":"error","message":"--type: no"}'], "--type: no"),
    ],
)
async def test_a_daemon_that_vanishes_leaves_the_old_file(
    run: Run, disk: Path, tmp_path: Path, port: int, frames: list[str], said: str
) -> None:
    (tmp_path / "old.json").write_text("old")
    async with daemon_saying(port, *frames):
        for args in (("export", "-o", "old.json"), ("export",), ("stats", "--errors"), ("trace", "abc1")):
            code, out, err = await asyncio.to_thread(run, *args)
            assert (code, out) == (2 if "--type" in said else 3, "")
            assert said in err
    assert (tmp_path / "old.json").read_text() == "old"
    assert names(tmp_path) == {"old.json", "state"}


async def test_a_daemon_that_falls_silent(run: Run, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "SILENT_S", 0.05)
    async with daemon_saying(port, SUBSCRIBED, stays=True):
        code, out, err = await asyncio.to_thread(run, "export")
    assert (code, out) == (3, "")
    assert "said nothing for 0.05 s" in err


async def test_gaps_are_told_and_a_calls_beginning_is_looked_for_on_disk(
    run: Run, disk: Path, port: int
) -> None:
    ending = call("abc1", BEGAN)[2:]
    frames = (SUBSCRIBED, '{"op":"gap","reason":"expired","missed":7}', events_frame(*ending), events_frame())
    async with daemon_saying(port, *frames, stays=True):
        code, out, err = await asyncio.to_thread(run, "trace", "abc1", "--format", "json")
    assert code == 0
    assert len(json.loads(out)["events"]) == 4
    assert "exai: gap: 7 are no longer kept" in err
    assert f"exai: from the daemon at ws://127.0.0.1:{port}/ and disk ({disk})" in err


# --- which call is meant --------------------------------------------------------------------


def test_which_call_is_meant() -> None:
    assert meant([("s", "ab"), ("s", "abc")], "ab") == [("s", "ab")]
    assert meant([("s", "abc"), ("s", "abd")], "ab") == [("s", "abc"), ("s", "abd")]
    assert meant([], "ab") == []


def test_events_of_both_are_there_once() -> None:
    whole = call("r", BEGAN)
    assert complete(whole)
    assert not complete(whole[1:])
    assert merged(whole[:3], whole[1:]) == whole
    assert merged([], whole) == whole
