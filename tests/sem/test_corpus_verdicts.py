"""The corpus, looked at from outside: how often a verdict is the program's own truth.

Healthy programs are never accused; what else may go wrong has a limit. The numbers are of a whole corpus.
`EXAI_TEST_PYTHONS=pyenv` looks at one interpreter of each version, as in ``test_corpus_programs``.
"""

from __future__ import annotations

import functools
import json
import multiprocessing
import os
import subprocess
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from typing import Any, NamedTuple

import pytest

from exai_ops.sem.check import look
from exai_ops.sem.passive.scanner import PassiveScanner

from .corpus_programs import CORPUS, PROGRAMS, interpreters

pytestmark = pytest.mark.timeout(600)  # a hundred programs, on a machine that has other things to do

AT_ONCE = 8
PATIENCE_S = 30.0
FAULTS = {"leaked", "over-released"}
WELL = {"idle", "busy", "saturated"}
LEAST_RECALL = {"leaked bounded": 0.95, "leaked plain": 0.8, "over-released plain": 0.8}
LEAST_RIGHT = 0.9
MOST_SUSPECT = 0.15


class Look(NamedTuple):
    """What is true of a semaphore, and what was said of it."""

    program: str
    name: str
    truth: str
    wrong: int
    allowed: frozenset[str]
    bounded: bool
    said: str
    permits: int
    note: str

    @property
    def row(self) -> str:
        """Of the table: ``leaked bounded``, ``healthy plain``."""
        return f"{self.truth if self.truth in FAULTS else 'healthy'} {'bounded' if self.bounded else 'plain'}"

    @property
    def right(self) -> bool:
        return self.said in self.allowed or (self.said in WELL and bool(self.allowed & WELL))

    @property
    def false(self) -> bool:
        """Whether it accuses of what is not so."""
        return self.said in FAULTS and self.said != self.truth


def looked_at(python: str, program: str) -> list[Look]:
    """Start a program, look at it, end it."""
    with subprocess.Popen(
        [python, str(CORPUS / program)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        truth = json.loads(process.stdout.readline())["truth"]
        with PassiveScanner(process.pid) as scanner:
            scan, judgements = look(scanner)
        process.communicate("", timeout=PATIENCE_S)
    said = {one.address: (one, told) for one, told in zip(scan.semaphores, judgements, strict=True)}
    return [one_look(program, row, *said.get(row["id"], (None, None))) for row in truth]


def one_look(program: str, row: dict[str, Any], found: Any, told: Any) -> Look:
    return Look(
        program,
        row["name"],
        row["verdict"],
        row["count"],
        frozenset({row["verdict"], *row["allowed"]}),
        "Bounded" in row["kind"],
        str(told.verdict) if told else "missing",
        told.permits if told else 0,
        f"{told.why} held {found.held}, possible {found.possible}, bound {found.bound}" if told else "",
    )


@functools.cache
def looks(python: str) -> list[Look]:
    """The whole corpus, several programs at once."""
    with ProcessPoolExecutor(AT_ONCE, mp_context=multiprocessing.get_context("spawn")) as pool:
        futures = [pool.submit(looked_at, python, program) for program in PROGRAMS]
        return [one for future in futures for one in future.result()]


def table(some: Iterable[Look]) -> str:
    """Counts by truth and verdict, and each look that is not right."""
    some = list(some)
    counts = Counter((one.row, one.said) for one in some)
    lines = [f"{row:22} {said:14} {number}" for (row, said), number in sorted(counts.items())]
    lines += [
        f"{one.program} {one.name}: {one.truth} {one.wrong}, said {one.said} {one.permits} ({one.note})"
        for one in some
        if not one.right or (one.wrong and one.permits != one.wrong)
    ]
    return "\n".join(["", *lines])


def share(some: Iterable[bool]) -> float:
    values = list(some)
    return sum(values) / len(values)


@pytest.fixture(scope="module", params=interpreters(os.environ.get("EXAI_TEST_PYTHONS")))
def seen(request: pytest.FixtureRequest) -> list[Look]:
    return looks(str(request.param))


def test_nothing_is_accused_of_what_is_not_so(seen: list[Look]) -> None:
    assert [one for one in seen if one.false] == [], table(seen)


@pytest.mark.parametrize(("row", "least"), LEAST_RECALL.items())
def test_what_is_lost_or_given_twice_is_found(seen: list[Look], row: str, least: float) -> None:
    assert share(one.right for one in seen if one.row == row) >= least, table(seen)


def test_the_number_is_right(seen: list[Look]) -> None:
    found = [one for one in seen if one.truth in FAULTS and one.right]
    assert share(one.permits == one.wrong for one in found) >= LEAST_RIGHT, table(seen)


def test_few_of_the_healthy_are_suspect(seen: list[Look]) -> None:
    healthy = [one for one in seen if one.truth not in FAULTS]
    assert share(one.said == "suspect" for one in healthy) <= MOST_SUSPECT, table(seen)
    assert all(one.said in WELL | {"suspect", "unknown"} for one in healthy), table(seen)
