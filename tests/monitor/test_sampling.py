from __future__ import annotations

import math
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exai_ops.monitor.events import Event, RawEvent
from exai_ops.monitor.recorder import FOLD_AT, Monitor
from exai_ops.monitor.sampling import ALWAYS, DEFAULT, SIGNIFICANT, Policy, Rule, Sampler, Sampling, parse


def event(n: int = 0, *, size: int = 0, ms: float | None = None, error: str | None = None) -> RawEvent:
    return (float(n), "redis", "receive", "t", "get", size, ms, error, None, 1)


def put(
    monitor: Monitor, function: str = "get", direction: str = "receive", type_: str = "redis", **more: Any
) -> None:
    monitor.record(type_, direction, script_name="t", function_name=function, **more)


RULES: list[tuple[str, list[Rule]]] = [
    ("", []),
    ("redis=1/10", [Rule("redis", "*", "*", Policy(one_in=10))]),
    ("redis/send=always", [Rule("redis", "send", "*", ALWAYS)]),
    ("*/*/get*=SIGNIFICANT", [Rule("*", "*", "get*", SIGNIFICANT)]),
    ("kimi/*/a/b=1/1", [Rule("kimi", "*", "a/b", Policy())]),
    (
        " redis/*/get=1/20>0.5s>64kb>1ms ; glm=always,",
        [
            Rule("redis", "*", "get", Policy(one_in=20, slower_ms=1, larger_bytes=65536)),
            Rule("glm", "*", "*", ALWAYS),
        ],
    ),
]


@pytest.mark.parametrize(("text", "rules"), RULES, ids=[r[0] or "empty" for r in RULES])
def test_rules_are_read(text: str, rules: list[Rule]) -> None:
    assert parse(text) == rules


BAD: list[tuple[str, str]] = [
    ("redis", "no rule"),
    ("=1/10", "no rule"),
    ("redis//get=1/10", "no rule"),
    ("redis=", "policy must be"),
    ("redis=10", "policy must be"),
    ("redis=1/10>", "policy must be"),
    ("redis=1/10>5", "policy must be"),
    ("redis=1/10>1.2.3ms", "policy must be"),
    ("redis=1/0", "N must be"),
    ("redis=1/1000001", "N must be"),
    ("redis=1/99999999", "policy must be"),
    ("glm=always redis=sometimes", "'redis=sometimes'"),
]


@pytest.mark.parametrize(("text", "said"), BAD, ids=[b[0] for b in BAD])
def test_what_is_no_rule_is_refused_with_the_mend(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse(text)


@given(st.text())
def test_no_text_breaks_the_parser(text: str) -> None:
    problem = ""
    try:
        parse(text)
    except ValueError as error:
        problem = str(error)
    assert "\n" not in problem


SAMPLED: list[tuple[str, tuple[str, str, str], bool]] = [
    ("", ("redis", "receive", "get"), True),
    ("", ("redis", "send", "set"), True),
    ("", ("redis", "send", "hset"), False),
    ("", ("supabase", "receive", "read"), True),
    ("", ("supabase", "receive", "select"), False),
    ("", ("websocket", "send", "chat"), False),
    ("", ("kimi", "send", "get"), False),
    ("redis=always", ("redis", "receive", "get"), False),
    ("*=1/10", ("redis", "error", "get"), False),
    ("*=1/10", ("kimi", "rate_limit", "stream"), False),
    ("*=1/10", ("websocket", "reject", "guard"), False),
    ("*=1/10", ("websocket", "connect", "connection"), True),
    ("*=significant", ("websocket", "connect", "connection"), False),
    ("*=significant", ("websocket", "send", "chat"), True),
    ("kimi=1/2 kimi=always", ("kimi", "send", "chat"), True),
]


@pytest.mark.parametrize(
    ("text", "series", "sampled"), SAMPLED, ids=[f"{s[0]} {'/'.join(s[1])}" for s in SAMPLED]
)
def test_the_first_rule_that_fits_decides(text: str, series: tuple[str, str, str], sampled: bool) -> None:
    assert (Sampling(parse(text)).sampler(*series) is not None) == sampled


def test_totals_are_of_all_and_what_is_kept_carries_its_weight() -> None:
    monitor = Monitor()
    count = 4 * FOLD_AT + 7
    for n in range(count):
        put(monitor, data_size_bytes=n, response_time_ms=1.0)
    (stats,) = monitor.series()
    assert (stats.count, stats.timed, stats.data_size_bytes) == (count, count, sum(range(count)))
    kept = monitor.recent()
    assert monitor.sequence == len(kept) == count - monitor.sampled_out
    assert {one.weight for one in kept} == {10}
    assert abs(10 * len(kept) - count) < 10
    assert [one.data_size_bytes for one in kept] == sorted(one.data_size_bytes for one in kept)
    assert kept[0].exported()["weight"] == 10


def test_errors_are_always_kept_and_stand_for_themselves() -> None:
    monitor = Monitor(sampling=Sampling(parse("*=1/1000000")))
    for n in range(500):
        put(monitor, error="boom" if n % 50 == 0 else None)
        put(monitor, direction="error")
    kept = [one for one in monitor.recent() if one.weight == 1]
    assert len(kept) == 510


def test_what_is_significant_is_always_kept() -> None:
    monitor = Monitor(sampling=Sampling(parse("redis=1/1000000>100ms>64kb")))
    for more in ({"response_time_ms": 100.5}, {"data_size_bytes": 65537}):
        put(monitor, **more)
    for more in ({"response_time_ms": 100.0}, {"data_size_bytes": 65536}, {}):
        put(monitor, **more)
    assert [one.weight for one in monitor.recent()][:2] == [1, 1]
    assert monitor.sampled_out >= 2


def test_sampled_events_keep_their_place_among_the_others() -> None:
    monitor = Monitor()
    for n in range(3 * FOLD_AT):
        put(monitor, data_size_bytes=n)
        put(monitor, "send", type_="kimi", data_size_bytes=n)
    sizes = [one.data_size_bytes for one in monitor.recent()]
    assert sizes == sorted(sizes)
    assert sum(one.connection_type == "kimi" for one in monitor.recent()) == 3 * FOLD_AT


def test_since_counts_kept_events() -> None:
    monitor = Monitor(capacity=5)
    for _ in range(100):
        put(monitor)
    batch = monitor.since(0)
    assert (len(batch.events), batch.sequence, batch.missed) == (5, monitor.sequence, monitor.sequence - 5)


def drawn(sampler: Sampler, events: list[RawEvent], *, quick: bool) -> list[RawEvent | None]:
    """What is kept at each place, None where nothing is."""
    kept = dict(sampler.keep(events, errors=not quick))
    return [kept.get(place) for place in range(len(events))]


@given(st.integers(1, 50), st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=12))
def test_each_whole_block_keeps_one_however_it_is_folded(one_in: int, folds: list[tuple[int, bool]]) -> None:
    sampler = Sampler(Policy(one_in=one_in))
    kept = [
        one for size, quick in folds for one in drawn(sampler, [event(n) for n in range(size)], quick=quick)
    ]
    blocks, rest = divmod(len(kept), one_in)
    taken = [one is not None for one in kept]
    assert all(sum(taken[n * one_in : (n + 1) * one_in]) == 1 for n in range(blocks))
    assert sum(taken[len(taken) - rest :]) <= 1 if rest else True
    weights = sum(one[9] for one in kept if one is not None)
    assert abs(weights - len(kept)) < one_in


@given(st.integers(1, 20), st.lists(st.integers(0, 60), max_size=8))
def test_what_is_kept_is_what_was_given_but_for_its_weight(one_in: int, folds: list[int]) -> None:
    sampler = Sampler(Policy(one_in=one_in))
    for size in folds:
        events = [event(n, size=n) for n in range(size)]
        for place, one in sampler.keep(events, errors=False):
            assert one == (*events[place][:9], one_in)


ROUNDS = 4000
FIVE_SIGMA = 5.0


@pytest.mark.parametrize("quick", [False, True])
def test_every_place_of_a_block_is_drawn_as_often(quick: bool) -> None:
    """Chi square over the places: the events' chances are equal, so no rhythm of traffic is favoured."""
    one_in = 10
    sampler = Sampler(Policy(one_in=one_in))
    hits = [0] * one_in
    for _ in range(ROUNDS):
        for place, one in enumerate(drawn(sampler, [event()] * one_in, quick=quick)):
            hits[place] += one is not None
    expected = ROUNDS / one_in
    chi_square = sum((hit - expected) ** 2 / expected for hit in hits)
    assert chi_square < 60  # with 9 degrees of freedom beyond it once in a thousand million times


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("length", [1, 7, 10, 23])
def test_the_sum_of_weights_is_right_in_expectation_at_any_moment(length: int, quick: bool) -> None:
    """Of events, and of those that repeat with the block's own period."""
    one_in = 10
    total = every_tenth = 0
    for _ in range(ROUNDS):
        for n, one in enumerate(drawn(Sampler(Policy(one_in=one_in)), [event()] * length, quick=quick)):
            if one is not None:
                total += one[9]
                every_tenth += one[9] * (n % one_in == 0)
    deviation = math.sqrt(ROUNDS * one_in * max(1, length % one_in))
    assert abs(total - ROUNDS * length) <= FIVE_SIGMA * deviation
    tenths = len(range(0, length, one_in))
    assert abs(every_tenth - ROUNDS * tenths) <= FIVE_SIGMA * math.sqrt(ROUNDS * one_in * tenths)


def test_rates_and_percentiles_of_what_is_kept_agree_with_all() -> None:
    now = [1000.0]
    monitor = Monitor(100_000, clock=lambda: now[0], sampling=Sampling(parse("redis=1/10")))
    count = 20_000
    for n in range(count):
        now[0] = 1000.0 + n / 1000  # a thousand a second
        put(monitor, response_time_ms=float(n * 7919 % 1000 + 1), error="boom" if n % 100 == 0 else None)
    kept: list[Event] = monitor.recent()
    now[0] = 1020.0
    (row,) = monitor.by_series()
    weight = sum(one.weight for one in kept)
    last_ten = sum(one.weight for one in kept if one.timestamp >= 1010.0)
    assert abs(weight - count) < 10
    assert last_ten / 10 == pytest.approx(row.recent.rates.events_10s, rel=0.01)
    assert sum(one.weight for one in kept if one.error) == row.total.errors == count // 100
    share = 0.0
    for one in sorted(kept, key=lambda one: one.response_time_ms or 0.0):
        share += one.weight / weight
        if share >= 0.95:
            assert one.response_time_ms == pytest.approx(row.total.p95_ms, rel=0.05)
            break


def test_totals_are_exact_from_eight_threads_with_sampling() -> None:
    monitor = Monitor()

    def work() -> None:
        for _ in range(5_000):
            put(monitor, data_size_bytes=3)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    (stats,) = monitor.series()
    assert (stats.count, stats.data_size_bytes) == (40_000, 120_000)
    assert monitor.sequence + monitor.sampled_out == 40_000
    assert 10 * monitor.sequence == 40_000


def test_the_defaults_are_those_of_the_protocol() -> None:
    assert {(rule.connection_type, rule.function_name, rule.policy.one_in) for rule in DEFAULT} == {
        ("redis", "get", 10),
        ("redis", "set", 10),
        ("supabase", "read", 10),
    }
