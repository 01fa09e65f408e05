"""Which variables a code base reads, found in its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """One place that reads a variable: file as shown, line from 1, and how (``os.environ``, ``pydantic``).

    ``shell`` and ``Dockerfile`` are weaker than the others: a name there may be the script's own.
    """

    file: str
    line: int
    how: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeUse:
    """What ``--code DIR`` found.

    Attributes:
        reads: Name to the places that read it.
        dynamic: Places whose name could not be told, so that absence proves nothing.
        unreadable: Files that could not be parsed, with the reason.
        stopped: Why the scan ended before its end, or None.
    """

    root: str
    reads: Mapping[str, tuple[Read, ...]] = field(default_factory=dict)
    dynamic: tuple[Read, ...] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)
    stopped: str | None = None
