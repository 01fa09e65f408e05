"""Findings, text and JSON of a scan; rules that are unique, explained and documented."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exai_ops.findings import Finding, Status
from exai_ops.sem.model import Holder, Judgement, Scan, Semaphore, Site, Verdict, Waiter
from exai_ops.sem.report import as_json, as_text
from exai_ops.sem.rules import RULES, finding, rule_of
from exai_ops.sem.screen import screen

DOCS = Path(__file__).parents[2] / "docs" / "sem.md"
SITE = Site("/srv/app.py", 7, "App.serve")


def _semaphore(holders: int = 1, waiting: int = 0, *, why: str = "", bound: int | None = 9) -> Semaphore:
    return Semaphore(
        address=0x7F00,
        kind="asyncio.Semaphore",
        type_name="app.Slots",
        where=("app.SLOTS", "closure slots of serve"),
        value=2,
        bound=bound,
        built=Site("/srv/app.py", 3, "App.__init__"),
        waiters=tuple(Waiter(f"Waits-{n}", (SITE,), granted=not n) for n in range(waiting)),
        holders=tuple(Holder("with", f"Task-{n}", (SITE,), since_s=1.25) for n in range(holders)),
        why=why,
    )


def _scan(*semaphores: Semaphore) -> Scan:
    return Scan(4711, 1, "3.11.7", 1.0, 0.1234, semaphores, tasks=1, threads=2, notes=("it is stopped",))


VERDICTS = [
    (Judgement(Verdict.IDLE), _semaphore(), "SEM001", Status.OK),
    (Judgement(Verdict.BUSY), _semaphore(), "SEM001", Status.OK),
    (Judgement(Verdict.SATURATED), _semaphore(), "SEM004", Status.INFO),
    (Judgement(Verdict.SUSPECT, 1), _semaphore(), "SEM003", Status.WARNING),
    (Judgement(Verdict.LEAKED, 2), _semaphore(), "SEM001", Status.ERROR),
    (Judgement(Verdict.OVER_RELEASED, 1), _semaphore(), "SEM002", Status.ERROR),
    (Judgement(Verdict.UNKNOWN, why="no bound"), _semaphore(bound=None), "SEM005", Status.SKIP),
    (Judgement(Verdict.UNKNOWN, why="it moves"), _semaphore(why="it moves"), "SEM006", Status.UNKNOWN),
]


@pytest.mark.parametrize(("judgement", "one", "code", "status"), VERDICTS)
def test_what_a_verdict_means(judgement: Judgement, one: Semaphore, code: str, status: Status) -> None:
    found = finding(4711, one, judgement)
    assert (found.code, found.status) == (code, status)
    assert str(found.where) == "/srv/app.py:3"
    assert found.message.startswith("app.SLOTS (app.Slots): ")
    assert "PID" not in found.hint
    assert bool(found.hint) is (status is not Status.OK)


def test_text_says_everything_of_a_leak() -> None:
    text = as_text(_scan(_semaphore(2, 2)), [Judgement(Verdict.LEAKED, 5)])
    assert text == (
        "PID 4711, Python 3.11.7: 1 semaphore, 1 task, 2 threads; read in 123 ms\n"
        "note: it is stopped\n"
        "\n"
        "LEAKED  app.SLOTS  app.Slots\n"
        "    leaked 5, 2 of 9 free, 2 held, 1 waiting\n"
        "    also closure slots of serve\n"
        "    built at /srv/app.py:3 in App.__init__\n"
        "    held by Task-0 [with] for 1.2 s\n"
        "        /srv/app.py:7 in App.serve\n"
        "    held by Task-1 [with] for 1.2 s\n"
        "        /srv/app.py:7 in App.serve\n"
        "    waits: Waits-0 (granted)\n"
        "        /srv/app.py:7 in App.serve\n"
        "    waits: Waits-1\n"
        "        /srv/app.py:7 in App.serve\n"
        "    hint: look at the line that takes it: release in a finally, or take it with async with\n"
        "\n"
        "1 leaked\n"
    )


def test_text_cuts_long_lists() -> None:
    scan, said = _scan(_semaphore(7, 6)), [Judgement(Verdict.BUSY)]
    assert "held by 2 more (--verbose shows all)" in as_text(scan, said)
    assert "waits: 1 more (--verbose shows all)" in as_text(scan, said)
    assert "more (" not in as_text(scan, said, most=None)


def test_nothing_at_all() -> None:
    assert as_text(_scan(), []).endswith("\nno semaphore\n")


def test_json_is_plain_and_whole() -> None:
    extra = Finding("SEM008", Status.UNKNOWN, "process 5 belongs to user 0", "run it as root")
    said = json.loads(as_json([(_scan(_semaphore(2)), [Judgement(Verdict.LEAKED, 5, "why")])], [extra]))
    assert said["schema_version"] == 1
    (process,) = said["processes"]
    (one,) = process["semaphores"]
    assert (one["address"], one["verdict"], one["permits"], one["reason"]) == ("0x7f00", "leaked", 5, "why")
    assert one["holders"][0]["stack"] == [{"file": "/srv/app.py", "line": 7, "function": "App.serve"}]
    assert [(f["code"], f["status"]) for f in said["findings"]] == [
        ("SEM001", "error"),
        ("SEM008", "unknown"),
    ]
    assert said["findings"][0]["where"] == {"file": "/srv/app.py", "line": 3, "name": "app.SLOTS"}


def test_rules_are_unique_explained_and_in_the_docs() -> None:
    codes = [rule.code for rule in RULES]
    assert codes == sorted(set(codes))
    verdicts = [verdict for rule in RULES for verdict in rule.verdicts]
    assert len(verdicts) == len(set(verdicts))
    page = DOCS.read_text(encoding="utf-8")
    for rule in RULES:
        assert rule.title
        assert rule.hint
        assert rule.explanation
        assert rule_of(rule.code) is rule
        assert f"| {rule.code} | {rule.severity} | {rule.title} |" in page
    for verdict in Verdict:
        assert f"| `{verdict}`" in page


@given(
    st.integers(20, 200),
    st.integers(5, 60),
    st.sampled_from(["verdict", "waiters", "held", "name"]),
    st.lists(st.sampled_from(list(Verdict)), max_size=70),
)
def test_a_screen_fits_its_terminal(width: int, height: int, sort: str, verdicts: list[Verdict]) -> None:
    scan = _scan(*[_semaphore(n % 3, n % 4) for n in range(len(verdicts))])
    said = [Judgement(verdict, 1) for verdict in verdicts]
    text = screen(scan, said, sort=sort, paused=False, width=width, height=height)  # type: ignore[arg-type]
    lines = text.split("\n")
    assert len(lines) <= height
    plain = [_without_colour(line) for line in lines]
    assert max(map(len, plain)) <= width


def test_a_screen_shows_where_the_program_is() -> None:
    deep = Site("/usr/lib/python3.11/asyncio/tasks.py", 649, "sleep")
    holder = Holder("with", "Task-1", (SITE, deep))
    one = replace(_semaphore(), holders=(holder,))
    said = [Judgement(Verdict.BUSY)]
    text = screen(_scan(one), said, sort="name", paused=True, width=140, height=9)
    assert "Task-1 srv/app.py:7 App.serve" in text
    assert "paused" in text


def _without_colour(line: str) -> str:
    import re

    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", line)


@pytest.mark.parametrize(
    ("kind", "value", "waiting", "said"),
    [
        ("threading.Lock", 0, 0, True),
        ("threading.RLock", 0, 0, True),
        ("multiprocessing.Semaphore", 0, 0, True),
        ("threading.Lock", 1, 0, False),
        ("threading.Lock", 0, 1, False),
        ("threading.Semaphore", 0, 0, False),
        ("asyncio.Lock", 0, 0, False),
    ],
)
def test_text_says_where_waiters_cannot_be_known(kind: str, value: int, waiting: int, said: bool) -> None:
    one = replace(_semaphore(waiting=waiting), kind=kind, value=value)
    text = as_text(_scan(one), [Judgement(Verdict.BUSY)])
    assert (f"waits: not known of a {kind}" in text) is said
