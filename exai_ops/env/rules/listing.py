"""Rules as text: for ``--list-rules``, for ``--explain`` and for ``docs/rules.md``."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Final

from exai_ops.env.rules.table import Rule

_ROOMS: Final = {
    "ENV0": "Between the files",
    "ENV1": "Within a file",
    "ENV2": "Meaning",
    "ENV3": "Secrets",
    "CMP0": "Compose",
}
_HEAD: Final = """\
# Rules of `exai env check`

Written from the tables in `exai_ops/env/rules`; a test holds it. Codes are stable, and a code is never used
again for something else. The severity is that of most findings of the rule; some are milder or worse, as the
explanation says. `exai env check --explain CODE` prints the same.
"""


def listed(rules: Sequence[Rule]) -> str:
    """A line for each rule: code, severity and the good outcome."""
    return "".join(f"{rule.code}  {rule.severity:<8}{rule.title}\n" for rule in rules)


def explained(rule: Rule) -> str:
    """A rule in full."""
    paragraphs = [f"{rule.code} ({rule.severity}): {rule.title}", *_paragraphs(rule), f"Hint: {rule.hint}"]
    return "\n\n".join(textwrap.fill(paragraph, 100) for paragraph in paragraphs) + "\n"


def page(rules: Sequence[Rule]) -> str:
    """``docs/rules.md``."""
    lines = [_HEAD]
    for room, title in _ROOMS.items():
        inside = [rule for rule in rules if rule.code.startswith(room)]
        if inside:
            lines += [f"## {title}\n", "| code | severity | what holds |", "|---|---|---|"]
            lines += [f"| [{r.code}](#{r.code.lower()}) | {r.severity} | {_cell(r.title)} |" for r in inside]
            lines += ["", *(line for rule in inside for line in _section(rule))]
    return "\n".join(lines).rstrip("\n") + "\n"


def _section(rule: Rule) -> Iterable[str]:
    yield f"### {rule.code}\n"
    yield f"{_sentence(rule.title)} ({rule.severity})\n"
    yield from (_wrapped(paragraph) + "\n" for paragraph in _paragraphs(rule))
    yield _wrapped(f"What to do: {rule.hint}.") + "\n"


def _paragraphs(rule: Rule) -> list[str]:
    return [" ".join(part.split()) for part in rule.explanation.split("\n\n")]


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 110, break_long_words=False, break_on_hyphens=False)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    from exai_ops.env.rules import RULES

    print(page(RULES), end="")  # noqa: T201 - what it is for
