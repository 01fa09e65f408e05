"""The twin: the target's own interpreter, asked where the fields of its objects lie.

It runs apart from the target, with a clean environment, as the target's user when this process is root, and
never as root on behalf of another. What it says is kept by build, once a scan of the twin itself has agreed
with what the twin knows of its objects.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from exai_ops.errors import CouldNotLook
from exai_ops.sem.layout import Layout, from_json, from_twin, to_json
from exai_ops.sem.memory import Memory
from exai_ops.sem.process import Process

SCRIPT: Final = Path(__file__).with_name("twin_script.py")
_DEADLINE_S: Final = 20.0
_MAX_ANSWER: Final = 1 << 22


class TwinRefused(CouldNotLook):
    """The twin could not be run, or does not agree with what a scan of it says."""


def layout_of(process: Process, *, cache: Path | None = None) -> Layout:
    """Where the fields lie in this process's build; raises TwinRefused.

    Args:
        cache: Folder of earlier answers; the user's cache folder by default.
    """
    folder = cache or cache_folder()
    file = folder / f"{process.build}.json"
    known = _cached(file)
    if known is not None:
        return known
    with twin(process) as (pid, found):
        layout = from_twin(found["layout"])
        from exai_ops.sem.selfcheck import differences

        with Memory(pid) as memory:
            wrong = differences(memory, layout, found["truth"])
    if wrong:
        raise TwinRefused(f"this build of Python {layout.release} reads wrong: {'; '.join(wrong[:3])}")
    _keep(file, to_json(layout))
    return layout


def cache_folder() -> Path:
    """Where layouts are kept."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "exai" / "layouts"


@contextmanager
def twin(process: Process) -> Iterator[tuple[int, dict[str, Any]]]:
    """(pid, what it says) of a twin that lives for as long as the block."""
    child = _start(process)
    try:
        yield child.pid, _answer(child, process)
    finally:
        child.kill()
        child.communicate()


def _start(process: Process) -> subprocess.Popen[bytes]:
    options: dict[str, Any] = {}
    if os.geteuid() == 0 and process.uid != 0:
        options = {"user": process.uid, "group": process.gid, "extra_groups": []}
    try:
        return subprocess.Popen(  # noqa: S603 - the target's own executable
            [*_command(process), "-I", "-S", "-E", "-c", SCRIPT.read_text(encoding="utf-8")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            env={"LC_ALL": "C.UTF-8"},
            start_new_session=True,
            **options,
        )
    except OSError as error:
        raise TwinRefused(f"{process.exe} cannot be run: {error.strerror}") from None


def _command(process: Process) -> list[str]:
    return [process.exe]


def _answer(child: subprocess.Popen[bytes], process: Process) -> dict[str, Any]:
    import threading

    timer = threading.Timer(_DEADLINE_S, child.kill)
    timer.start()
    try:
        line = child.stdout.readline(_MAX_ANSWER) if child.stdout else b""
    finally:
        timer.cancel()
    try:
        found = json.loads(line)
        missing = found.get("missing")
    except (ValueError, AttributeError):
        child.kill()
        said = child.communicate()[1].decode("utf-8", "replace").strip().splitlines()
        raise TwinRefused(
            f"a twin of process {process.pid} says nothing: {said[-1] if said else 'it ended'}"
        ) from None
    if missing:
        raise TwinRefused(
            f"in a twin of process {process.pid}, {missing} was not found: an unknown build of Python"
        )
    return dict(found)


def _cached(file: Path) -> Layout | None:
    try:
        return from_json(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _keep(file: Path, text: str) -> None:
    """Write whole or not at all; a cache that cannot be written is done without."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False, encoding="utf-8") as new:
            new.write(text)
        Path(new.name).replace(file)
    except OSError:
        return
