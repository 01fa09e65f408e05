"""Events after the fact over real daemons: past the ring, past a kill, counted, traced and exported."""

from __future__ import annotations

import json
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from exai_ops.monitor import kept
from exai_ops.monitor.events import Event

from .conftest import StartDaemon
from .exai_process import DEADLINE_S, DaemonProcess, Process
from .ws_client import joined

BEFORE = ("--request", "before", "--format", "ndjson")


@pytest.fixture
def tail() -> Iterator[Callable[[DaemonProcess], Process]]:
    """Starts ``exai monitor tail`` of what was and what comes, of calls whose id begins with ``before``."""
    started: list[Process] = []

    def start(daemon: DaemonProcess) -> Process:
        args = ["monitor", "tail", "--since", "1h", "--wait", "--port", str(daemon.port), *BEFORE]
        started.append(Process(args, cwd=daemon.folder, env=daemon.env))
        return started[-1]

    yield start
    for process in started:
        process.reap()


async def chats(daemon: DaemonProcess, *request_ids: str) -> None:
    async with joined(daemon.address) as client:
        for request_id in request_ids:
            await client.chat(request_id, "hello")


def on_disk(daemon: DaemonProcess, request: str) -> list[Event]:
    """The events of a call once its result is kept: at most half a second later."""
    folder, deadline = daemon.state_dir / "events", time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        found = list(kept.read(folder, holding=kept.holding("request", request)))
        if any(event.function_name == "chat" for event in found):
            return found
        daemon.get("/health/live")
    raise AssertionError(f"{request} is not in {folder}")


def rows(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


async def test_since_reaches_past_the_ring_and_past_a_kill(
    start_daemon: StartDaemon, tail: Callable[[DaemonProcess], Process]
) -> None:
    settings = {"EXAI_EVENT_BUFFER": "100"}
    args = ["--port", "0", "--simulate"]
    first = start_daemon(settings, args=args)
    await chats(first, "before-1")
    on_disk(first, "before-1")  # else the small ring might lose it first
    await chats(first, *(f"more-{n}" for n in range(25)))
    ring = first.exai("monitor", "export", *BEFORE)
    assert (ring.code, ring.stdout) == (0, "")
    past = first.exai("monitor", "export", "--since", "1h", *BEFORE)
    assert len(rows(past.stdout)) == len(on_disk(first, "before-1")) == 4
    trace = first.exai("monitor", "trace", "before-1")
    assert (trace.code, trace.stdout.startswith("chat before-1  session ")) == (0, True)
    assert "exai: from disk (" in trace.stderr
    first.signal(signal.SIGKILL)
    first.wait()
    waits = tail(first)
    waits.err.first(lambda line: "from disk" in line)
    second = start_daemon(settings, args=["--port", str(first.port), "--simulate"])
    await chats(second, "before-2")
    later = tail(first)
    for process in (waits, later):
        process.out.first(lambda line: '"before-2"' in line and '"function":"chat"' in line)
        process.signal(signal.SIGINT)
        assert process.wait() == 130
        assert "8 events in " in process.stderr
    assert waits.stdout == later.stdout
    assert later.stdout.startswith(past.stdout)
    found = [one["metadata"]["request"] for one in rows(later.stdout)]
    assert found == ["before-1"] * 4 + ["before-2"] * 4
    assert second.stop() == -15
    assert second.complaints() == []
    assert [one.metadata for one in on_disk(second, "before-2")] == [
        one["metadata"] for one in rows(later.stdout)[4:]
    ]


async def test_a_live_daemon_is_counted_traced_and_exported(daemon: DaemonProcess) -> None:
    await chats(daemon, "told-1", "told-2")
    stats = daemon.exai("monitor", "stats", "--format", "json")
    found = json.loads(stats.stdout)
    assert (stats.code, found["source"], found["exact"]) == (0, "daemon", True)
    assert {"websocket", "kimi", "sqlite"} <= {row["type"] for row in found["rows"]}
    assert stats.stderr == f"exai: counted by the daemon at ws://{daemon.address}/"
    by = daemon.exai("monitor", "stats", "--by", "function,direction", "--function", "chat", "--sort", "p99")
    assert "chat send" in by.stdout
    assert by.stdout.count("last minute") == 1
    trace = json.loads(daemon.exai("monitor", "trace", "told-1", "--format", "json").stdout)
    assert (trace["tool"], trace["error"], trace["open"]) == ("chat", None, False)
    assert {"kimi 1", "queue", "result"} <= {span["name"] for span in trace["spans"]}
    several = daemon.exai("monitor", "trace", "told-")
    assert (several.code, several.stdout, "beginning of 2 calls" in several.stderr) == (2, "", True)
    nobody = daemon.exai("monitor", "trace", "told-nobody")
    assert (nobody.code, "is known to the daemon at" in nobody.stderr, "nor on disk" in nobody.stderr) == (
        1, True, True,
    )  # fmt: skip
    typo = daemon.exai("monitor", "stats", "--type", "kimii")
    assert (typo.code, typo.stdout) == (2, "")
    assert "did you mean kimi?" in typo.stderr

    whole = daemon.exai("monitor", "export", "-o", "whole.json")
    document = json.loads((daemon.folder / "whole.json").read_bytes())
    assert "of all since the daemon's start" in whole.stderr
    assert document["summary"]["websocket"]["active_connections"] >= 1
    assert sum(one["total_events"] for one in document["summary"].values()) >= len(document["recent_events"])
    part = daemon.exai("monitor", "export", "--request", "told-", "-o", "part.sqlite3")
    assert part.code == 0
    with closing(sqlite3.connect(daemon.folder / "part.sqlite3")) as connection:
        (count,) = connection.execute("SELECT count(*) FROM events").fetchone()
        assert connection.execute("SELECT sum(total_events) FROM summary").fetchone() == (count,)
    assert count == 8
