"""``/events`` and ``exai monitor tail`` over real daemons: pushed, filtered, taken up again."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from .conftest import StartDaemon
from .exai_process import DaemonProcess, Process
from .ws_client import Client, joined, raw

TOKEN = "the-token-of-the-tail-tests"
StartTail: TypeAlias = Callable[..., Process]


@pytest.fixture
def tail() -> Iterator[StartTail]:
    """Starts ``exai monitor tail`` beside a daemon."""
    started: list[Process] = []

    def start(daemon: DaemonProcess, *args: str) -> Process:
        given = ["monitor", "tail", "--port", str(daemon.port), *args]
        started.append(Process(given, cwd=daemon.folder, env=daemon.env))
        return started[-1]

    yield start
    for process in started:
        process.reap()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def objects(process: Process) -> list[dict[str, Any]]:
    return [json.loads(line) for line in process.out.lines]


async def chat(daemon: DaemonProcess, request_id: str, **options: Any) -> dict[str, Any]:
    async with joined(daemon.address, **options) as client:
        return await client.chat(request_id, "hello")


async def subscribed(client: Client, **fields: Any) -> dict[str, Any]:
    await client.send("subscribe", **fields)
    return await client.op("subscribed")


async def some(client: Client) -> dict[str, Any]:
    """The next frame with events; one without says how far a quiet client is."""
    return await client.frame(lambda frame: bool(frame["op"] == "events" and frame["events"]))


# --- the WebSocket --------------------------------------------------------------------------


async def test_events_and_state_are_pushed(daemon: DaemonProcess) -> None:
    async with raw(daemon.address, "/events") as client:
        answer = await subscribed(client, filter={"request": "pushed-1"}, state_every_s=1)
        state = await client.op("state")
        await chat(daemon, "pushed-1")
        events = (await some(client))["events"]
        assert answer["stream"] == state["stream"]
        assert {event["metadata"]["request"] for event in events} == {"pushed-1"}
        assert (state["state"], state["unready"], state["tails"] >= 1) == ("ready", None, True)
        assert set(state["types"]["websocket"]["rates"]) >= {"events_1s", "errors_60s"}


async def test_a_client_goes_on_where_it_ended(daemon: DaemonProcess) -> None:
    async with raw(daemon.address, "/events") as client:
        answer = await subscribed(client)
    await chat(daemon, "between-1")
    async with raw(daemon.address, "/events") as client:
        await subscribed(
            client, stream=answer["stream"], after=answer["sequence"], filter={"request": "between-1"}
        )
        frame = await some(client)
        assert frame["events"][-1]["function"] == "chat"
        assert frame["sequence"] > answer["sequence"]


async def test_a_bad_message_is_named_and_changes_nothing(daemon: DaemonProcess) -> None:
    async with raw(daemon.address, "/events") as client:
        await subscribed(client, filter={"request": "kept-filter"})
        for bad, said in (
            ({"filter": {"grep": ["a(b"]}}, "--grep: 'a(b' at character 2: missing )"),
            ({"filter": {"types": ["websockt"]}}, "did you mean websocket?"),
            ({"filter": {"directions": ["sent"]}}, "did you mean send?"),
            ({"filter": {"nonsense": 1}}, "unknown field `nonsense`"),
            ({"filter": {"grep": "x"}}, "no subscribe message"),
            ({"last": -1}, "last: is below 0"),
            ({"state_every_s": -1}, "state_every_s: is below 0"),
        ):
            await client.send("subscribe", **bad)
            assert said in (await client.op("error"))["message"]
        for bad in ("x", "[]", '{"op":"hello"}', b"\xff"):  # type: ignore[assignment]
            await client.socket.send(bad)
            assert (await client.op("error"))["message"].startswith("no subscribe message")
        await client.socket.send(b" " * 300_000)
        assert "larger than" in (await client.op("error"))["message"]
        await chat(daemon, "kept-filter")
        assert await some(client)


async def test_who_may_watch_and_how_many(start_daemon: StartDaemon) -> None:
    daemon = start_daemon(
        {"EXAI_WS_TOKEN": TOKEN, "EXAI_MONITOR_MAX_TAILS": "2", "EXAI_WS_HELLO_TIMEOUT": "0.2"},
        args=["--port", "0", "--simulate"],
    )
    bearer = {"additional_headers": {"Authorization": f"Bearer {TOKEN}"}}
    url = f"ws://{daemon.address}/events"
    for options, status in (
        ({}, 401),
        ({"additional_headers": {"Authorization": "Bearer wrong"}}, 401),
        ({**bearer, "origin": "http://evil.example"}, 403),
    ):
        with pytest.raises(InvalidStatus) as refused:
            await connect(url, proxy=None, **options).__aenter__()
        assert refused.value.response.status_code == status
    async with raw(daemon.address, "/events", **bearer) as silent:
        assert (await silent.closed())[0] == 4002
    wrong = daemon.exai("monitor", "tail", "--for", "5s", env={"EXAI_WS_TOKEN": "wrong"})
    assert (wrong.code, wrong.stdout) == (2, "")
    assert "EXAI_WS_TOKEN: the daemon at" in wrong.stderr
    assert (
        wrong.stderr.splitlines()
        == daemon.exai("status", env={"EXAI_WS_TOKEN": "wrong"})
        .stderr.replace(f"http://{daemon.address}/health", f"ws://{daemon.address}/")
        .splitlines()
    )
    async with (
        raw(daemon.address, "/events", **bearer) as one,
        raw(daemon.address, "/events", **bearer) as two,
    ):
        for client in (one, two):
            await subscribed(client)
        full = daemon.exai("monitor", "tail", "--for", "5s")
        assert (full.code, "EXAI_MONITOR_MAX_TAILS" in full.stderr) == (3, True)
        seen = daemon.get("/status", {"Authorization": f"Bearer {TOKEN}"}).json()
        assert (seen["connections"], seen["sessions"]) == (0, 0)
        assert daemon.stop() == -15
        assert {(await client.closed())[0] for client in (one, two)} == {1012}
    assert daemon.complaints() == []


# --- the command ----------------------------------------------------------------------------


async def test_it_shows_what_fits_and_sums_it_up(daemon: DaemonProcess, tail: StartTail) -> None:
    await chat(daemon, "shown-0")
    lines = tail(
        daemon,
        "--request",
        "shown",
        "--function",
        "chat",
        "--last",
        "1",
        "--format",
        "text",
        "--tz",
        "Australia/Melbourne",
    )
    rows = tail(daemon, "--request", "shown", "--function", "chat", "--last", "1")
    own = tail(
        daemon,
        "--request",
        "shown",
        "--function",
        "chat",
        "--last",
        "1",
        "--template",
        r"{function}\t{request:>9}{{}}",
    )
    for process in (lines, rows, own):
        process.out.first(lambda line: "shown-0" in line)
    await chat(daemon, "shown-1\x1b[31m")
    for process in (lines, rows, own):
        process.out.first(lambda line: "shown-1" in line)
        process.signal(signal.SIGINT)
        assert process.wait() == 130
        summary = process.stderr.splitlines()
        assert summary[0].startswith(f"{len(objects(rows))} events in ")
        assert ", 0 errors, dropped 0, gaps 0" in summary[0]
    assert [event["metadata"]["request"] for event in objects(rows)] == ["shown-0", "shown-1\x1b[31m"]
    assert own.out.lines == ["chat\t  shown-0{}", "chat\tshown-1\\x1b[31m{}"]
    date, first, second = lines.out.lines
    assert date.endswith(("AEDT --", "AEST --"))
    assert ("AEDT  websocket" in first) or ("AEST  websocket" in first)
    assert r"request=shown-1\x1b[31m" in second
    assert "\x1b" not in lines.stdout + own.stdout


async def test_it_survives_the_death_of_the_daemon(start_daemon: StartDaemon, tail: StartTail) -> None:
    args = ["--port", str(free_port()), "--simulate"]
    first = start_daemon(args=args)
    rows = tail(first, "--type", "websocket", "--exclude", " events ")
    lines = tail(first, "--format", "text", "--request", "life")
    await chat(first, "warm")
    async with raw(first.address, "/events") as client:  # both are there once the daemon counts three
        await subscribed(client, state_every_s=1, events=False)
        await client.frame(lambda frame: frame["op"] == "state" and frame["tails"] == 3)
    await chat(first, "life-1")
    for process in (rows, lines):
        process.out.first(lambda line: "life-1" in line)
    first.signal(signal.SIGKILL)
    first.wait()
    for process in (rows, lines):
        process.err.first(lambda line: line.endswith("trying again"))
    second = start_daemon(args=args)
    await chat(second, "life-2")
    for process in (rows, lines):
        process.out.first(lambda line: "life-2" in line)
        process.signal(signal.SIGINT)
        assert process.wait() == 130
        assert "exai: connected again" in process.err.lines
        assert "gaps 1" in process.stderr
    found = objects(rows)
    (gap,) = [n for n, one in enumerate(found) if "op" in one]
    assert found[gap] == {"op": "gap", "reason": "restarted", "missed": None}
    requests = [one.get("metadata", {}).get("request") for one in found]
    assert requests.index("life-1") < gap < requests.index("life-2")
    assert len({json.dumps(one) for one in found}) == len(found)
    assert "-- gap: the daemon was restarted, how many were missed is not known --" in lines.out.lines
    assert second.stop() == -15
    assert second.complaints() == []


def test_it_ends_when_its_time_is_over_or_its_reader_leaves(daemon: DaemonProcess) -> None:
    asyncio.run(chat(daemon, "piped"))
    done = daemon.exai("monitor", "tail", "--for", "0.2s", "--last", "1")
    assert (done.code, len(done.stdout.splitlines())) == (0, 1)
    assert done.stderr.startswith("1 event in 0.")
    command = [sys.executable, "-m", "exai_ops", "monitor", "tail", "--port", str(daemon.port), "--last", "9"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=daemon.folder, env={**daemon.env}
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith(b'{"timestamp":')
    process.stdout.close()
    asyncio.run(chat(daemon, "nobody-reads"))
    assert process.wait(20) == 141
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()


def test_without_a_daemon(tmp_path: Path) -> None:
    port = str(free_port())
    for args, code, said in (
        ((), 3, "hint: start one with: "),
        (("--wait", "--for", "0.2s"), 124, f"no daemon at ws://127.0.0.1:{port}/ within 0.2 s"),
    ):
        process = Process(["monitor", "tail", "--port", port, *args], cwd=tmp_path, env={})
        try:
            assert process.wait() == code
            assert process.stdout == ""
            assert said in process.stderr
        finally:
            process.reap()
