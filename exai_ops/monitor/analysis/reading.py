"""Recordings read into a cube: several, one after another, merged."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO

from exai_ops.errors import CouldNotLook
from exai_ops.monitor.analysis.cube import Cube
from exai_ops.monitor.analysis.lines import Line
from exai_ops.monitor.analysis.sources import Progress, Skipped, Test, batches


def count(cube: Cube, name: str, lines: Iterable[list[Line]], skipped: Skipped, source: int) -> None:
    """Count the batches of one source."""
    for batch in lines:
        for _ in range(cube.add(batch, source)):
            skipped.line(
                name, None, "a number is out of range, or the timestamp is not in seconds since the epoch"
            )


def read(
    paths: Sequence[str],
    stdin: IO[bytes],
    wanted: Test | None = None,
    progress: Progress | None = None,
) -> tuple[Cube, Skipped]:
    """All events of files, ``-`` for ``stdin``. Raises CouldNotLook for one that cannot be opened."""
    was = gc.isenabled()
    gc.disable()  # millions of objects are made, and none of them is in a circle
    try:
        return _read(paths, stdin, wanted, progress or Progress())
    finally:
        if was:
            gc.enable()


def _read(
    paths: Sequence[str], stdin: IO[bytes], wanted: Test | None, progress: Progress
) -> tuple[Cube, Skipped]:
    cube, skipped = Cube(), Skipped()
    for source, name in enumerate(paths):
        path = None if name == "-" else Path(name)
        try:
            lines = batches(path, stdin, skipped, wanted, progress)
            count(cube, name, lines, skipped, source)
        except OSError as error:
            raise CouldNotLook(f"{name}: cannot be read: {(error.strerror or str(error)).lower()}") from error
    return cube, skipped
