"""Alert rules: how they are written, when they fire, when they are over."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exai_ops.monitor.alerts import DEFAULT, SIGNALS, UNKNOWN_S, Alerts, Reading, parse

ROOT = Path(__file__).parents[2]


def run(text: str, values: Sequence[float | None], *, key: str | None = None) -> list[tuple[int, str]]:
    """(second, status) of each change, with one value a second."""
    alerts = Alerts(parse(text))
    (rule,) = alerts.rules
    changes: list[tuple[int, str]] = []
    for second, value in enumerate(values):
        reading = None if value is None else Reading(value=value)
        changes += [(second, change.status) for change in alerts.see({key or rule.key: reading}, second)]
    return changes


CASES: list[tuple[str, list[float | None], list[tuple[int, str]]]] = [
    ("leaks > 0", [0, 0, 0], []),
    ("leaks > 0", [0, 1, 1, 0, 0], [(1, "firing"), (3, "resolved")]),
    ("leaks > 0 for 2s", [1, 1, 0, 1, 1, 1, 1], [(5, "firing")]),
    ("leaks > 0 for 2s", [1, 1, 1, 0, 0, 1, 0, 0, 0], [(2, "firing"), (8, "resolved")]),
    ("error_rate > 20%", [0.2, 0.21, 0.19, 0.17, 0.16, 0.3], [(1, "firing"), (4, "resolved"), (5, "firing")]),
    ("error_rate > 20% clear 5%", [0.3, 0.06, 0.05], [(0, "firing"), (2, "resolved")]),
    ("p95 > 2s", [1999, 2001, 1600], [(1, "firing"), (2, "resolved")]),
    ("leaks > 0 for 2s", [1, None, 1, 1, 1], [(4, "firing")]),
    ("leaks > 0", [1, *[None] * int(UNKNOWN_S), 1], [(0, "firing")]),
    ("leaks > 0", [1, *[None] * int(UNKNOWN_S + 1), 1],
     [(0, "firing"), (int(UNKNOWN_S) + 1, "resolved"), (int(UNKNOWN_S) + 2, "firing")]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "values", "changes"), CASES)
def test_when_it_fires_and_when_it_is_over(
    text: str, values: list[float | None], changes: list[tuple[int, str]]
) -> None:
    assert run(text, values) == changes


@given(st.lists(st.floats(min_value=0, max_value=1), max_size=60))
def test_changes_alternate_and_none_comes_between_the_bounds(values: list[float]) -> None:
    statuses = [status for _, status in run("error_rate > 50% clear 25%", values)]
    assert statuses == ["firing", "resolved"] * (len(statuses) // 2) + ["firing"] * (len(statuses) % 2)
    between = [0.26 + value / 4.3 for value in values]
    assert len(run("error_rate > 50% clear 25%", [0.6, *between])) == 1


def test_what_fires_says_since_when_and_what_it_is_now() -> None:
    alerts = Alerts(parse("error_rate:kimi > 20% for 5s; p95 > 2s"))
    for second in range(6):
        readings = {"error_rate:kimi": Reading(value=0.5), "p95": Reading(value=2500.0, detail="glm")}
        alerts.see(readings, 100.0 + second)
    slow, failing = sorted(alerts.firing(), key=lambda one: one[0].key, reverse=True)
    assert failing[1:] == ("error_rate:kimi is 50%, above 20% for 5 s", 100.0)
    assert slow[1:] == ("p95 is 2500 ms, above 2000 ms (glm)", 100.0)
    alerts.see({"error_rate:kimi": Reading(value=0.3), "p95": None}, 107.0)
    assert "error_rate:kimi is 30%, above 20% for 5 s" in [message for _, message, _ in alerts.firing()]


def test_the_default_rules_are_rules() -> None:
    rules = parse("default")
    assert rules == parse(DEFAULT)
    assert {rule.signal.name for rule in rules} == SIGNALS.keys() - {"p95"}
    assert parse("default; p95:kimi > 30s")[-1].key == "p95:kimi"
    assert parse("default; default") == rules
    assert parse("") == parse(" ; none ;") == []


BAD = [
    ("leaks", "is no rule; write it like"),
    ("leaks < 3", "is no rule"),
    ("leeks > 0", "leeks is no signal; there are error_rate"),
    ("leaks:kimi > 0", "leaks is not told by type"),
    ("leaks > 3%", "a bound of leaks has no unit"),
    ("error_rate > 3", "a bound of error_rate has %"),
    ("loop_lag > 3%", "a bound of loop_lag has ms or s"),
    ("p95 > 1.2.3s", "1.2.3 is no number"),
    ("p95 > 2s for 5", "is no rule"),
    ("p95 > 2s clear 3s", "clear must not be above the bound"),
]


@pytest.mark.parametrize(("text", "message"), BAD)
def test_what_is_no_rule(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        parse(text)


def test_every_signal_has_its_runbook() -> None:
    page = (ROOT / "docs" / "runbooks.md").read_text(encoding="utf-8")
    sections = re.findall(r"^## (\S+)$", page, re.MULTILINE)
    assert {signal.runbook for signal in SIGNALS.values()} == set(sections)
