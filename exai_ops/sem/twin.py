"""The twin: the target's own interpreter, asked where the fields of its objects lie.

It runs apart from the target, with a clean environment, as the target's user when this process is root, and
never as root on behalf of another. What it says is kept by build, once a scan of the twin itself has agreed
with what the twin knows of its objects.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from exai_ops.errors import CouldNotLook
from exai_ops.sem.executable import NotSupported, beside, is_python, loader
from exai_ops.sem.layout import Layout, from_text, from_twin, to_text
from exai_ops.sem.maps import base_of
from exai_ops.sem.memory import Memory
from exai_ops.sem.process import Process
from exai_ops.settings.reading import shell

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
    known = _cached(file, process.build)
    if known is not None:
        try:
            _check_target(process, known)
        except TwinRefused:
            pass  # the twin, asked again, says so itself or says what is right
        else:
            return known
    with twin(process) as (pid, found):
        layout = from_twin(found["layout"])
        _check_target(process, layout)
        from exai_ops.sem.selfcheck import differences

        with Memory(pid) as memory:
            wrong = differences(memory, layout, found["truth"])
    if wrong:
        raise TwinRefused(f"this build of Python {layout.release} reads wrong: {'; '.join(wrong[:3])}")
    _keep(file, to_text(layout, process.build))
    return layout


def cache_folder() -> Path:
    """Where layouts are kept."""
    base = shell().get("XDG_CACHE_HOME", "")
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


def _check_target(process: Process, layout: Layout) -> None:
    """Raise TwinRefused when the first object of all, ``type``, is not where the layout has it."""
    with Memory(process.pid) as memory:
        kind = (base_of(memory.maps(), layout.image) or 0) + layout.static_types["type"]
        name = memory.text(memory.u64(kind + layout["tp_name"]))
        good = memory.u64(kind + 8) == kind and name == "type"
    if not good:
        process.check()
        raise TwinRefused(f"process {process.pid} does not run the build of Python that {process.path} is")


def _start(process: Process) -> subprocess.Popen[bytes]:
    options: dict[str, Any] = {}
    if os.geteuid() == 0 and process.uid != 0:
        options = {"user": process.uid, "group": process.gid, "extra_groups": []}
    words = command(process)
    program = words[0]
    if program == f"/proc/{process.pid}/exe":
        words[0] = process.path  # replaced on disk: the running one is still there, under another name
    try:
        return subprocess.Popen(  # noqa: S603 - the target's own executable
            [*words, "-I", "-S", "-E", "-c", SCRIPT.read_text(encoding="utf-8")],
            executable=program,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            env={"LC_ALL": "C.UTF-8"},
            start_new_session=True,
            **options,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise TwinRefused(f"{process.path} of process {process.pid} cannot be run: {error}") from None


def command(process: Process) -> list[str]:
    """The command that runs the target's interpreter, with no arguments yet; raises TwinRefused.

    Python finds its library by its first argument. Of a contained process the program, its loader and its
    libraries are reached through ``/proc/PID/root``.
    """
    if not is_python(process.path):
        path = beside(process.image, process.version)
        if not path:
            raise TwinRefused(
                f"process {process.pid} has a Python inside {process.path}, and no interpreter beside it",
                hint=f"install python{process.version[0]}.{process.version[1]} of the same build",
            )
        return [path]
    first = loader(process.exe) if process.contained else ""
    if not first:
        return [process.exe]
    root = f"/proc/{process.pid}/root"
    folders = ":".join(root + folder for folder in process.libraries)
    return [root + first, "--library-path", folders, process.exe]


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
        missing, refused = found.get("missing"), found.get("refused")
    except (ValueError, AttributeError):
        child.kill()
        said = child.communicate()[1].decode("utf-8", "replace").strip().splitlines()
        raise TwinRefused(
            f"a twin of process {process.pid} says nothing: {said[-1] if said else 'it ended'}"
        ) from None
    if refused:
        raise NotSupported(f"process {process.pid} runs {refused}, which cannot be read")
    if missing:
        raise TwinRefused(
            f"in a twin of process {process.pid}, {missing} was not found: an unknown build of Python"
        )
    return dict(found)


def _cached(file: Path, build: str) -> Layout | None:
    """What was kept; nothing of what is no file, for a pipe has no end and a device none that is near."""
    try:
        number = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        is_file = stat.S_ISREG(os.fstat(number).st_mode)
        return from_text(os.read(number, _MAX_ANSWER).decode("utf-8"), build) if is_file else None
    except (OSError, ValueError):
        return None
    finally:
        os.close(number)


def _keep(file: Path, text: str) -> None:
    """Write whole or not at all; a cache that cannot be written is done without."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False, encoding="utf-8") as new:
            written = Path(new.name)
            new.write(text)
    except OSError:
        return
    try:
        written.replace(file)
    except OSError:
        written.unlink(missing_ok=True)
