"""Findings that somebody has decided not to see, each with a reason.

In a file, ``# exai:ignore[ENV104] reason`` at the end of the line or as a comment above it, and
``# exai:ignore-file[ENV102] reason`` for the whole file; in ``pyproject.toml`` the entries of
``[tool.exai] ignore``. One without a reason hides nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Final, NamedTuple, TypeAlias

from exai_ops.env.config import FILE, Ignore
from exai_ops.env.model import Document
from exai_ops.findings import Finding, Location, Status

UNUSED: Final = "ENV090"
NO_REASON: Final = "ENV091"
_FEW_LINES: Final = 50
MARK: Final = "exai:ignore"
# Compiled when first tried.
_PATTERN: Final = r"(?:^|\s)#\s*exai:ignore(-file)?(?:\[([^\]]*)\][ \t]*(.*)|(?=[\s:(]|$)(.*))"
_CODE: Final = r"\b[A-Z]{3}[0-9]{3}\b"
_PAIRED: Final = frozenset({"ENV005"})  # found at the example's line, and just as true of the live file's


class Suppression(NamedTuple):
    """One decision for one code.

    Attributes:
        where: Where it is written.
        first, last: The lines of ``where.file`` that it covers; None for every line of the files that fit.
        written: How it is written, or empty for an entry of ``pyproject.toml``.
        also: Lines of the other file that say the same.
    """

    code: str
    reason: str
    where: Location
    file: str
    key: str = "*"
    first: int | None = None
    last: int | None = None
    written: str = ""
    also: frozenset[tuple[str, int]] = frozenset()

    def covers(self, finding: Finding) -> bool:
        """Whether a finding is meant."""
        where = finding.where
        if finding.code != self.code:
            return False
        if self.also and (where.file, where.line) in self.also:
            return True
        if not fnmatchcase(where.file or "", self.file):
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
            if s.also or s.first is None or s.last is None or s.last - s.first > _FEW_LINES:
                self._others.setdefault(s.code, []).append(s)
                continue
            for line in range(s.first, s.last + 1):
                self._by_line.setdefault((s.code, line), []).append(s)

    def covering(self, finding: Finding) -> list[Suppression]:
        """Those by which a finding is meant."""
        at_line = self._by_line.get((finding.code, finding.where.line or 0), ())
        return [s for s in (*at_line, *self._others.get(finding.code, ())) if s.covers(finding)]


def in_text(path: str, text: str, *, nested: bool = False) -> list[Suppression]:
    """The suppressions that a file's text holds, with and without a reason, or codes.

    Where lines are ``nested`` as in YAML, what is said of a line holds for those that are indented below it.
    """
    if MARK not in text:
        return []
    lines = text.splitlines()
    blocks = _block_ends(lines) if nested else range(1, len(lines) + 1)
    ends = _covered(lines)
    found = []
    for number, line in enumerate(lines, 1):
        match = re.search(_PATTERN, line) if MARK in line else None
        if match is not None:
            last = blocks[ends[number - 1] - 1]
            found += [_suppression(path, match, code, number, last) for code in _codes(match[2] or "")]
    return found


def in_config(entries: Iterable[Ignore]) -> list[Suppression]:
    """The suppressions of ``pyproject.toml``."""
    return [
        Suppression(code=e.code, reason=e.reason, where=Location(FILE, e.line), file=e.file, key=e.key)
        for e in entries
    ]


def both_sides(
    suppressions: Iterable[Suppression], example: Document | None, live: Document | None
) -> list[Suppression]:
    """The suppressions, those of a difference that stand in the live file good for the example's line too."""
    given = list(suppressions)
    if example is None or live is None or not any(s.code in _PAIRED for s in given):
        return given
    pairs = {
        live.index[key][-1].line: (key, all_of[-1].line)
        for key, all_of in example.index.items()
        if key in live.index
    }
    return [s._replace(also=_also(s, example.path, live.path, pairs)) for s in given]


def _also(
    s: Suppression, example: str, live: str, pairs: Mapping[int, tuple[str, int]]
) -> frozenset[tuple[str, int]]:
    if s.code not in _PAIRED or not fnmatchcase(live, s.file):
        return frozenset()
    if s.first is not None and s.last is not None:
        return frozenset((example, pairs[line][1]) for line in (s.first, s.last) if line in pairs)
    return frozenset((example, line) for key, line in pairs.values() if fnmatchcase(key, s.key))


Decided: TypeAlias = Callable[[str, str, int, str | None], bool]  # by code, file, line and key


def decided(
    documents: Sequence[Document],
    entries: Iterable[Ignore],
    *,
    pair: tuple[Document, Document] | None = None,
) -> Decided:
    """Tells whether somebody has decided not to see what a rule finds at a line of some documents.

    ``pair`` are the example and the live file, where the two are compared.
    """
    given = [s for document in documents for s in in_text(document.path, document.text)]
    reasons = [s for s in (*given, *in_config(entries)) if s.reason]
    reasons = both_sides(reasons, *pair) if pair is not None else reasons

    decisions = Decisions(reasons)

    def tell(code: str, file: str, line: int, key: str | None) -> bool:
        return bool(decisions.covering(Finding(code, Status.WARNING, "", where=Location(file, line, key))))

    return tell


def apply(
    findings: Iterable[Finding],
    suppressions: Sequence[Suppression],
    *,
    judged: Callable[[str], bool],
    codes: Collection[str] = (),
) -> list[Finding]:
    """The findings that stay, and what is wrong with the suppressions themselves.

    ``judged`` tells whether the rule of a code ran and could look: only then is a suppression unused.
    ``codes`` are those that there are, where they are known.
    """
    decisions = Decisions(suppressions)
    used: set[int] = set()
    left = [finding for finding in findings if not _hidden(finding, decisions, used)]
    return [*left, *_complaints(suppressions, used, judged, codes)]


def _hidden(finding: Finding, decisions: Decisions, used: set[int]) -> bool:
    if finding.status in (Status.SKIP, Status.UNKNOWN):
        return False
    covering = decisions.covering(finding)
    used.update(id(s) for s in covering)
    return bool(covering)


def _complaints(
    suppressions: Sequence[Suppression],
    used: set[int],
    judged: Callable[[str], bool],
    codes: Collection[str],
) -> Iterable[Finding]:
    for s in suppressions:
        if not s.code:
            message = f"{s.written} names no rule, so it hides nothing"
            meant = re.search(_CODE, s.reason)
            code = f"[{meant[0]}] and why" if meant else "[CODE] and why, with the code of the finding"
            hint = f"write # {MARK}{code}"
            yield Finding(UNUSED, Status.WARNING, message, hint, s.where)
        elif not s.reason:
            message = f"the suppression of {s.code} has no reason, so it hides nothing"
            hint = f"write # {s.written} and why"
            yield Finding(NO_REASON, Status.WARNING, message, hint, s.where)
        elif codes and s.code not in codes:
            message = f"there is no rule {s.code}, so its suppression hides nothing"
            yield Finding(UNUSED, Status.WARNING, message, _out(s), s.where)
        elif id(s) not in used and judged(s.code):
            message = f"the suppression of {s.code} hides nothing"
            yield Finding(UNUSED, Status.WARNING, message, _out(s), s.where)


def _out(s: Suppression) -> str:
    """How to take out one suppression, and no other that shares its reason."""
    if not s.written:
        return f"take out the entry for {s.code} in [tool.exai] ignore"
    if "," in s.written:
        return f"take {s.code} out of {s.written}; the reason stays for the others"
    return f"take out {s.written} and its reason"


def _codes(listed: str) -> list[str]:
    return [code.strip() for code in listed.split(",")]


def _suppression(path: str, match: re.Match[str], code: str, line: int, last: int) -> Suppression:
    whole = match[1] is not None
    return Suppression(
        code=code,
        reason=(match[3] or match[4] or "").strip(),
        where=Location(path, line),
        file=_literally(path),
        first=None if whole else line,
        last=None if whole else last,
        written=f"{MARK}{match[1] or ''}" + ("" if match[2] is None else f"[{match[2]}]"),
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


def _block_ends(lines: Sequence[str]) -> list[int]:
    """For each line of a YAML file the last line, from 1, of what is indented below it, else its own.

    The items of a list belong to the key above them, though they may stand at its indent.
    """
    ends = list(range(1, len(lines) + 1))
    open_: list[tuple[int, int]] = []  # depth and index of the lines whose blocks may go on
    last = 0
    for index, line in enumerate(lines):
        text = line.lstrip()
        if not text or text.startswith("#"):
            continue
        depth = 2 * (len(line) - len(text)) + text.startswith("- ")
        while open_ and open_[-1][0] >= depth:
            ends[open_.pop()[1]] = last
        open_.append((depth, index))
        last = index + 1
    for _, index in open_:
        ends[index] = last
    return ends
