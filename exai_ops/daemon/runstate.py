"""Which daemon runs: the PID file and the state file, and who holds a port.

Both files stand in the state folder and carry the port in their names. A state file counts only while
the process it names lives and started when the file says, so a reused PID is never taken for the daemon.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

import msgspec
import psutil

import exai_ops
from exai_ops.settings import Settings

_SLACK_S: Final = 2.0
"""Between two readings of a process's start as a time of day, where the kernel gives nothing better."""
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_STARTTIME: Final = 22 - 3
"""Field 22 of ``/proc/PID/stat`` (proc(5)), counted from the third, behind the name in parentheses."""


class RunState(msgspec.Struct, frozen=True, kw_only=True):
    """What a running daemon says of itself.

    Attributes:
        process_started_at: Of the process, in seconds since the epoch. It moves when the clock is set, and
            only counts where there is no ``birth``.
        birth: The boot and the tick of it at which the process started: see ``birth``. Empty where there is
            no ``/proc``.
    """

    pid: int
    process_started_at: float
    host: str
    port: int
    version: str
    simulated: bool
    state: str = "ready"
    birth: str = ""

    @property
    def url(self) -> str:
        """Of the WebSocket, from this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)  # noqa: S104
        host = f"[{host}]" if ":" in host and not host.startswith("[") else host
        return f"ws://{host}:{self.port}/"

    def alive(self) -> bool:
        """Whether the process that wrote this still lives."""
        try:
            process = psutil.Process(self.pid)
            return process.status() != psutil.STATUS_ZOMBIE and self._is(process)
        except (psutil.NoSuchProcess, ValueError):  # ValueError: no pid at all, in a file that is not ours
            return False

    def _is(self, process: psutil.Process) -> bool:
        """Whether a process of our PID is ours, and not a later one with a number used again."""
        if self.birth:
            return birth(self.pid) == self.birth
        return abs(process.create_time() - self.process_started_at) < _SLACK_S


def birth(pid: int) -> str:
    """``BOOT_ID:TICKS``: when a process started, in clock ticks since which boot; empty if it cannot be told.

    No setting of the clock changes it, and no other process of this machine ever has the same with its PID.
    """
    try:
        boot = _BOOT_ID.read_text(encoding="ascii").strip()
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return ""
    return f"{boot}:{stat.rpartition(b')')[2].split()[_STARTTIME].decode()}"


def suspended(pid: int) -> bool:
    """Whether a process is stopped by a signal (SIGSTOP, SIGTSTP): it is there and does nothing."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_STOPPED
    except (psutil.Error, ValueError):
        return False


def own_state(settings: Settings, port: int, *, simulated: bool) -> RunState:
    """The state of this process."""
    return RunState(
        pid=os.getpid(),
        process_started_at=psutil.Process().create_time(),
        host=settings.ws_host,
        port=port,
        version=exai_ops.__version__,
        simulated=simulated,
        birth=birth(os.getpid()),
    )


def state_path(settings: Settings, port: int) -> Path:
    """Where the daemon on a port keeps its state."""
    return settings.state_dir.expanduser() / f"exai-{port}.json"


def pid_path(settings: Settings, port: int) -> Path:
    """Where the daemon on a port keeps its PID."""
    return settings.state_dir.expanduser() / f"exai-{port}.pid"


def write(settings: Settings, state: RunState) -> None:
    """Write both files, each at once or not at all."""
    folder = settings.state_dir.expanduser()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _replace(pid_path(settings, state.port), f"{state.pid}\n".encode())
    _replace(state_path(settings, state.port), msgspec.json.encode(state))


def _replace(path: Path, data: bytes) -> None:
    fresh = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    fresh.write_bytes(data)
    fresh.replace(path)


def read(settings: Settings, port: int) -> RunState | None:
    """The state file of a port, whether its daemon lives or not; None when there is none to read."""
    try:
        return msgspec.json.decode(state_path(settings, port).read_bytes(), type=RunState)
    except (OSError, msgspec.DecodeError):
        return None


def remove(settings: Settings, port: int) -> None:
    """Take both files away if they are this process's own."""
    state = read(settings, port)
    if state is not None and state.pid == os.getpid():
        for path in (state_path(settings, port), pid_path(settings, port)):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()


def port_holder(settings: Settings, port: int) -> str:
    """Who listens on a port, in words that say what to do."""
    state = read(settings, port)
    if state is not None and state.alive():
        return f"held by an exai daemon, pid {state.pid}, version {state.version}; `exai stop` ends it"
    pid = listener(port)
    if pid is None:
        return "held by a process that cannot be seen from here (`ss -ltnp` as root names it)"
    return f"held by pid {pid} ({_name(pid)}); end it, or set EXAI_WS_PORT to another port"


def listener(port: int) -> int | None:
    """PID of the process that listens on a TCP port, None when it cannot be told."""
    try:
        sockets = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        return None
    return next(
        (s.pid for s in sockets if s.status == psutil.CONN_LISTEN and s.laddr and s.laddr.port == port), None
    )


def _name(pid: int) -> str:
    try:
        return psutil.Process(pid).name()
    except psutil.Error:
        return "unknown"
