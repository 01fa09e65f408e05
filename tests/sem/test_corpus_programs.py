"""The corpus: every program claims a well-formed truth, keeps it, and ends with its input."""

from __future__ import annotations

import ast
import functools
import os
import re
from collections import Counter
from typing import Any

import pytest

from .corpus_programs import CORPUS, PROGRAMS, Outcome, interpreters, run_all

FAULTS = {"leaked", "over-released"}
VERDICTS = {"idle", "busy", "saturated"} | FAULTS
KINDS = {
    f"{module}.{name}" for module in ("asyncio", "threading") for name in ("Semaphore", "BoundedSemaphore")
}
FIELDS: dict[str, type] = {
    "id": int, "name": str, "kind": str, "bound": int, "value": int, "verdict": str, "allowed": list,
    "count": int, "holders": int, "waiters": int, "working": bool, "counter": bool, "note": str,
}  # fmt: skip
outcomes = functools.cache(run_all)


@pytest.fixture(scope="module", params=interpreters(os.environ.get("EXAI_TEST_PYTHONS")))
def python(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=PROGRAMS)
def program(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def outcome(python: str, program: str) -> Outcome:
    return outcomes(python)[program]


def problems(row: dict[str, Any]) -> list[str]:
    """What is wrong with one row of a claim, in words."""
    wrong = [
        f"{name} is {row.get(name)!r}" for name, kind in FIELDS.items() if type(row.get(name)) is not kind
    ]
    if wrong or row.keys() != FIELDS.keys():
        return wrong or [f"fields {sorted(row.keys() ^ FIELDS.keys())}"]
    checks = {
        "kind": row["kind"] in KINDS,
        "verdict": {row["verdict"], *row["allowed"]} <= VERDICTS and row["verdict"] in row["allowed"],
        "count": 1 <= row["count"] <= 5 if row["verdict"] in FAULTS else row["count"] == 0,
        "allowed": row["verdict"] not in FAULTS or row["allowed"] == [row["verdict"]],
        "bounded": "Bounded" not in row["kind"] or (0 <= row["value"] <= row["bound"] and not row["counter"]),
        "over-released": row["verdict"] != "over-released" or "Bounded" not in row["kind"],
        "waiters": row["working"] or row["waiters"] == 0 or row["value"] == 0,
        "idle": row["working"] or row["counter"] or row["verdict"] != "idle" or row["value"] == row["bound"],
        "saturated": row["working"] or row["verdict"] != "saturated" or row["value"] == 0,
        "busy": row["working"] or row["verdict"] != "busy" or row["holders"] > 0,
        "full": row["working"]
        or row["value"] > 0
        or row["verdict"] in FAULTS
        or "saturated" in row["allowed"],
    }
    return [name for name, good in checks.items() if not good]


def fault_of(truth: list[dict[str, Any]]) -> tuple[str, str] | None:
    """The kind and verdict of the semaphore that is not in order, if one is."""
    faulty = [(row["kind"], row["verdict"]) for row in truth if row["verdict"] in FAULTS]
    return faulty[0] if faulty else None


def test_a_program_ends_well_with_its_input(outcome: Outcome) -> None:
    """A code other than 0 says that the claim did not agree with the objects, at the start or at the end."""
    assert outcome.code == 0, outcome.stderr
    assert outcome.stderr == ""


def test_a_claim_is_well_formed(outcome: Outcome) -> None:
    assert outcome.truth
    assert [(row["name"], problem) for row in outcome.truth for problem in problems(row)] == []
    for field in ("id", "name"):
        assert len({row[field] for row in outcome.truth}) == len(outcome.truth)


def test_a_folder_says_what_its_programs_are(program: str, outcome: Outcome) -> None:
    faulty = [row["name"] for row in outcome.truth if row["verdict"] in FAULTS]
    assert len(faulty) == (1 if program.startswith("leaky/") else 0)


def test_there_are_enough_of_each_kind(python: str) -> None:
    found = Counter(fault_of(outcome.truth) for outcome in outcomes(python).values())
    lost = Counter(
        {kind: n for (kind, verdict), n in ((k, n) for k, n in found.items() if k) if verdict == "leaked"}
    )
    assert found[None] >= 34
    assert lost["asyncio.BoundedSemaphore"] + lost["threading.BoundedSemaphore"] >= 19
    assert lost["asyncio.Semaphore"] + lost["threading.Semaphore"] >= 9
    assert sum(n for key, n in found.items() if key and key[1] == "over-released") >= 6


def test_the_index_lists_every_program_with_what_it_shows_and_claims(python: str) -> None:
    index = (CORPUS / "README.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `(?:leaky|healthy)/.*$", index, re.MULTILINE))
    assert listed == {index_line(name, outcome) for name, outcome in outcomes(python).items()}


def index_line(program: str, outcome: Outcome) -> str:
    doc = ast.get_docstring(ast.parse((CORPUS / program).read_text(encoding="utf-8")))
    assert doc is not None
    return f"| `{program}` | {doc.splitlines()[0]} | {'; '.join(map(spoken, outcome.truth))} |"


def spoken(row: dict[str, Any]) -> str:
    """A row in a few words: `asyncio bounded: leaked 3`."""
    module, name = row["kind"].split(".")
    kind = f"{module} {'bounded' if name.startswith('Bounded') else 'plain'}"
    count = f" {row['count']}" if row["count"] else ""
    return f"{kind}: {'/'.join(row['allowed'])}{count}"
