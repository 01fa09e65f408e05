"""The rules of ``exai monitor analyze``: one table, in the order of their codes, and what is done with it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Final

from exai_ops.errors import UsageError
from exai_ops.findings import Status
from exai_ops.monitor.analysis import (
    find_connections,
    find_errors,
    find_latency,
    find_permits,
    find_providers,
    find_record,
)
from exai_ops.monitor.analysis.table import DOCS, Context, Judged, Rule, judged

RULES: Final[tuple[Rule, ...]] = tuple(
    sorted(
        (
            *find_errors.RULES,
            *find_latency.RULES,
            *find_providers.RULES,
            *find_connections.RULES,
            *find_permits.RULES,
            *find_record.RULES,
        ),
        key=lambda rule: rule.code,
    )
)
_RANK: Final = (Status.ERROR, Status.WARNING, Status.INFO, Status.SKIP)


def select(only: Sequence[str] = (), skip: Sequence[str] = ()) -> tuple[Rule, ...]:
    """The rules that are asked for, by codes or how they begin. Raises UsageError where none does."""
    for option, codes in (("--only", only), ("--skip", skip)):
        for code in codes:
            if not any(_fits(rule, (code,)) for rule in RULES):
                raise UsageError(f"{option}: no rule has the code {code}", hint=_nearest(code))
    return tuple(rule for rule in RULES if (not only or _fits(rule, only)) and not _fits(rule, skip))


def rule_of(code: str) -> Rule:
    """The rule of a code. Raises UsageError with the nearest."""
    for rule in RULES:
        if rule.code == code.strip().upper():
            return rule
    raise UsageError(f"no rule has the code {code}", hint=_nearest(code))


def judge(rules: Sequence[Rule], context: Context) -> list[Judged]:
    """What the rules find, the worst first, then by time. An exception of a rule is a bug and goes up."""
    if not context.traffic.events:
        rules = [rule for rule in rules if rule.code == "MON090"]
    found = [judged(rule, one, context) for rule in rules for one in rule.function(context)]
    return sorted(found, key=lambda one: (_RANK.index(one.finding.status), one.begin, one.finding.code))


def listed(rules: Sequence[Rule]) -> str:
    """A line for each rule: code, severity and the good outcome."""
    return "".join(f"{rule.code}  {rule.severity:<8}{rule.title}\n" for rule in rules)


def explained(rule: Rule) -> str:
    """A rule in full."""
    paragraphs = (
        f"{rule.code} ({rule.severity}): {rule.title}",
        rule.explanation,
        f"Hint: {rule.hint}",
        f"See {DOCS}",
    )
    return "\n\n".join(textwrap.fill(paragraph, 100) for paragraph in paragraphs) + "\n"


def page(rules: Sequence[Rule] = RULES) -> str:
    """The rules as a part of ``docs/monitor.md``."""
    lines = ["| code | severity | what holds |", "|---|---|---|"]
    lines += [f"| {rule.code} | {rule.severity} | {rule.title} |" for rule in rules]
    for rule in rules:
        lines += ["", textwrap.fill(f"**{rule.code}** {rule.explanation} What to do: {rule.hint}.", 110)]
    return "\n".join(lines) + "\n"


def _fits(rule: Rule, codes: Sequence[str]) -> bool:
    return any(code.strip() and rule.code.startswith(code.strip().upper()) for code in codes)


def _nearest(code: str) -> str:
    near = get_close_matches(code.strip().upper(), [rule.code for rule in RULES], n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else "--list-rules shows every code"


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201 - what it is for
