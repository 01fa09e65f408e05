"""``exai monitor top`` over a real daemon: in a terminal, printed once, and where it cannot look."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from .conftest import StartDaemon
from .exai_process import DaemonProcess
from .terminal import Terminal

StartTop: TypeAlias = Callable[..., Terminal]
LEAVE = "\x1b[?1049l"


@pytest.fixture
def top() -> Iterator[StartTop]:
    """Starts ``exai monitor top`` in a terminal."""
    started: list[Terminal] = []

    def start(daemon: DaemonProcess, *args: str, **options: object) -> Terminal:
        command = ["-m", "exai_ops", "monitor", "top", "--port", str(daemon.port), *args]
        started.append(Terminal(*command, cwd=daemon.folder, env=daemon.env, **options))  # type: ignore[arg-type]
        return started[-1]

    yield start
    for one in started:
        one.reap()
        one.close()


def test_keys(daemon: DaemonProcess, top: StartTop) -> None:
    one = top(daemon)
    one.until("EV/S↓")
    assert "\x1b[7m" in one.seen
    one.press(b"s/sqli\rt")  # together, as a fast hand or a paste would
    one.until("TYPE FUNCTION DIRECTION")
    one.until("EVENTS↓")
    one.until("filter: sqli")
    one.press(b"p")
    one.until("PAUSED at")
    one.press(b"h")
    one.until("hold what is shown")
    one.press(b"xq")
    assert one.code() == 0


def test_a_new_size_is_drawn_at_once_and_without_colour(daemon: DaemonProcess, top: StartTop) -> None:
    one = top(daemon, size=(200, 40))
    one.until("P95, LATELY")
    one.seen = ""
    one.resize(40, 8)
    one.until("\x1b[8;1H")
    one.press(b"\x03")
    assert one.code() == 130
    plain = Terminal(
        *("-m", "exai_ops", "monitor", "top", "--port", str(daemon.port)),
        cwd=daemon.folder,
        env={**daemon.env, "NO_COLOR": "1"},
    )
    plain.until("EV/S↓")
    plain.press(b"q")
    assert plain.code() == 0
    assert "\x1b[7m" not in plain.seen
    plain.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_the_terminal_as_it_was(daemon: DaemonProcess, top: StartTop, number: int) -> None:
    one = top(daemon)
    one.until("EV/S")
    one.send_signal(number)
    assert one.code() == -number


def test_a_daemon_that_vanishes_and_comes_back(start_daemon: StartDaemon, top: StartTop) -> None:
    port = free_port()
    first = start_daemon(args=["--port", str(port), "--simulate"])
    one = top(first)
    one.until("SIMULATED")
    first.child.kill()
    first.wait()
    one.until("LOST, what is shown is")
    start_daemon(args=["--port", str(port), "--simulate"])
    one.until(", restarted")
    one.press(b"q")
    assert one.code() == 0


def test_waiting_for_a_daemon(start_daemon: StartDaemon, tmp_path: Path) -> None:
    port = free_port()
    env = {"EXAI_STATE_DIR": str(tmp_path / "state")}
    one = Terminal("-m", "exai_ops", "monitor", "top", "--wait", "--port", str(port), cwd=tmp_path, env=env)
    one.until("waiting for the daemon")
    start_daemon(args=["--port", str(port), "--simulate"])
    one.until("SIMULATED")
    one.press(b"q")
    assert one.code() == 0
    one.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_once(daemon: DaemonProcess) -> None:
    done = daemon.exai("monitor", "top", "--once")
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.startswith("exai ws://")
    assert "\x1b" not in done.stdout
    assert "EV/S↓" in done.stdout
    found = daemon.exai("monitor", "top", "--once", "--format", "json")
    assert json.loads(found.stdout)["op"] == "state"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "exai monitor top needs a terminal"),
        (["--format", "json"], "--format json is for --once"),
        (["--once", "--format", "xml"], "--format: 'xml' is not known"),
        (["--once", "--sort", "age"], "--sort: 'age' is not known"),
        (["--once", "--show", "all"], "--show: 'all' is not known"),
        (["--once", "--every", "10ms"], "--every: '10ms' is not from 1s to 1h"),
        (["--once", "--tz", "Nowhere"], "--tz: 'Nowhere' is no zone"),
    ],
)
def test_what_cannot_be_done(daemon: DaemonProcess, args: list[str], said: str) -> None:
    done = daemon.exai("monitor", "top", *args)
    assert done.code == 2
    assert said in done.stderr
    assert "hint: " in done.stderr or args[-1] == "10ms"


def test_no_daemon(daemon: DaemonProcess) -> None:
    command = ["-m", "exai_ops", "monitor", "top", "--url", f"ws://127.0.0.1:{free_port()}/"]
    one = Terminal(*command, cwd=daemon.folder, env=daemon.env)
    one.until("hint: ")
    assert LEAVE not in one.seen  # there was nothing to leave
    assert os.waitstatus_to_exitcode(os.waitpid(one.pid, 0)[1]) == 3
    one.close()
