"""A private folder that both we and the process can reach: what goes in, and what comes back."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from typing import Final, Self

from exai_ops.errors import CouldNotLook
from exai_ops.sem.process import Process

_PLACES: Final = ("tmp", "dev/shm", "var/tmp")
_MOST_BYTES: Final = 64 << 20
_PROBE, _ANSWER = "probe.py", "answer.json"


class Workspace:
    """A folder of mode 0700 in the process's own view of the files, gone at the end of ``with``.

    All is reached from one open folder and without following links: the process's root is not ours to trust.
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
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._folder = os.open(self._name, flags, dir_fd=self._place)
            self._write(_PROBE, self._probe.encode())
            self._write(_ANSWER, b"")
            self._own(self._folder)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for name in self._names:
            if self._folder >= 0:
                with contextlib.suppress(OSError):
                    os.unlink(name, dir_fd=self._folder)
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
        root = f"/proc/{self._process.pid}/root"
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        for place in _PLACES:
            try:
                at = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                for part in place.split("/"):
                    at, above = os.open(part, flags, dir_fd=at), at
                    os.close(above)
            except OSError:
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
