"""What runs in a process: which file holds its interpreter, of which version, built for what."""

from __future__ import annotations

import hashlib
import mmap
import os
import platform
import re
import struct
from pathlib import Path
from typing import Final

from exai_ops.errors import CouldNotLook
from exai_ops.sem.maps import Mapping

_IMAGE: Final = re.compile(r"^(?:lib)?(python|pypy)(\d+(?:\.\d+)?)?(t)?d?(?:-c|-dbg)?(?:\.so(?:\.[\d.]+)?)?$")
_LIBRARY_FOLDER: Final = re.compile(rb"lib/python(3\.\d{1,2})[/\0]")
_MACHINES: Final = {62: "x86_64", 183: "aarch64", 3: "i686", 40: "arm"}
_DELETED: Final = " (deleted)"
OLDEST: Final = (3, 10)
NEWEST: Final = (3, 14)
SUDO: Final = "run `sudo exai sem check {}`"


class ProcessGone(CouldNotLook):
    """There is no such process, or it ended while it was looked at."""


class NotReadable(CouldNotLook):
    """The process is there, and the right to read it is not."""


class NotSupported(CouldNotLook):
    """What runs there is not a Python that can be read."""


def name_of(file: str) -> str:
    """The base name of a mapped file."""
    return file.removesuffix(_DELETED).rsplit("/", 1)[-1]


def is_python(file: str) -> bool:
    """Whether an executable is named as an interpreter."""
    match = _IMAGE.match(name_of(file))
    return match is not None and match[1] == "python" and ".so" not in name_of(file)


def interpreter(pid: int, maps: list[Mapping], exe: str) -> str:
    """The file that holds the interpreter, as the process names it; raises NotSupported for none."""
    files = dict.fromkeys(one.file for one in maps if one.file.startswith("/"))
    if not maps:
        raise ProcessGone(f"process {pid} has no memory of its own: a kernel thread, or it ended just now")
    found = ""
    for file in files:
        match = _IMAGE.match(name_of(file))
        if match is None:
            continue
        if match[1] == "pypy":
            raise NotSupported(f"process {pid} runs PyPy: only CPython can be read")
        if match[3]:
            raise NotSupported(f"process {pid} runs a free-threaded CPython, which cannot be read")
        is_library = ".so" in name_of(file)
        if (is_library and match[2] != "3") or (not found and file == exe):
            found = file
    if not found:
        raise NotSupported(f"process {pid} is not Python: it runs {exe}")
    return found


def open_path(pid: int, file: str, exe: str, inside: str) -> str:
    """A path by which this process can open a file of another; raises NotReadable or NotSupported.

    Args:
        inside: The file as the other process names it.
    """
    if file == exe:
        return f"/proc/{pid}/exe"
    if file.endswith(_DELETED):
        what = (
            f"{name_of(file)} of process {pid} was replaced since it started, so nothing says how to read it"
        )
        raise NotSupported(what, hint="restart the process")
    path = f"/proc/{pid}/root{inside}"
    if os.access(path, os.R_OK):
        return path
    raise NotReadable(f"{file} of process {pid} cannot be opened", hint=SUDO.format(pid))


def check_machine(pid: int, exe: str) -> None:
    """Raise NotSupported for a program that is not of this machine and of 64 bits."""
    try:
        with open(exe, "rb") as file:  # noqa: PTH123 - a link of /proc, which a Path would resolve
            head = file.read(20)
    except PermissionError:
        raise NotReadable(f"the program of process {pid} cannot be read", hint=SUDO.format(pid)) from None
    if len(head) < 20 or head[4] != 2:
        raise NotSupported(f"process {pid} is a 32-bit program: only 64-bit CPython can be read")
    machine = _MACHINES.get(struct.unpack_from("<H", head, 18)[0], "unknown")
    if machine != platform.machine():
        raise NotSupported(f"process {pid} is built for {machine}, this machine is {platform.machine()}")


def loader(exe: str) -> str:
    """The dynamic loader that a program asks for, empty for a static one."""
    try:
        with open(exe, "rb") as file:  # noqa: PTH123
            head = file.read(64)
            start, size, count = (
                struct.unpack_from("<Q", head, 32)[0],
                *struct.unpack_from("<HH", head, 54),
            )
            file.seek(start)
            table = file.read(size * count)
            for index in range(count):
                kind, _, offset, _, _, length = struct.unpack_from("<IIQQQQ", table, index * size)
                if kind == 3:
                    file.seek(offset)
                    return file.read(length).rstrip(b"\0").decode()
    except (OSError, struct.error, UnicodeDecodeError):
        return ""
    return ""


def version(pid: int, image: str, path: str) -> tuple[int, int]:
    """From the file's name when it has it, else from the file's content; raises NotSupported."""
    match = _IMAGE.match(name_of(image))
    text = match[2] if match and match[2] and "." in match[2] else _version_inside(path)
    if text is None:
        raise NotSupported(f"the version of Python in process {pid} is not known")
    major, minor = (int(part) for part in text.split("."))
    if not OLDEST <= (major, minor) <= NEWEST:
        raise NotSupported(f"process {pid} runs Python {text}: CPython 3.10 to 3.14 can be read")
    return major, minor


def build(*paths: str) -> str:
    """A hash of the files' content."""
    digest = hashlib.sha256()
    for path in dict.fromkeys(paths):
        with open(path, "rb") as file:  # noqa: PTH123
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:32]


def beside(image: str, number: tuple[int, int]) -> str:
    """The interpreter that belongs to a libpython inside another program, empty when there is none."""
    folder = Path(image).parent
    for base in (folder.parent, folder.parent.parent):
        path = base / "bin" / f"python{number[0]}.{number[1]}"
        if os.access(path, os.X_OK):
            return str(path)
    return ""


def _version_inside(path: str) -> str | None:
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:  # noqa: PTH123
            found = _LIBRARY_FOLDER.search(data)
            return found[1].decode() if found else None
    except (OSError, ValueError):
        return None
