"""What a check says: one type for every command that judges, and the exit code that follows."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from exai_ops.errors import UsageError


class Status(StrEnum):
    """How bad it is. What could not be looked at is ``skip`` or ``unknown``, never ``ok``."""

    OK = "ok"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    SKIP = "skip"
    UNKNOWN = "unknown"


_RANK = {Status.INFO: 1, Status.WARNING: 2, Status.ERROR: 3}


class Location(NamedTuple):
    """Where it is: a file, a line of it from 1 (None for the whole file), a name within.

    As text it is ``file:line``; what has no file says its name in its message.
    """

    file: str | None = None
    line: int | None = None
    name: str | None = None

    def __str__(self) -> str:
        if self.file is None:
            return ""
        return self.file if self.line is None else f"{self.file}:{self.line}"


class Finding(NamedTuple):
    """One result of one check.

    Attributes:
        code: Stable, three letters and three digits: ``SET001``.
        message: One line, never with a secret's value.
        hint: What to do, or empty.
    """

    code: str
    status: Status
    message: str
    hint: str = ""
    where: Location = Location()


def parse_fail_on(text: str) -> Status:
    """The least status that makes a command fail. Raises UsageError."""
    try:
        status = Status(text)
    except ValueError:
        status = Status.OK
    if status not in _RANK:
        raise UsageError(f"--fail-on: {text!r} is not known", hint="one of info, warning, error")
    return status


def exit_code(findings: Iterable[Finding], *, fail_on: Status = Status.ERROR) -> int:
    """0 nothing at or above ``fail_on``; 1 findings; 3 none, and something could not be looked at."""
    statuses = {finding.status for finding in findings}
    if any(_RANK.get(status, 0) >= _RANK[fail_on] for status in statuses):
        return 1
    return 3 if Status.UNKNOWN in statuses else 0
