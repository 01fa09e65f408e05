"""A live CPython process: what it is, and whether it can be read; refusals say what would allow it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from exai_ops.errors import CouldNotLook
from exai_ops.sem import executable
from exai_ops.sem.executable import NotReadable, NotSupported, ProcessGone
from exai_ops.sem.layout import TESTED
from exai_ops.sem.maps import Mapping, read_maps

__all__ = ["NotReadable", "NotSupported", "Process", "ProcessGone", "find", "python_processes"]

_YAMA: Final = Path("/proc/sys/kernel/yama/ptrace_scope")


@dataclass(frozen=True, slots=True)
class Process:
    """A process that runs a CPython that can be read.

    Attributes:
        exe: The executable as this process can open and run it.
        path: The executable as the process itself names it.
        image: The file that holds the interpreter (executable or libpython), as this process can open it.
        version: Major and minor.
        build: Hash of executable and interpreter.
        start_ticks: When it started, in clock ticks since boot: tells it from a later process of the same id.
        state: The letter of ``/proc/PID/stat``.
        inner_pid: Its id in its own PID namespace.
        contained: Whether it has another root or mount namespace; see :func:`exai_ops.sem.twin.command`.
        libraries: Folders that its shared objects come from, as it names them.
        notes: What a reader should know, one line each.
    """

    pid: int
    exe: str
    path: str
    image: str
    image_name: str
    version: tuple[int, int]
    build: str
    start_ticks: int
    uid: int
    gid: int
    state: str
    inner_pid: int
    contained: bool
    libraries: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def open(cls, pid: int) -> Process:
        """Look at a process; raises ProcessGone, NotReadable or NotSupported with what to do."""
        state, ticks = _stat(pid)
        if state in {"Z", "X"}:
            raise ProcessGone(f"process {pid} has ended (a zombie): nothing of its memory is left")
        status = _status(pid)
        _check_right(pid, status.uid)
        try:
            return cls._look(pid, state, ticks, status)
        except PermissionError:
            raise _refusal(pid, status.uid) from None
        except OSError:
            raise ProcessGone(f"process {pid} ended just now, or is a kernel thread") from None

    @classmethod
    def _look(cls, pid: int, state: str, ticks: int, status: _Status) -> Process:
        maps = read_maps(pid)
        root = _root(pid)
        exe = f"/proc/{pid}/exe"
        path = _link(exe)
        image = executable.interpreter(pid, maps, path)
        image_path = executable.open_path(pid, image, path, _within(pid, image))
        executable.check_machine(pid, exe)
        version = executable.version(pid, image, image_path)
        return cls(
            pid=pid,
            exe=_runnable(pid, root, path),
            path=_within(pid, path.removesuffix(" (deleted)")),
            image=image_path,
            image_name=executable.name_of(image),
            version=version,
            build=executable.build(exe, image_path),
            start_ticks=ticks,
            uid=status.uid,
            gid=status.gid,
            state=state,
            inner_pid=status.inner_pid,
            contained=bool(root),
            libraries=tuple(_within(pid, folder) for folder in _folders(maps)),
            notes=_notes(pid, state, status.tracer, path, version),
        )

    def check(self) -> None:
        """Raise ProcessGone when it has ended since it was opened."""
        state, ticks = _stat(self.pid)
        if ticks != self.start_ticks or state in {"Z", "X"}:
            raise ProcessGone(f"process {self.pid} ended during the scan")

    @property
    def name(self) -> str:
        """Its script or module, else its executable."""
        return _script(self.pid) or Path(self.path).name


def python_processes() -> list[int]:
    """Ids of the processes that run a CPython this process may read, itself left out."""
    found = []
    for pid in _pids():
        if pid != os.getpid():
            try:
                path = _link(f"/proc/{pid}/exe")
                executable.interpreter(pid, read_maps(pid), path)
                if not executable.is_python(path):
                    continue  # another program with a libpython in it: by its id alone
                os.close(os.open(f"/proc/{pid}/mem", os.O_RDONLY))
            except (OSError, CouldNotLook):
                continue
            found.append(pid)
    return found


def find(name: str) -> list[int]:
    """Ids of the Python processes with this name, script or module; else with it in the command line."""
    exact, within = [], []
    for pid in python_processes():
        words = _command(pid)
        script = _script(pid)
        names = {
            _comm(pid),
            Path(words[0]).name if words else "",
            script,
            Path(script).name,
            Path(script).stem,
        }
        if name in names:
            exact.append(pid)
        elif name in " ".join(words):
            within.append(pid)
    return exact or within


def tracer_of(pid: int) -> int:
    """The process that traces one now, 0 for none. Raises ProcessGone."""
    return _status(pid).tracer


def _pids() -> Iterator[int]:
    for entry in os.listdir("/proc"):  # noqa: PTH208 - names alone
        if entry.isdecimal():
            yield int(entry)


def _stat(pid: int) -> tuple[str, int]:
    """(state, start in ticks)."""
    try:
        rest = (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        )
        return rest[0], int(rest[19])
    except (OSError, IndexError, ValueError):
        raise ProcessGone(
            f"there is no process {pid}", hint="see `ps -C python3`, or `exai sem check --all`"
        ) from None


class _Status(NamedTuple):
    uid: int
    gid: int
    tracer: int
    inner_pid: int


def _status(pid: int) -> _Status:
    """Effective user and group, tracer (0 for none), and the id in its own PID namespace."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        raise ProcessGone(f"process {pid} ended just now") from None
    rows = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
    return _Status(
        int(rows.get("Uid", "0 0").split()[1]),
        int(rows.get("Gid", "0 0").split()[1]),
        int(rows.get("TracerPid", "0") or 0),
        int(rows.get("NSpid", str(pid)).split()[-1]),
    )


def _notes(pid: int, state: str, tracer: int, path: str, version: tuple[int, int]) -> tuple[str, ...]:
    found = []
    if version > TESTED:
        found.append(f"CPython {version[0]}.{version[1]} is read by design, and was not tested")
    if state in {"T", "t"}:
        found.append(f"process {pid} is stopped: it is read as it stands")
    if tracer:
        found.append(f"process {pid} is traced by process {tracer}: read all the same")
    if path.endswith(" (deleted)"):
        found.append(f"the executable of process {pid} was replaced since it started")
    return tuple(found)


def _root(pid: int) -> str:
    """How this process reaches the files of one with another root or mount namespace, empty for its own."""
    same = _namespace(pid, "mnt") == _namespace("self", "mnt") and _link(f"/proc/{pid}/root") == _link(
        "/proc/self/root"
    )
    return "" if same else f"/proc/{pid}/root"


def _within(pid: int, path: str) -> str:
    """A path as a process with its root elsewhere names it."""
    root = _link(f"/proc/{pid}/root")
    return path.removeprefix(root) if root not in {"/", _link("/proc/self/root")} else path


def _runnable(pid: int, root: str, path: str) -> str:
    candidate = root + _within(pid, path)
    return candidate if os.access(candidate, os.X_OK) else f"/proc/{pid}/exe"


def _folders(maps: list[Mapping]) -> tuple[str, ...]:
    libraries = (one.file for one in maps if ".so" in one.file and one.file.startswith("/"))
    return tuple(dict.fromkeys(file.rpartition("/")[0] for file in libraries))


def _check_right(pid: int, uid: int) -> None:
    try:
        os.close(os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC))
    except PermissionError:
        raise _refusal(pid, uid) from None
    except OSError:
        _stat(pid)
        raise NotReadable(f"the memory of process {pid} cannot be opened") from None


def _refusal(pid: int, uid: int) -> NotReadable:
    """Why a process may not be read, and the command that would allow it."""
    if _namespace(pid, "pid") not in {_namespace("self", "pid"), ""}:
        hint = (
            f"it is in a container: run `sudo exai sem check {pid}` on the host, or look from one with "
            "`docker run --cap-add=SYS_PTRACE --pid=container:NAME`"
        )
        return NotReadable(f"no right to read process {pid}, which is in another PID namespace", hint=hint)
    if uid != os.geteuid() and os.geteuid() != 0:
        return NotReadable(f"process {pid} belongs to user {uid}", hint=f"run `sudo exai sem check {pid}`")
    if _scope() > 0:
        hint = f"run `sudo exai sem check {pid}`, or allow it with `sudo sysctl kernel.yama.ptrace_scope=0`"
        return NotReadable(f"yama.ptrace_scope={_scope()} forbids reading process {pid}", hint=hint)
    if os.geteuid() == 0:
        hint = "in a container, start it with `docker run --cap-add=SYS_PTRACE`"
        return NotReadable(
            f"no right to read process {pid}, though this is root: CAP_SYS_PTRACE is missing", hint=hint
        )
    return NotReadable(f"no right to read process {pid}", hint=f"run `sudo exai sem check {pid}`")


def _scope() -> int:
    try:
        return int(_YAMA.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0


def _command(pid: int) -> list[str]:
    try:
        data = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return []
    return [word for word in data.decode("utf-8", "replace").split("\0") if word]


def _comm(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _script(pid: int) -> str:
    """The script, or the module after ``-m``; empty for ``-c`` and for an interactive one."""
    words = iter(_command(pid)[1:])
    for word in words:
        if word == "-m":
            return next(words, "")
        if word in {"-W", "-X", "--check-hash-based-pycs"}:
            next(words, "")
        elif word in {"-c", "-"}:
            return ""
        elif not word.startswith("-"):
            return word
    return ""


def _link(path: str) -> str:
    return os.readlink(path)  # noqa: PTH115 - the text itself: of a namespace it is no path


def _namespace(pid: int | str, kind: str) -> str:
    try:
        return _link(f"/proc/{pid}/ns/{kind}")
    except OSError:
        return ""
