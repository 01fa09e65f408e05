"""What each reader of a dotenv file makes of it: pure, one module for each, with the peculiarities of each.

A reading's ``needs`` are the names that were looked up, not found, and replaced by nothing; a name with a
default is not among them. Where a reader refuses a file, ``problems`` says at which line. No message holds a
value, or a piece of a line that may be one. A reader's module is imported when it is first asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Final, TypeAlias

from exai_ops.env.model import Reading

Reader: TypeAlias = Callable[[bytes, Mapping[str, str]], Reading]


def _reader(module: str, function: str = "read") -> Reader:
    def read(data: bytes, environ: Mapping[str, str]) -> Reading:
        reader: Reader = getattr(import_module(f"{__name__}.{module}"), function)
        return reader(data, environ)

    return read


READERS: Final[Mapping[str, Reader]] = {
    "python-dotenv": _reader("python_dotenv"),
    "compose": _reader("compose"),
    "compose-raw": _reader("docker_run", "read_raw"),
    "docker-run": _reader("docker_run"),
    "node": _reader("node"),
    "bash": _reader("bash"),
    "systemd": _reader("systemd"),
}
