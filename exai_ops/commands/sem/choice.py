"""Which findings of ``exai sem check`` are shown: by code, and by what was known before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from exai_ops.env import baseline
from exai_ops.env.baseline import Print
from exai_ops.env.runner import select
from exai_ops.errors import UsageError
from exai_ops.findings import Finding, Status
from exai_ops.sem.rules import RULES, Rule, findings

if TYPE_CHECKING:
    from exai_ops.sem.model import Judgement, Scan

    Looked: TypeAlias = tuple[Scan, list[Judgement]]

_STALE: Final = "SEM009"
_UNREAD: Final = "SEM008"
_NOT_LOOKED: Final = (Status.SKIP, Status.UNKNOWN)


class Choice(NamedTuple):
    """What is asked for.

    Attributes:
        rules: Those whose findings are shown.
        codes: Theirs, and that of a process that could not be read, unless it is skipped by name.
        base: The baseline's file, or None without one.
        known: What it holds; None without one and when it is to be written.
    """

    rules: tuple[Rule, ...]
    codes: frozenset[str]
    base: Path | None
    known: Counter[Print] | None

    @property
    def writes(self) -> bool:
        """Whether the baseline is to be written."""
        return self.base is not None and self.known is None


def choose(only: Sequence[str], skip: Sequence[str], base: str | None, *, write: bool) -> Choice:
    """The choice that the options make. Raises UsageError, and CouldNotLook for a baseline that is none."""
    if write and base is None:
        raise UsageError("--write-baseline needs --baseline FILE", hint="name the file to write")
    without = split(skip)
    rules = select(RULES, only=split(only), skip=without)
    codes = {rule.code for rule in rules}
    if only and not any(_UNREAD.startswith(text.upper()) for text in without):
        codes.add(_UNREAD)
    path = None if base is None else Path(base)
    known = None if path is None or write else baseline.read(path)
    return Choice(rules, frozenset(codes), path, known)


def shown(
    choice: Choice, looked: Sequence[Looked], extra: Sequence[Finding], command: str
) -> tuple[list[Looked], list[Finding], list[Finding]]:
    """(scans with the semaphores that are shown, their findings, the other findings)."""
    said = [list(findings(scan, judgements)) for scan, judgements in looked]
    every = [one for some in said for one in some] + list(extra)
    left = [one for one in every if one.code in choice.codes]
    if choice.known is not None:
        left = _new(choice, every, left, command)
    ids = {id(one) for one in left}
    scans = [_only(one, found, ids) for one, found in zip(looked, said, strict=True)]
    of_semaphores = {id(one) for some in said for one in some}
    return (
        scans,
        [one for one in left if id(one) in of_semaphores],
        [one for one in left if id(one) not in of_semaphores],
    )


def split(texts: Sequence[str]) -> list[str]:
    """Codes, each option one or several with commas between."""
    return [part.strip() for text in texts for part in text.split(",") if part.strip()]


def _new(choice: Choice, every: list[Finding], left: list[Finding], command: str) -> list[Finding]:
    """Those that the baseline does not hold; nothing is gone that was not looked at."""
    dark = {(one.where.file or "", one.where.name or "") for one in every if one.status in _NOT_LOOKED}
    blind = any(one.code == _UNREAD for one in every)
    known = Counter({entry: n for entry, n in (choice.known or {}).items() if entry[1:] not in dark})
    found = baseline.apply(
        left,
        known,
        str(choice.base),
        judged=lambda code: not blind and code in choice.codes,
        stale=_STALE,
        command=command,
    )
    return [one for one in found if one.code in choice.codes]


def _only(looked: Looked, found: Sequence[Finding], ids: set[int]) -> Looked:
    """A scan with those semaphores whose findings are shown, and a note when these are not all."""
    scan, judgements = looked
    kept = [
        (one, judgement)
        for one, judgement, finding in zip(scan.semaphores, judgements, found, strict=True)
        if id(finding) in ids
    ]
    left_out = len(found) - len(kept)
    if not left_out:
        return looked
    note = f"{left_out} of {len(found)} semaphores left out by --only, --skip or --baseline"
    semaphores = tuple(one for one, _ in kept)
    return replace(scan, semaphores=semaphores, notes=(*scan.notes, note)), [said for _, said in kept]
