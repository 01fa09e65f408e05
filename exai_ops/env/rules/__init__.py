"""The rules of ``exai env check``: one table, in the order of their codes."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Final

from exai_ops.env.rules import between, kept, layout, seen, within
from exai_ops.env.rules.table import Rule


def _others() -> tuple[Rule, ...]:
    names = [f"exai_ops.env.rules.{name}" for name in ("meaning", "secrets", "compose")]
    return tuple(rule for name in names if find_spec(name) for rule in import_module(name).RULES)


RULES: Final[tuple[Rule, ...]] = tuple(
    sorted(
        (*between.RULES, *layout.RULES, *kept.RULES, *within.RULES, *seen.RULES, *_others()),
        key=lambda rule: (not rule.code.startswith("ENV"), rule.code),
    )
)
