"""A live CPython process: what it is, and whether it can be read; refusals say what would allow it."""

from __future__ import annotations

import hashlib
import mmap
import os
import platform
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from exai_ops.errors import CouldNotLook
from exai_ops.sem.maps import Mapping, read_maps

_IMAGE: Final = re.compile(r"^(?:lib)?(python|pypy)(\d+(?:\.\d+)?)?(t)?d?(?:-c)?(?:\.so(?:\.[\d.]+)?)?$")
_VERSION: Final = re.compile(
    rb"(?<![\d.])(\d\.\d{1,2}\.\d{1,3}(?:(?:a|b|rc)\d+)?\+?) \((?:[^()\0]|\([^()\0]*\)){4,90}\)"
)
_MACHINES: Final = {62: "x86_64", 183: "aarch64", 3: "i686", 40: "arm"}
_SUDO: Final = "run `sudo exai sem check {}`"
_YAMA: Final = Path("/proc/sys/kernel/yama/ptrace_scope")
OLDEST: Final = (3, 10)
NEWEST: Final = (3, 14)


class ProcessGone(CouldNotLook):
    """There is no such process, or it ended while it was looked at."""


class NotReadable(CouldNotLook):
    """The process is there, and the right to read it is not."""


class NotSupported(CouldNotLook):
    """What runs there is not a Python that can be read."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process that runs a CPython that can be read.

    Attributes:
        exe: The executable as this process can open it.
        image: The file that holds the interpreter (the executable or libpython), likewise.
        version: Major and minor.
        build: Hash of executable and interpreter.
        start_ticks: When it started, in clock ticks since boot: tells it from a later process of the same id.
        state: The letter of ``/proc/PID/stat``.
        contained: Whether it lives in another mount namespace.
        notes: What a reader should know, one line each.
    """

    pid: int
    exe: str
    image: str
    version: tuple[int, int]
    build: str
    start_ticks: int
    uid: int
    gid: int
    state: str
    contained: bool
    notes: tuple[str, ...] = ()

    @classmethod
    def open(cls, pid: int) -> Process:
        """Look at a process; raises ProcessGone, NotReadable or NotSupported with what to do."""
        state, ticks = _stat(pid)
        if state in {"Z", "X"}:
            raise ProcessGone(f"process {pid} has ended (a zombie): nothing of its memory is left")
        uid, gid, tracer = _status(pid)
        _check_right(pid, uid)
        maps = _maps(pid, uid)
        contained = _namespace(pid, "mnt") != _namespace("self", "mnt")
        root = f"/proc/{pid}/root" if contained else ""
        exe = f"/proc/{pid}/exe"
        try:
            path = _link(exe)
        except OSError:
            raise ProcessGone(
                f"process {pid} has no executable: a kernel thread, or it ended just now"
            ) from None
        image = _interpreter(pid, maps, path)
        image_path = _open_path(pid, root, image, path)
        _check_machine(pid, exe)
        version = _version(pid, image, image_path)
        notes = []
        if state in {"T", "t"}:
            notes.append(f"process {pid} is stopped: it is read as it stands")
        if tracer:
            notes.append(f"process {pid} is traced by process {tracer}: read all the same")
        gone = path.endswith(" (deleted)")
        if gone:
            notes.append("its executable was replaced since it started")
        return cls(
            pid=pid,
            exe=exe if gone or not os.access(root + path, os.R_OK) else root + path,
            image=image_path,
            version=version,
            build=_build(exe, image_path),
            start_ticks=ticks,
            uid=uid,
            gid=gid,
            state=state,
            contained=contained,
            notes=tuple(notes),
        )

    def check(self) -> None:
        """Raise ProcessGone when it has ended since it was opened."""
        state, ticks = _stat(self.pid)
        if ticks != self.start_ticks or state in {"Z", "X"}:
            raise ProcessGone(f"process {self.pid} ended during the scan")

    @property
    def name(self) -> str:
        """Its script or module, else its executable."""
        return _script(self.pid) or Path(self.exe).name


def python_processes() -> list[int]:
    """Ids of the processes that run a CPython this process may read, itself left out."""
    found = []
    for pid in _pids():
        if pid != os.getpid():
            try:
                maps = read_maps(pid)
                _interpreter(pid, maps, _link(f"/proc/{pid}/exe"))
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


def _status(pid: int) -> tuple[int, int, int]:
    """(effective user, effective group, tracer)."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        raise ProcessGone(f"process {pid} ended just now") from None
    rows = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
    return (
        int(rows.get("Uid", "0 0").split()[1]),
        int(rows.get("Gid", "0 0").split()[1]),
        int(rows.get("TracerPid", "0") or 0),
    )


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


def _maps(pid: int, uid: int) -> list[Mapping]:
    try:
        found = read_maps(pid)
    except PermissionError:
        raise _refusal(pid, uid) from None
    except OSError:
        raise ProcessGone(f"process {pid} ended just now") from None
    if not found:
        raise ProcessGone(f"process {pid} has no memory of its own: a kernel thread, or it ended just now")
    return found


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


def _interpreter(pid: int, maps: list[Mapping], exe: str) -> str:
    """The path, as the process names it, of the file that holds the interpreter."""
    files = dict.fromkeys(one.file for one in maps if one.file.startswith("/"))
    found = ""
    for file in files:
        match = _IMAGE.match(file.removesuffix(" (deleted)").rsplit("/", 1)[-1])
        if match is None:
            continue
        if match[1] == "pypy":
            raise NotSupported(f"process {pid} runs PyPy: only CPython can be read")
        if match[3]:
            raise NotSupported(f"process {pid} runs a free-threaded CPython, which cannot be read")
        is_library = ".so" in file.rsplit("/", 1)[-1]
        if (is_library and match[2] != "3") or (not found and file == exe):
            found = file
    if not found:
        raise NotSupported(f"process {pid} is not Python: it runs {exe}")
    return found


def _open_path(pid: int, root: str, file: str, exe: str) -> str:
    if file == exe:
        return f"/proc/{pid}/exe"
    for candidate in (root + file, f"/proc/{pid}/root{file}"):
        if os.access(candidate, os.R_OK):
            return candidate
    raise NotReadable(f"{file} of process {pid} cannot be opened", hint=_SUDO.format(pid))


def _check_machine(pid: int, exe: str) -> None:
    try:
        with open(exe, "rb") as file:  # noqa: PTH123 - a link of /proc, which a Path would resolve
            head = file.read(20)
    except OSError:
        raise NotReadable(
            f"the executable of process {pid} cannot be read", hint=f"try `sudo exai sem check {pid}`"
        ) from None
    machine = _MACHINES.get(struct.unpack_from("<H", head, 18)[0] if len(head) >= 20 else 0, "unknown")
    if len(head) < 5 or head[4] != 2:
        raise NotSupported(f"process {pid} is a 32-bit program: only 64-bit CPython can be read")
    if machine != platform.machine():
        raise NotSupported(f"process {pid} is built for {machine}, this machine is {platform.machine()}")


def _version(pid: int, image: str, path: str) -> tuple[int, int]:
    """From the file's name when it has it, else from the file's content."""
    match = _IMAGE.match(image.removesuffix(" (deleted)").rsplit("/", 1)[-1])
    text = match[2] if match and match[2] and "." in match[2] else _version_inside(path)
    if text is None:
        raise NotSupported(f"the version of Python in process {pid} is not known")
    parts = text.split(".")
    version = int(parts[0]), int(parts[1])
    if version < OLDEST or version > NEWEST:
        raise NotSupported(f"process {pid} runs Python {text}: CPython 3.10 to 3.14 can be read")
    return version


def _version_inside(path: str) -> str | None:
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:  # noqa: PTH123
            found = re.search(rb"/lib/python(3\.\d{1,2})\0|lib/python(3\.\d{1,2})[\0/]", data)
            return (found[1] or found[2]).decode() if found else None
    except (OSError, ValueError):
        return None


def _build(*paths: str) -> str:
    digest = hashlib.sha256()
    for path in dict.fromkeys(paths):
        with open(path, "rb") as file:  # noqa: PTH123
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:32]
