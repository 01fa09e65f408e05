"""Which engine reads: Python, or DuckDB where it is installed and worth its start."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from exai_ops.errors import UsageError
from exai_ops.monitor.analysis.opening import BOM
from exai_ops.monitor.analysis.sources import open_source, size_of
from exai_ops.monitor.wire import Filter

ENGINES: Final = ("auto", "python", "duckdb")
WORTH_BYTES: Final = 400_000_000
"""Below, Python has read it before DuckDB's threads pay."""


def chosen(engine: str, files: Sequence[Path], wanted: Filter, *, timed: bool) -> str:
    """``python`` or ``duckdb``; ``timed`` says that only a stretch of time is wanted.

    Raises UsageError where DuckDB is asked for and cannot do it.
    """
    if engine not in ENGINES:
        raise UsageError(f"--engine: {engine!r} is not known", hint=f"one of {', '.join(ENGINES)}")
    if engine == "python":
        return engine
    why_not = _why_not(files, wanted, timed=timed)
    if engine == "auto":
        large = sum(map(size_of, files)) >= WORTH_BYTES
        return "duckdb" if large and why_not is None else "python"
    if why_not is not None:
        raise UsageError(f"--engine: duckdb {why_not[0]}", hint=why_not[1])
    return engine


def _why_not(files: Sequence[Path], wanted: Filter, *, timed: bool) -> tuple[str, str] | None:
    if find_spec("duckdb") is None:
        return "is not installed", "pip install 'exai-ops[duckdb]', or leave --engine out"
    if wanted != Filter() or timed:
        return "reads whole files: it does not filter", "leave --engine out, and Python does it"
    if not all(_is_ndjson(path) for path in files):
        return "reads files of NDJSON alone, not compressed", "leave --engine out, and Python reads them"
    return None


def _is_ndjson(path: Path) -> bool:
    from exai_ops.monitor.analysis.documents import DOCUMENT

    if not path.is_file():
        return False
    with open_source(path) as stream:
        first = stream.read(4096)
    return first.removeprefix(BOM).lstrip().startswith(b"{") and DOCUMENT.match(first) is None
