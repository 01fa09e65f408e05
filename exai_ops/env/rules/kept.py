"""ENV090 to ENV092: what was decided about findings, which the runner judges."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from exai_ops.env import baseline, suppression
from exai_ops.env.rules.table import Context, Rule
from exai_ops.findings import Finding, Status


def by_the_runner(_context: Context) -> Iterable[Finding]:
    """Nothing: suppressions and baseline are judged when every other rule has run."""
    return ()


RULES: Final[tuple[Rule, ...]] = (
    Rule(
        code=suppression.UNUSED,
        severity=Status.WARNING,
        title="every suppression hides something",
        hint="take the suppression out",
        explanation="A suppression that hides nothing will one day hide what nobody has decided"
        " about. It is only judged when its rule ran and could look.",
        function=by_the_runner,
    ),
    Rule(
        code=suppression.NO_REASON,
        severity=Status.WARNING,
        title="every suppression says why",
        hint="write the reason behind the bracket",
        explanation="`# exai:ignore[ENV104] reason` at the end of a line or in a comment above it,"
        " `# exai:ignore-file[ENV102] reason` for the file, or an entry of [tool.exai] ignore in"
        " pyproject.toml with code, reason and, as patterns, key and file. Several codes stand with"
        " commas between them. One without a reason hides nothing.",
        function=by_the_runner,
    ),
    Rule(
        code=baseline.STALE,
        severity=Status.INFO,
        title="the baseline holds only what is still found",
        hint="write the baseline anew",
        explanation="`--baseline FILE --write-baseline` keeps what is found today, by code, file"
        " and key; `--baseline FILE` then shows what is new. An entry that is no longer found is"
        " mended debt: writing the baseline anew keeps it from coming back.",
        function=by_the_runner,
    ),
)
