"""A private folder that both we and the process can reach: what goes in, and what comes back."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import stat
import time
from collections.abc import Iterable
from typing import Final, Self

from exai_ops.errors import CouldNotLook
from exai_ops.sem.process import Process

_PLACES: Final = ("tmp", "dev/shm", "var/tmp")
_MOST_BYTES: Final = 64 << 20
_PROBE, _ANSWER, START = "probe.py", "answer.json", "start.py"
_NAME: Final = re.compile(r"exai-[0-9a-f]{16}")
_SETTLED_S: Final = 60.0
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Workspace:
    """A folder of mode 0700 in the process's own view of the files, gone at the end of ``with``.

    All is reached from one open folder and without following links: the process's root is not ours to trust.
    It is locked for as long as its owner lives: by that a later one tells what was left behind.
    """

    def __init__(self, process: Process, probe: str) -> None:
        self._process = process
        self._probe = probe
        self._name = f"exai-{secrets.token_hex(8)}"
        self._place = -1
        self._folder = -1
        self._path = ""
        self._names = [_PROBE, _ANSWER]

    def __enter__(self) -> Self:
        self._place, place = self._open()
        self._path = f"/{place}/{self._name}"
        try:
            self._folder = os.open(self._name, _FOLDER, dir_fd=self._place)
            fcntl.flock(self._folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._write(_PROBE, self._probe.encode())
            self._write(_ANSWER, b"")
            self._own(self._folder)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder >= 0:
            _remove(self._folder, self._names)
        with contextlib.suppress(OSError):
            os.rmdir(self._name, dir_fd=self._place)
        for descriptor in (self._folder, self._place):
            if descriptor >= 0:
                os.close(descriptor)
        self._folder = self._place = -1

    @property
    def probe(self) -> str:
        """The script, as the process names it."""
        return f"{self._path}/{_PROBE}"

    @property
    def answer(self) -> str:
        """The file for the answer, as the process names it."""
        return f"{self._path}/{_ANSWER}"

    @property
    def begun(self) -> bool:
        """Whether the process has begun to answer."""
        return os.stat(_ANSWER, dir_fd=self._folder, follow_symlinks=False).st_size > 0

    def call_off(self) -> None:
        """Have what has not begun end as soon as it does."""
        _remove(self._folder, [_PROBE])

    def add(self, name: str, data: bytes) -> str:
        """One more file; its path, as the process names it."""
        self._write(name, data)
        self._names.append(name)
        return f"{self._path}/{name}"

    def read(self) -> bytes | None:
        """The answer, None as long as it is not whole."""
        descriptor = os.open(_ANSWER, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._folder)
        with open(descriptor, "rb") as file:  # noqa: PTH123 - an open file
            known = os.fstat(descriptor)
            if not stat.S_ISREG(known.st_mode) or known.st_size > _MOST_BYTES:
                raise CouldNotLook("the answer of the process is no file, or too large to be one of ours")
            if not known.st_size:
                return None
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                return None
            file.seek(0)
            return file.read()

    def _open(self) -> tuple[int, str]:
        """A place for the folder, which is made there."""
        for place in _PLACES:
            at = _place(self._process.pid, place)
            if at < 0:
                continue
            try:
                os.mkdir(self._name, 0o700, dir_fd=at)
            except OSError:
                os.close(at)
                continue
            return at, place
        raise CouldNotLook(
            f"no folder that process {self._process.pid} and this one can both use",
            hint="--inject hands over files in /tmp, /dev/shm or /var/tmp of the process: make one writable",
        )

    def _write(self, name: str, data: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(name, flags, 0o600, dir_fd=self._folder)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - an open file
            file.write(data)
            file.flush()
            self._own(descriptor)

    def _own(self, descriptor: int) -> None:
        """To the process's user, when that is another."""
        if self._process.uid != os.geteuid():
            os.fchown(descriptor, self._process.uid, self._process.gid)


def begun_in(process: Process, line: str) -> bool | None:
    """Whether a line that names such a folder has begun to answer in it; None while its owner lives."""
    found = re.search(rf"/({'|'.join(_PLACES)})/({_NAME.pattern})/", line)
    at = -1 if found is None else _place(process.pid, found[1])
    if found is None or at < 0:
        return False
    try:
        folder = os.open(found[2], _FOLDER, dir_fd=at)
    except OSError:
        return False
    finally:
        os.close(at)
    try:
        if not _is_left(folder):
            return None
        return os.stat(_ANSWER, dir_fd=folder, follow_symlinks=False).st_size > 0
    except OSError:
        return False
    finally:
        os.close(folder)


def remove_left(process: Process) -> None:
    """Remove the folders in the process's view whose owners were killed, once they are a minute old."""
    for place in _PLACES:
        at = _place(process.pid, place)
        if at < 0:
            continue
        try:
            for name in os.listdir(at):  # noqa: PTH208 - of an open folder
                if _NAME.fullmatch(name):
                    with contextlib.suppress(OSError):
                        _remove_one(at, name, process.uid)
        finally:
            os.close(at)


def _remove_one(at: int, name: str, uid: int) -> None:
    folder = os.open(name, _FOLDER, dir_fd=at)
    try:
        known = os.fstat(folder)
        settled = time.time() - known.st_mtime > _SETTLED_S
        ours = known.st_uid in {uid, os.geteuid()} and stat.S_IMODE(known.st_mode) == 0o700
        known_names = set(os.listdir(folder)) <= {_PROBE, _ANSWER, START}  # noqa: PTH208 - of an open folder
        if settled and ours and known_names and _is_left(folder):
            _remove(folder, [_PROBE, _ANSWER, START])
            os.rmdir(name, dir_fd=at)
    finally:
        os.close(folder)


def _is_left(folder: int) -> bool:
    """Whether nobody has it locked."""
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _remove(folder: int, names: Iterable[str]) -> None:
    for name in names:
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=folder)


def _place(pid: int, place: str) -> int:
    """An open folder in a process's own view of the files, -1 when it is not there."""
    try:
        at = os.open(f"/proc/{pid}/root", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return -1
    for part in place.split("/"):
        try:
            inner = os.open(part, _FOLDER, dir_fd=at)
        except OSError:
            return -1
        finally:
            os.close(at)
        at = inner
    return at
