"""Which daemon runs: files that count only while the process that wrote them lives."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from exai_ops.daemon import runstate
from exai_ops.daemon.runstate import RunState
from exai_ops.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path / "state")


def state(**fields: Any) -> RunState:
    base: dict[str, Any] = {
        "pid": os.getpid(),
        "process_started_at": psutil.Process().create_time(),
        "host": "127.0.0.1",
        "port": 8079,
        "version": "1",
        "simulated": False,
    }
    return RunState(**(base | fields))


def test_written_read_and_removed(settings: Settings) -> None:
    own = runstate.own_state(settings, 8079, simulated=True)
    runstate.write(settings, own)
    assert runstate.read(settings, 8079) == own
    assert own.alive()
    assert runstate.pid_path(settings, 8079).read_text() == f"{os.getpid()}\n"
    assert stat.S_IMODE(settings.state_dir.stat().st_mode) == 0o700
    assert runstate.read(settings, 8080) is None
    runstate.remove(settings, 8079)
    runstate.remove(settings, 8079)
    assert list(settings.state_dir.iterdir()) == []


def test_anothers_files_stay(settings: Settings) -> None:
    runstate.write(settings, state(pid=1))
    runstate.remove(settings, 8079)
    assert runstate.read(settings, 8079) == state(pid=1)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"pid": "x"}', b"\xff", b"null"])
def test_a_file_that_cannot_be_read_is_none(settings: Settings, content: bytes) -> None:
    settings.state_dir.mkdir()
    runstate.state_path(settings, 8079).write_bytes(content)
    assert runstate.read(settings, 8079) is None


DEAD = [
    {"process_started_at": 1000.0},  # the pid was used again
    {"pid": 2**22 + 1},  # beyond any pid
    {"pid": 2**70},
    {"pid": -5},
]


@pytest.mark.parametrize("fields", DEAD)
def test_not_alive(fields: dict[str, Any]) -> None:
    assert not state(**fields).alive()


OWN = runstate.birth(os.getpid())


@pytest.mark.parametrize(
    ("fields", "alive"),
    [
        ({"birth": OWN}, True),
        ({"birth": OWN, "process_started_at": 1000.0}, True),  # the clock was set since
        ({"birth": OWN + "0"}, False),  # the pid was used again
        ({"birth": "0" + OWN}, False),  # and after a restart of the machine
        ({"birth": OWN, "pid": os.getppid()}, False),
        ({"birth": ""}, True),  # written by an earlier version
    ],
)
def test_a_process_is_known_by_boot_and_tick(fields: dict[str, Any], alive: bool) -> None:
    assert state(**fields).alive() is alive


def test_its_own_state_says_when_it_was_born(settings: Settings) -> None:
    own = runstate.own_state(settings, 8079, simulated=False)
    boot, _, ticks = own.birth.partition(":")
    assert (len(boot), ticks.isdigit()) == (36, True)
    assert runstate.birth(2**22 + 1) == ""


def test_a_suspended_process_is_known() -> None:
    child = subprocess.Popen(["sleep", "60"])
    try:
        assert not runstate.suspended(child.pid)
        child.send_signal(signal.SIGSTOP)
        os.waitpid(child.pid, os.WUNTRACED)
        assert runstate.suspended(child.pid)
    finally:
        child.kill()
        child.wait()
    assert not runstate.suspended(child.pid)


def test_a_later_field_does_not_hide_the_daemon(settings: Settings) -> None:
    """A newer version's file is read by an older one."""
    settings.state_dir.mkdir()
    content = msgspec.to_builtins(state()) | {"new": 1}
    runstate.state_path(settings, 8079).write_bytes(msgspec.json.encode(content))
    assert runstate.read(settings, 8079) == state()


URLS = [
    ("127.0.0.1", "ws://127.0.0.1:8079/"),
    ("0.0.0.0", "ws://127.0.0.1:8079/"),
    ("localhost", "ws://localhost:8079/"),
    ("::", "ws://[::1]:8079/"),
    ("::1", "ws://[::1]:8079/"),
    ("[::1]", "ws://[::1]:8079/"),
    ("192.0.2.1", "ws://192.0.2.1:8079/"),
]


@pytest.mark.parametrize(("host", "url"), URLS)
def test_url(host: str, url: str) -> None:
    assert state(host=host).url == url


def test_who_holds_a_port(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        assert f"pid {os.getpid()}" in runstate.port_holder(settings, port)
        assert "EXAI_WS_PORT" in runstate.port_holder(settings, port)
        runstate.write(settings, state(port=port))
        held = runstate.port_holder(settings, port)
        assert f"exai daemon, pid {os.getpid()}" in held
        assert "exai stop" in held
        runstate.write(settings, state(port=port, process_started_at=1.0))
        assert "exai daemon" not in runstate.port_holder(settings, port)
    assert "cannot be seen" in runstate.port_holder(settings, port)
