"""Which files git tracks, asked in the background: its answer takes as long as a whole check."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    import subprocess

Tracked: TypeAlias = frozenset[str] | None
"""Paths below a folder, relative to it; None when git cannot say."""

_ANSWER_S: Final = 20.0


def unasked() -> Tracked:
    """The answer where nobody has asked."""
    return None


@contextmanager
def asking(folder: Path) -> Iterator[Callable[[], Tracked]]:
    """Ask git about a folder; what is given waits for the answer when it is called, at most 20 s."""
    process = _started(folder)
    if process is None:
        yield unasked
        return
    try:
        yield lambda: _answer(process)
    finally:
        process.kill()
        process.communicate()


def _started(folder: Path) -> subprocess.Popen[bytes] | None:
    """git at work, or None where there is no repository or no git."""
    if not _in_repository(folder):
        return None
    import subprocess

    from exai_ops.env.git import QUIET, environ

    command = ["git", "-C", str(folder), *QUIET, "ls-files", "-z"]  # as seen from the folder, not above it
    try:
        return subprocess.Popen(  # noqa: S603
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environ()
        )
    except OSError:
        return None


def _in_repository(folder: Path) -> bool:
    try:
        here = folder.absolute()
        return any((parent / ".git").exists() for parent in (here, *here.parents))
    except OSError:  # the folder is gone, or may not be looked into
        return False


def _answer(process: subprocess.Popen[bytes]) -> Tracked:
    import subprocess

    try:
        names, _ = process.communicate(timeout=_ANSWER_S)
    except subprocess.TimeoutExpired:
        return None
    return None if process.returncode else frozenset(os.fsdecode(name) for name in names.split(b"\0") if name)
