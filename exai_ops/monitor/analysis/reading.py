"""Recordings counted by Python alone: files, stdin, or events that come from a running daemon."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple, TypeAlias

from exai_ops.monitor import kept
from exai_ops.monitor.analysis.cube import Cube
from exai_ops.monitor.analysis.decoding import Batch, Decoding, Source, Wanted
from exai_ops.monitor.analysis.sources import (
    batches,
    database_batches,
    is_database,
    open_source,
    size_of,
)
from exai_ops.monitor.analysis.traffic import Traffic

STDIN: Path = Path("-")
Progress: TypeAlias = Callable[[int, int], None]
"""Told how many bytes have been read, and of how many."""
_Found: TypeAlias = Iterator[tuple[Decoding, Batch]]
_LIVE: int = 2000


class Read(NamedTuple):
    """What was read: the events counted, and what became of each source."""

    traffic: Traffic
    sources: list[Source]


def expanded(paths: Sequence[Path]) -> list[Path]:
    """The files: of a folder of kept events each of its files. Raises CouldNotLook for another folder."""
    found: list[Path] = []
    for path in paths:
        inside = kept.files(path) if path != STDIN and path.is_dir() else []
        found += inside or [path]
    return found


def read(paths: Sequence[Path], stdin: IO[bytes], wanted: Wanted, progress: Progress | None = None) -> Read:
    """Count the files' events, one file after another. Raises CouldNotLook for one that cannot be opened."""
    cube, sources = Cube(), []
    whole, before = sum(size_of(path) for path in paths), 0
    with _uncollected():
        for number, path in enumerate(paths):
            source = Source(name="stdin" if path == STDIN else str(path))
            sources.append(source)
            told = None if progress is None else _Told(progress, before, whole)
            with _opened(path, stdin, source, wanted, told) as found:
                _count(found, cube, source, number)
            before += size_of(path)
        cube.settle()
    return Read(Traffic(cube), sources)


class _Told:
    """Progress within one file as progress in all."""

    def __init__(self, progress: Progress, before: int, whole: int) -> None:
        self._progress, self._before, self._whole = progress, before, whole

    def __call__(self, position: int) -> None:
        self._progress(self._before + position, self._whole)


@contextmanager
def _opened(
    path: Path, stdin: IO[bytes], source: Source, wanted: Wanted, progress: _Told | None
) -> Iterator[_Found]:
    if path == STDIN:
        yield batches(stdin, source, wanted, progress)
    elif is_database(path):
        yield database_batches(path, source, wanted)
    else:
        with open_source(path) as raw:
            yield batches(raw, source, wanted, progress)


def _count(found: _Found, cube: Cube, source: Source, number: int) -> None:
    for decoding, batch in found:
        refused = cube.add(batch.lines, number)
        source.events += len(batch.lines) - len(refused)
        if refused:
            decoding.refused(batch, refused)


def read_live(values: Iterable[object], name: str, wanted: Wanted) -> Read:
    """Count events as the daemon's stream exports them; its marks of missing ones may be among them."""
    cube, source = Cube(), Source(name=name, form="daemon")
    decoding = Decoding(source, wanted)
    with _uncollected():
        _count(((decoding, batch) for batch in _live(values, decoding)), cube, source, 0)
        cube.settle()
    return Read(Traffic(cube), [source])


def _live(values: Iterable[object], decoding: Decoding) -> Iterator[Batch]:
    some: list[object] = []
    for value in values:
        some.append(value)
        if len(some) >= _LIVE:
            yield decoding.values(some, "event")
            some = []
    yield decoding.values(some, "event")


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without looking for cyclic garbage: batches of plain values make none, and the search takes a tenth."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
