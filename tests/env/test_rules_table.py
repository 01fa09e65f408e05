"""The table of rules: codes, words, and the page of the docs that is written from it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from exai_ops.env.rules import RULES
from exai_ops.env.rules.listing import page
from exai_ops.env.rules.table import Context, Rule
from exai_ops.findings import Status

ROOT = Path(__file__).parents[2]


def test_codes_are_unique_and_in_order() -> None:
    codes = [rule.code for rule in RULES]
    assert len(set(codes)) == len(codes)
    assert codes == sorted(codes, key=lambda code: (not code.startswith("ENV"), code))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_a_rule_says_what_it_is_about(rule: Rule) -> None:
    assert re.fullmatch(r"(ENV|CMP)[0-9]{3}", rule.code)
    assert rule.severity in (Status.INFO, Status.WARNING, Status.ERROR)
    assert rule.title
    assert not rule.title.endswith(".")
    assert rule.hint
    assert len(rule.explanation) > 40


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_without_files_a_rule_says_nothing_or_that_it_could_not_look(rule: Rule) -> None:
    found = list(rule.function(Context()))
    assert all((f.code, f.status) == (rule.code, Status.SKIP) and f.message for f in found)


def test_the_page_of_the_docs_is_written_from_the_table() -> None:
    assert (ROOT / "docs" / "rules.md").read_text(encoding="utf-8") == page(RULES), (
        "write it: python -m exai_ops.env.rules.listing > docs/rules.md"
    )
