"""The rules of ``exai env check``: one table, in the order of their codes."""

from __future__ import annotations

from typing import Final

from exai_ops.env.rules import between, compose, kept, layout, meaning, secrets, seen, within
from exai_ops.env.rules.table import Rule

RULES: Final[tuple[Rule, ...]] = tuple(
    sorted(
        (
            *between.RULES,
            *layout.RULES,
            *kept.RULES,
            *within.RULES,
            *seen.RULES,
            *meaning.RULES,
            *secrets.RULES,
            *compose.RULES,
        ),
        key=lambda rule: (not rule.code.startswith("ENV"), rule.code),
    )
)
