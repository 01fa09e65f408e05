"""Findings that somebody has decided not to see, each with a reason.

In a file, ``# exai:ignore[ENV104] reason`` at the end of the line or as a comment above it, and
``# exai:ignore-file[ENV102] reason`` for the whole file; in ``pyproject.toml`` the entries of
``[tool.exai] ignore``. One without a reason hides nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

from exai_ops.env.config import FILE, Ignore
from exai_ops.findings import Finding, Location, Status

UNUSED: Final = "ENV090"
NO_REASON: Final = "ENV091"
_FEW_LINES: Final = 50
MARK: Final = "exai:ignore"
_PATTERN: Final = r"(?:^|\s)#\s*exai:ignore(-file)?\[([^\]]*)\][ \t]*(.*)"  # compiled when first tried


class Suppression(NamedTuple):
    """One decision for one code.

    Attributes:
        where: Where it is written.
        first, last: The lines of ``where.file`` that it covers; None for every line of the files that fit.
    """

    code: str
    reason: str
    where: Location
    file: str
    key: str = "*"
    first: int | None = None
    last: int | None = None

    def covers(self, finding: Finding) -> bool:
        """Whether a finding is meant."""
        where = finding.where
        if finding.code != self.code or not fnmatchcase(where.file or "", self.file):
            return False
        if self.first is not None and self.last is not None:
            return where.line is not None and self.first <= where.line <= self.last
        return fnmatchcase(where.name or "", self.key)


class Decisions:
    """Suppressions with a reason, by code and line: to ask about a finding takes no time to speak of."""

    def __init__(self, suppressions: Iterable[Suppression]) -> None:
        self._by_line: dict[tuple[str, int], list[Suppression]] = {}
        self._others: dict[str, list[Suppression]] = {}
        for s in suppressions:
            if not s.reason:
                continue
            if s.first is None or s.last is None or s.last - s.first > _FEW_LINES:
                self._others.setdefault(s.code, []).append(s)
                continue
            for line in range(s.first, s.last + 1):
                self._by_line.setdefault((s.code, line), []).append(s)

    def covering(self, finding: Finding) -> list[Suppression]:
        """Those by which a finding is meant."""
        at_line = self._by_line.get((finding.code, finding.where.line or 0), ())
        return [s for s in (*at_line, *self._others.get(finding.code, ())) if s.covers(finding)]


def in_text(path: str, text: str) -> list[Suppression]:
    """The suppressions that a file's text holds, with and without a reason."""
    if MARK not in text:
        return []
    lines = text.splitlines()
    ends = _covered(lines)
    found = []
    for number, line in enumerate(lines, 1):
        match = re.search(_PATTERN, line)
        if match is not None:
            last = ends[number - 1]
            found += [_suppression(path, match, code, number, last) for code in _codes(match[2])]
    return found


def in_config(entries: Iterable[Ignore]) -> list[Suppression]:
    """The suppressions of ``pyproject.toml``."""
    return [
        Suppression(code=e.code, reason=e.reason, where=Location(FILE, e.line), file=e.file, key=e.key)
        for e in entries
    ]


def apply(
    findings: Iterable[Finding], suppressions: Sequence[Suppression], *, judged: Callable[[str], bool]
) -> list[Finding]:
    """The findings that stay, and what is wrong with the suppressions themselves.

    ``judged`` tells whether the rule of a code ran and could look: only then is a suppression unused.
    """
    decisions = Decisions(suppressions)
    used: set[int] = set()
    left = [finding for finding in findings if not _hidden(finding, decisions, used)]
    return [*left, *_complaints(suppressions, used, judged)]


def _hidden(finding: Finding, decisions: Decisions, used: set[int]) -> bool:
    if finding.status in (Status.SKIP, Status.UNKNOWN):
        return False
    covering = decisions.covering(finding)
    used.update(id(s) for s in covering)
    return bool(covering)


def _complaints(
    suppressions: Sequence[Suppression], used: set[int], judged: Callable[[str], bool]
) -> Iterable[Finding]:
    for s in suppressions:
        if not s.reason:
            message = f"the suppression of {s.code or 'nothing'} has no reason, so it hides nothing"
            hint = f"write # {MARK}[{s.code or 'CODE'}] and why"
            yield Finding(NO_REASON, Status.WARNING, message, hint, s.where)
        elif id(s) not in used and judged(s.code):
            message = f"the suppression of {s.code} hides nothing"
            hint = f"take out {MARK}[{s.code}] and its reason"
            yield Finding(UNUSED, Status.WARNING, message, hint, s.where)


def _codes(listed: str) -> list[str]:
    return [code.strip() for code in listed.split(",")]


def _suppression(path: str, match: re.Match[str], code: str, line: int, last: int) -> Suppression:
    whole = match[1] is not None
    return Suppression(
        code=code,
        reason=match[3].strip(),
        where=Location(path, line),
        file=_literally(path),
        first=None if whole else line,
        last=None if whole else last,
    )


def _literally(path: str) -> str:
    """A pattern that fits this path alone."""
    return re.sub(r"[*?[]", r"[\g<0>]", path)


def _covered(lines: Sequence[str]) -> list[int]:
    """The last line that is meant at each: its own, or the first below the comment that it stands in."""
    ends: list[int] = []
    for number in range(len(lines), 0, -1):
        goes_on = bool(ends) and lines[number - 1].lstrip().startswith("#")
        ends.append(ends[-1] if goes_on else number)
    return ends[::-1]
