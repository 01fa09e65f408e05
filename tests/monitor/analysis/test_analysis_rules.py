"""Quiet hours say nothing; each planted incident is found, at more than one strength."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from exai_ops.errors import UsageError
from exai_ops.findings import Status
from exai_ops.monitor.analysis.decoding import Source
from exai_ops.monitor.analysis.rules import RULES, explained, judge, listed, page, rule_of, select
from exai_ops.monitor.analysis.table import Context, Judged
from exai_ops.monitor.analysis.traffic import Traffic

from .hours import BEGIN, HOUR, QUIET, Hour, between, counted, steady


def found(traffic: Traffic, **context: object) -> dict[str, Judged]:
    """The findings by code, the first of each."""
    said: dict[str, Judged] = {}
    for one in judge(RULES, Context(traffic, **context)):  # type: ignore[arg-type]
        said.setdefault(one.finding.code, one)
    return said


@pytest.mark.parametrize(
    ("kind", "seeds"), [("steady", 30), ("diurnal", 30), ("bursty", 40), ("sparse", 150)]
)
def test_a_quiet_hour_says_nothing(kind: str, seeds: int) -> None:
    for seed in range(5000, 5000 + seeds):
        traffic = counted(QUIET[kind](Hour(seed)).in_order())
        assert [one.finding for one in judge(RULES, Context(traffic))] == [], seed


def storm(hour: Hour, count: int, life_s: float, error: str | None) -> Hour:
    for number in range(count):
        hour.connection(1500 + number * 90 / count, life_s, f"x{number % 5}", error)
    return hour


def leaking(hour: Hour, count: int) -> Hour:
    for number in range(count):
        error = "permit leaked: its task is done"
        hour.add(1000 + 100 * number, "websocket", "error", "permit_leak", error=error, request=f"r{number}")
    return hour


def clocked(hour: Hour, age_s: float, count: int = 70) -> Hour:
    for number in range(count):
        at = float(hour.rng.uniform(0, HOUR - 2 * age_s))
        hour.connection(at, age_s * float(hour.rng.uniform(0.98, 1.02)), f"x{number}")
    return hour


INCIDENTS: dict[str, tuple[str, Callable[[int], Hour], tuple[float, float] | None]] = {
    "half fail for a minute": (
        "MON001",
        lambda seed: steady(Hour(seed, fails=between(1800, 1860, 0.5))),
        (1800, 1860),
    ),
    "a fifth fail for five minutes": (
        "MON001",
        lambda seed: steady(Hour(seed, fails=between(1800, 2100, 0.2))),
        (1800, 2100),
    ),
    "two of three requests fail all the time": (
        "MON002",
        lambda seed: steady(Hour(seed, fails=between(0, HOUR, 0.65))),
        None,
    ),
    "twice as slow for ten minutes": (
        "MON003",
        lambda seed: steady(Hour(seed, slower=between(1800, 2400, 2.0, 1.0))),
        (1800, 2400),
    ),
    "three times as slow until the end": (
        "MON003",
        lambda seed: steady(Hour(seed, slower=between(2400, HOUR, 3.0, 1.0))),
        (2400, HOUR),
    ),
    "one of twenty takes thirty times as long": (
        "MON004",
        lambda seed: steady(Hour(seed, tail=(0.05, 30.0))),
        None,
    ),
    "a third is refused for two minutes": (
        "MON005",
        lambda seed: steady(Hour(seed, limited=between(1800, 1920, 0.4))),
        (1800, 1920),
    ),
    "all is refused for half a minute": (
        "MON005",
        lambda seed: steady(Hour(seed, limited=between(1800, 1830, 0.9))),
        (1800, 1830),
    ),
    "forty reconnects": ("MON006", lambda seed: storm(steady(Hour(seed)), 40, 1.0, None), (1500, 1590)),
    "twenty reconnects by an error": (
        "MON006",
        lambda seed: storm(steady(Hour(seed)), 20, 1.0, "ConnectionClosedError"),
        (1500, 1590),
    ),
    "connections live a minute": ("MON007", lambda seed: clocked(steady(Hour(seed)), 60.0), None),
    "every other request fails": (
        "MON008",
        lambda seed: steady(Hour(seed, fails=between(0, HOUR, 0.5))),
        None,
    ),
    "one permit leaks": ("MON009", lambda seed: leaking(steady(Hour(seed)), 1), (1000, 1004)),
    "permits are lost one by one": (
        "MON010",
        lambda seed: steady(Hour(seed, wait_ms=lambda at: at / 3)),
        None,
    ),
}


@pytest.mark.parametrize("name", INCIDENTS)
def test_a_planted_incident_is_found(name: str) -> None:
    code, make, when = INCIDENTS[name]
    for seed in (1, 2):
        said = found(counted(make(seed).in_order()))
        assert code in said, seed
        one = said[code]
        assert one.finding.status in (Status.WARNING, Status.ERROR)
        assert one.finding.hint
        assert one.found.number > 0
        if when is not None:
            begin, end = one.begin - BEGIN, one.end - BEGIN
            assert begin < when[1]
            assert end > when[0]
            overlap = min(end, when[1]) - max(begin, when[0])
            assert overlap >= 0.3 * (when[1] - when[0])
            assert end - begin <= 3 * (when[1] - when[0]) + 60


def test_a_finding_names_an_event_that_shows_it() -> None:
    said = found(counted(steady(Hour(3, fails=between(1800, 1860, 0.6))).in_order()))
    burst = said["MON001"]
    assert burst.found.example is not None
    assert burst.begin <= burst.found.example.timestamp <= burst.end + 5
    assert f"exai monitor trace {burst.found.example.request}" in burst.finding.hint
    assert "for example request r" in burst.finding.message


@pytest.mark.parametrize(
    ("age_s", "named"),
    [
        (60.0, "idle timeout"),
        (30.0, "EXAI_WS_PING_INTERVAL"),
        (50.0, "EXAI_WS_PING_TIMEOUT"),
        (43.0, "clock"),
    ],
)
def test_the_age_of_connections_names_its_suspect(age_s: float, named: str) -> None:
    traffic = counted(clocked(Hour(4), age_s).in_order())
    said = found(traffic, ping_interval_s=30.0, ping_timeout_s=20.0)
    assert named in said["MON007"].finding.hint


def test_more_load_alone_is_no_error_burst_and_no_shift() -> None:
    hour = Hour(5, fails=lambda _: 0.03)
    times = [*range(0, 3600, 4), *(1800 + n / 8 for n in range(2400))]
    said = found(counted(hour.calls(sorted(map(float, times))).in_order()))
    assert {"MON001", "MON003"}.isdisjoint(said)


def test_a_gap_is_found_in_steady_traffic_and_not_twice() -> None:
    hour = steady(Hour(6))
    lines = [line for line in hour.in_order() if not 1800 <= line.timestamp - BEGIN < 1920]
    one = found(counted(lines))["MON011"]
    assert (one.begin - BEGIN, one.end - BEGIN) == pytest.approx((1800, 1920), abs=8)


def test_a_tail_that_was_too_slow_is_told() -> None:
    source = Source(name="tail.ndjson", gaps=2, missed=120)
    one = found(counted(steady(Hour(7)).in_order()), sources=[source])["MON011"]
    assert "tail.ndjson: 120 events are missing" in one.finding.message


@pytest.mark.parametrize("back_s", [2.0, 30.0, 3600.0])
def test_a_clock_that_was_set_back_is_found(back_s: float) -> None:
    lines = steady(Hour(8)).in_order()
    for line in lines[len(lines) // 2 :]:
        line.timestamp -= back_s
    assert "time goes back by" in found(counted(lines))["MON012"].finding.message


def test_a_recording_in_any_other_order_says_nothing_of_the_clock() -> None:
    lines = steady(Hour(9)).in_order()
    assert "MON012" not in found(counted(lines[::-1]))
    Hour(9).rng.shuffle(lines)
    assert "MON012" not in found(counted(lines))


def test_the_order_of_the_lines_changes_no_other_finding() -> None:
    lines = steady(Hour(10, fails=between(1800, 1860, 0.6), slower=between(600, 1500, 3.0, 1.0))).in_order()
    said = [one.finding for one in judge(RULES, Context(counted(lines)))]
    Hour(1).rng.shuffle(lines)
    assert [one.finding for one in judge(RULES, Context(counted(lines)))] == said
    assert {finding.code for finding in said} >= {"MON001", "MON003"}


def test_lines_that_could_not_be_read_are_a_finding() -> None:
    traffic = counted(steady(Hour(11)).in_order())
    some = Source(name="a", events=10, skipped=2, first_skip="line 3: not JSON")
    few = Source(name="b", events=10_000, skipped=1, first_skip="line 9: not JSON")
    said = [one.finding for one in judge(select(["MON09"]), Context(traffic, [some, few]))]
    assert [finding.status for finding in said] == [Status.WARNING, Status.INFO]
    assert "2 of 12 could not be read; the first: line 3: not JSON" in said[0].message


def test_what_a_recording_says_cannot_drive_a_terminal() -> None:
    hour = Hour(12, fails=between(1800, 1900, 0.9))
    steady(hour)
    for line in hour.lines:
        line.function = "chat\x1b[2J\n"
    for one in judge(RULES, Context(counted(hour.in_order()))):
        assert one.finding.message.isprintable()
        assert (one.finding.where.name or "").isprintable()


def test_the_table_of_rules() -> None:
    codes = [rule.code for rule in RULES]
    assert codes == sorted(set(codes))
    assert all(code.startswith("MON") and len(code) == 6 for code in codes)
    for rule in RULES:
        assert rule.title
        assert rule.hint
        assert rule.code in explained(rule)
        assert rule.code in listed(RULES)
        assert f"**{rule.code}**" in page()


def test_rules_are_selected_by_code_or_beginning() -> None:
    assert [rule.code for rule in select(["mon001"])] == ["MON001"]
    assert len(select(["MON"], ["MON00"])) == len(RULES) - 9
    assert rule_of("mon003").code == "MON003"
    with pytest.raises(UsageError, match="--skip: no rule has the code MON999"):
        select(skip=["MON999"])
    with pytest.raises(UsageError) as error:
        rule_of("MON0033")
    assert error.value.hint == "did you mean MON003?"
