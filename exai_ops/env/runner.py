"""Rules over a context: which ones, in which order, and what is then left out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol, TypeVar

from exai_ops.env import baseline, suppression
from exai_ops.env.rules.table import Context, Rule
from exai_ops.env.suppression import Suppression
from exai_ops.errors import UsageError
from exai_ops.findings import Finding, Status

_LONG: Final = r"[A-Za-z0-9_+/=]{12,}"
_NOT_LOOKED: Final = (Status.SKIP, Status.UNKNOWN)


class Leave(NamedTuple):
    """What is not shown.

    Attributes:
        known: What the baseline holds, or None without one.
        baseline: The baseline's path.
        codes: Every code that there is: one that is not among them suppresses nothing, whatever ran.
    """

    suppressions: Sequence[Suppression] = ()
    known: Counter[baseline.Print] | None = None
    baseline: str = ""
    codes: frozenset[str] = frozenset()


class Coded(Protocol):
    """What has a code."""

    @property
    def code(self) -> str:
        """Three letters and three digits."""


_Rule = TypeVar("_Rule", bound=Coded)


def select(
    rules: Sequence[_Rule], *, only: Sequence[str] = (), skip: Sequence[str] = ()
) -> tuple[_Rule, ...]:
    """The rules that are asked for, by codes or how they begin. Raises UsageError where none does."""
    for option, texts in (("--only", only), ("--skip", skip)):
        for text in texts:
            if not any(_fits(rule, (text,)) for rule in rules):
                raise UsageError(f"{option}: no rule has the code {text}", hint=nearest(rules, text))
    return tuple(rule for rule in rules if (not only or _fits(rule, only)) and not _fits(rule, skip))


def rule_of(rules: Sequence[_Rule], code: str) -> _Rule:
    """The rule of a code. Raises UsageError with the nearest."""
    for rule in rules:
        if rule.code == code.strip().upper():
            return rule
    raise UsageError(f"no rule has the code {code}", hint=nearest(rules, code))


def nearest(rules: Sequence[Coded], text: str) -> str:
    """A hint that names the code most like a text."""
    import difflib

    codes = [rule.code for rule in rules]
    near = difflib.get_close_matches(text.strip().upper(), codes, n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else "--list-rules shows every code"


def run(rules: Sequence[Rule], context: Context, leave: Leave | None = None) -> list[Finding]:
    """What the rules find, less what is to be left out, by file and line; what was skipped comes last.

    An exception of a rule is a bug and goes up.
    """
    leave = leave or Leave()
    found = _without_pieces([finding for rule in rules for finding in rule.function(context)], context)
    skipped = {finding.code for finding in found if finding.status in _NOT_LOOKED}
    selected = {rule.code for rule in rules if not rule.elsewhere}

    def judged(code: str) -> bool:
        return code in selected - skipped or code not in leave.codes

    found = suppression.apply(found, leave.suppressions, judged=judged, codes=leave.codes)
    if leave.known is not None:
        found = baseline.apply(found, leave.known, leave.baseline, judged=judged)
    found = [finding for finding in found if finding.code in selected]
    return [as_printed(finding) for finding in in_order(found, context)]


def in_order(found: Iterable[Finding], context: Context) -> list[Finding]:
    """By file (the documents first, as they stand in the context), line and code."""
    places = {document.path: index for index, document in enumerate(context.documents())}
    return sorted(found, key=lambda finding: _key(finding, places))


def _without_pieces(found: Iterable[Finding], context: Context) -> list[Finding]:
    """Findings without what looks like a secret and was taken for a key: a line of a private key, say."""
    from exai_ops.env.masking import is_stray
    from exai_ops.env.shown import MASK

    texts: list[str] = []
    clean = []
    for finding in found:
        said = f"{finding.message} {finding.hint} {finding.where.name}"
        for word in {word for word in re.findall(_LONG, said) if is_stray(word)}:
            texts = texts or [document.text for document in context.documents()]
            if any(word in text for text in texts):
                name = finding.where.name
                where = finding.where._replace(name=name and name.replace(word, MASK))
                message, hint = (text.replace(word, MASK) for text in (finding.message, finding.hint))
                finding = finding._replace(message=message, hint=hint, where=where)  # noqa: PLW2901
        clean.append(finding)
    return clean


def as_printed(finding: Finding) -> Finding:
    """A finding that an output can encode, that gives a terminal no orders, and that is one line."""
    where = finding.where
    texts = (finding.message, finding.hint, where.name or "", where.file or "")
    if all(text.isprintable() for text in texts):
        return finding
    message, hint, name, file = map(_one_line, texts)
    where = where._replace(file=where.file and file, name=where.name and name)
    return finding._replace(message=message, hint=hint, where=where)


def _one_line(text: str) -> str:
    from exai_ops.env.masking import printable

    return printable(text).replace("\n", "\\x0a").replace("\t", "\\x09")


def _key(finding: Finding, places: Mapping[str, int]) -> tuple[bool, int, str, int, str, str]:
    where = finding.where
    file = where.file or ""
    place = places.get(file, len(places))
    missed = finding.status in _NOT_LOOKED
    return missed, place, file, where.line or 0, finding.code, where.name or ""


def _fits(rule: Coded, texts: Sequence[str]) -> bool:
    return any(text.strip() and rule.code.startswith(text.strip().upper()) for text in texts)
