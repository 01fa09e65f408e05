"""What is found: planted incidents, and nothing in quiet periods."""

from __future__ import annotations

import numpy as np
import pytest

from exai_ops.monitor.analysis.find_recording import hole
from exai_ops.monitor.analysis.rules import RULES

from .incidents import INCIDENTS, Incident
from .traffic import KINDS, Source, codes, judged

_SEEDS = {"steady": 3, "diurnal": 2, "bursty": 8, "sparse": 12}
_QUIET = [(kind, seed) for kind in KINDS for seed in range(_SEEDS[kind])]


@pytest.mark.parametrize(("kind", "seed"), _QUIET)
def test_nothing_is_found_in_a_quiet_period(kind: str, seed: int) -> None:
    assert [one.finding.message for one in judged(Source(kind, seed).quiet().events)] == []


@pytest.mark.parametrize(("count", "found"), [(6, False), (14, True)])
def test_a_handful_of_errors_in_one_stretch_is_no_burst(count: int, found: bool) -> None:
    source = Source("steady", 1004)
    source.times = source.times[:2000]
    source.fails = lambda _at: 0.0
    for at in np.linspace(1500, 1600, count).tolist():
        source.add(at, "glm", "error", "complete", error="answered 500", response_time_ms=300.0)
    assert ("MON001" in codes(source.quiet().events)) == found


@pytest.mark.parametrize("seed", range(25))
def test_scripts_that_connect_call_and_leave_are_no_storm(seed: int) -> None:
    source = Source("bursty", 2000 + seed)
    starts = source.rng.uniform(0, 3500, 6)
    for number, start in enumerate(starts.tolist()):
        for index in range(int(source.rng.integers(10, 60))):
            source.script(start + 1.2 * index, 100_000 + 100 * number + index)
    assert "MON006" not in codes(source.quiet().events)


@pytest.mark.parametrize("error", [None, "ConnectionClosedError"])
def test_connections_that_do_no_work_are_a_storm(error: str | None) -> None:
    source = Source("steady", 1003)
    for at in np.linspace(1500, 1590, 60).tolist():
        source.add(at, "websocket", "connect", "connection")
        told = {"duration_s": 1.0}
        source.add(at + 1, "websocket", "disconnect", "connection", error=error, metadata=told)
    assert "MON006" in codes(source.quiet().events)


@pytest.mark.parametrize(
    ("code", "incident", "strength"),
    [(code, made, strengths[-1]) for code, made, strengths in INCIDENTS],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_a_planted_incident_is_found(code: str, incident: Incident, strength: float) -> None:
    source = Source("steady", 1001)
    source.times = source.times[:: max(1, len(source.times) // 1500)]
    found = [one for one in judged(incident(source, strength)) if one.finding.code == code]
    assert found
    assert all(one.finding.hint for one in found)
    assert all(one.evidence for one in found)


def test_a_finding_says_when_how_many_and_which() -> None:
    source = Source("steady", 1002)
    source.fails = lambda at: 0.6 if 1500 <= at < 1680 else 0.005
    (first, *_) = [one for one in judged(source.quiet().events) if one.finding.code == "MON001"]
    assert first.evidence["function"] == "complete"
    assert "2026-01-01T00:24:" <= str(first.evidence["from"]) <= "2026-01-01T00:26"
    assert str(first.evidence["request"]).startswith("r")
    assert first.finding.where.name in ("kimi", "glm")


def test_codes_are_unique_and_in_order() -> None:
    assert [rule.code for rule in RULES] == [f"MON{n:03d}" for n in range(1, len(RULES) + 1)]


@pytest.mark.parametrize(
    ("counts", "found"),
    [
        ([20] * 50, None),
        ([20] * 30 + [0] * 10 + [20] * 60, (30, 40)),
        ([20] * 30 + [0] + [20] * 60, None),  # one bin may be chance
        ([20, 0, 0, 0] * 20, None),  # clumps
        ([20] * 15 + [0] * 20, None),  # the end of the recording is no hole, and more is empty than not
        ([0] * 100, None),
        ([], None),
    ],
)
def test_a_hole_is_what_chance_cannot_make(counts: list[int], found: tuple[int, int] | None) -> None:
    assert hole(np.array(counts, np.int64)) == found


def test_what_is_in_no_order_says_nothing_of_the_clock() -> None:
    events = Source("bursty", 3).quiet().events
    assert codes(events[::-1]) == {"MON013"}


def test_a_step_is_found_though_the_last_before_it_are_the_highest_of_their_side() -> None:
    source = Source("steady", 1003)
    for n in range(845):
        low = 60.0 if 460 <= n < 500 else 52.0 + n % 7
        ms = low if n < 500 else 400.0 + 3 * (n % 11)
        source.add(n / 6, "glm", "receive", "complete", response_time_ms=ms)
    (found,) = [one for one in judged(source.events) if one.finding.code == "MON003"]
    assert "2026-01-01T00:01:22" <= str(found.evidence["from"]) <= "2026-01-01T00:01:25"
    assert found.evidence["before_ms"] == pytest.approx(55, rel=0.05)
    assert found.evidence["after_ms"] == pytest.approx(415, rel=0.05)
