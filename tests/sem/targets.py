"""Real processes to read, of every CPython from 3.10 that this machine has, with known objects."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from exai_ops.sem.frames import Frames
from exai_ops.sem.memory import Memory
from exai_ops.sem.objects import Objects
from exai_ops.sem.process import Process
from exai_ops.sem.twin import layout_of

_ASK: Final = (
    "import sys; print(sys.version_info[:2] >= (3, 10), sys.implementation.name, sys.abiflags, sys.prefix)"
)
_FIRST: Final = """

async def wait():
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def tell(**known):
    print(json.dumps(known), flush=True)
"""


def _candidates() -> Iterator[str]:
    yield os.path.realpath(sys.executable)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    yield from sorted(str(path) for path in pyenv.glob("3.*/bin/python"))
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        for minor in range(10, 15):
            found = shutil.which(f"python3.{minor}", path=folder)
            if found:
                yield found


def _runs(python: str) -> bool:
    done = subprocess.run([python, "-c", _ASK], capture_output=True, text=True, check=False, timeout=20)
    words = done.stdout.split()
    return done.returncode == 0 and words[:2] == ["True", "cpython"] and "t" not in words[2:-1]


def interpreters() -> list[str]:
    """Paths, each build once; wrappers that start another program are left out."""
    found: dict[str, str] = {}
    for python in _candidates():
        real = os.path.realpath(python)
        with open(real, "rb") as file:  # noqa: PTH123
            is_program = file.read(4) == b"\x7fELF"
        if is_program and real not in found and _runs(python):
            found[real] = python
    return list(found)


PYTHONS: Final = interpreters()


@dataclass(frozen=True)
class Target:
    """A process with what it said of itself, and the means to read it."""

    pid: int
    known: dict[str, Any]
    process: Process
    memory: Memory
    objects: Objects
    frames: Frames
    child: subprocess.Popen[str]


@contextmanager
def running(
    python: str, source: str, *, within: tuple[str, ...] = (), **options: Any
) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """A child that runs ``source``, and what it said first by ``tell``; it ends with the block.

    Args:
        within: A command that the interpreter is started by.
    """
    code = "import asyncio, json, sys" + _FIRST + source
    child = subprocess.Popen(
        [*within, python, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options
    )
    try:
        assert child.stdout is not None
        line = child.stdout.readline()
        assert line, f"{python} said nothing"
        yield child, json.loads(line)
    finally:
        child.kill()
        child.communicate()


@contextmanager
def target(python: str, source: str) -> Iterator[Target]:
    """The same, opened for reading."""
    with running(python, source) as (child, known):
        process = Process.open(child.pid)
        layout = layout_of(process)
        with Memory(child.pid) as memory:
            objects = Objects(memory, layout)
            yield Target(child.pid, known, process, memory, objects, Frames(objects), child)
