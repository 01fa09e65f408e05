"""The docs for who comes from another linter: each of its rules once, and codes that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from exai_ops.env.rules import RULES

DOCS = (Path(__file__).parents[2] / "docs" / "env.md").read_text(encoding="utf-8")
CODE = re.compile(r"\b(?:ENV|CMP)[0-9]{3}\b")

THEIRS = {
    "dotenv-linter": (
        "001 parsing", "100 spaced name", "200 spaced assign", "101 incorrect name", "102 duplicate name",
        "103 raw name", "104 reserved name", "105 unreadable name", "300 spaced value", "301 quoted value",
        "302 invalid end of line", "303 comment in value", "400 spaced comment",
    ),
    "dotenv-diff": (
        "missing", "unused", "duplicate-env", "duplicate-example", "secret", "example-secret", "drift",
        "uppercase", "inconsistent-naming", "comment", "expire", "logged", "framework", "--compare: missing",
        "extra", "--compare: empty", "--compare: duplicate", "--compare: gitignore", "--check-values",
        "--matrix",
    ),
    "dclint": (
        "no-build-and-image", "no-duplicate-container-names", "no-duplicate-exported-ports",
        "no-quotes-in-volumes", "no-unbound-port-interfaces", "no-version-field",
        "require-project-name-field",
        "require-quotes-in-ports", "service-container-name-regex", "service-dependencies-alphabetical-order",
        "service-image-require-explicit-tag", "service-keys-order", "service-ports-alphabetical-order",
        "services-alphabetical-order", "top-level-properties-order",
    ),
}  # fmt: skip


def rows(name: str) -> list[tuple[list[str], str]]:
    """Their rules and what is said of them, by the rows of a table."""
    part = DOCS.partition(f"## Coming from {name}\n")[2].partition("\n## ")[0]
    cells = [line.strip("|").split(" | ") for line in part.splitlines() if line.startswith("| ")]
    return [([rule.strip() for rule in cell.split(",")], said.strip()) for cell, said in cells[1:]]


@pytest.mark.parametrize("name", THEIRS)
def test_each_of_their_rules_stands_there_once(name: str) -> None:
    listed = [rule for rules, _ in rows(name) for rule in rules]
    assert sorted(listed) == sorted(THEIRS[name])


@pytest.mark.parametrize("name", THEIRS)
def test_each_has_a_counterpart_or_the_reason_why_not(name: str) -> None:
    for rules, said in rows(name):
        assert CODE.search(said) or re.match(r"none: \w", said), rules


def test_each_code_in_the_docs_is_one_of_ours() -> None:
    ours = {rule.code for rule in RULES}
    for path in (Path(__file__).parents[2] / "docs").glob("*.md"):
        assert {*CODE.findall(path.read_text(encoding="utf-8"))} <= ours, path.name
