"""The screen of ``exai monitor top``: what it shows, and that it fits any terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exai_ops.errors import CouldNotLook
from exai_ops.monitor.screen import text
from exai_ops.monitor.screen.frame import Drawn, draw
from exai_ops.monitor.screen.panels import Link
from exai_ops.monitor.screen.state import HISTORY, History, Now
from exai_ops.monitor.screen.view import SORTS, TABLES, View, pressed
from exai_ops.monitor.wire import AlertState, Lag, Rates, SessionState, State, TypeState

ALERT = AlertState(rule="leaks > 0", message="leaks is 2", since=970.0, runbook="docs/runbooks.md#leaked")
LINK = Link(url="ws://127.0.0.1:8079/", age_s=0.1)


def rates(events: float = 0.0, errors: float = 0.0) -> Rates:
    return Rates(
        events_1s=events, events_10s=events, events_60s=events,
        errors_1s=errors, errors_10s=errors, errors_60s=errors,
    )  # fmt: skip


def type_(events: float = 0.0, *, errors: float = 0.0, p95_ms: float | None = None) -> TypeState:
    return TypeState(
        total_events=int(events * 100), total_sent_bytes=1500, total_received_bytes=500,
        total_errors=int(errors * 100), avg_response_time_ms=None, last_event_timestamp=None,
        active_connections=2, rates=rates(events, errors), p50_ms=p95_ms, p95_ms=p95_ms, p99_ms=p95_ms,
    )  # fmt: skip


def series(name: str, events: float, errors: float = 0.0) -> dict[str, Any]:
    lately = {"rates": msgspec.to_builtins(rates(events, errors)), "timed": 0}
    return {
        "connection_type": "kimi", "function_name": name, "direction": "send", "count": 7, "timed": 0,
        "data_size_bytes": 10, "errors": 0, "recent": lately | dict.fromkeys(("p50_ms", "p95_ms", "p99_ms")),
    }  # fmt: skip


def holder(age_s: float, tool: str = "chat", leak: str | None = None) -> dict[str, Any]:
    return {
        "tool": tool, "session": "3f2a91bc77", "request": "r-1", "provider": "kimi",
        "site": "daemon/dispatch.py:249", "age_s": age_s, "leak": leak,
    }  # fmt: skip


def state(**changes: Any) -> State:
    """A daemon of a quiet minute."""
    permits = {
        "limits": {"global": {"limit": 24, "held": 3}, "kimi": {"limit": 6, "held": 3}},
        "waiting": 2, "queue_limit": 100, "holders": [holder(34.2), holder(2.0)], "leaked": 0, "broken": [],
    }  # fmt: skip
    kimi = {"name": "kimi", "configured": True, "breaker": "closed", "last_ok_at": 995.0}
    fields: dict[str, Any] = {
        "time": 1000.0, "stream": "s", "sequence": 4711, "version": "1.2.3", "started_at": 816.0,
        "state": "ready", "unready": None, "simulated": False,
        "types": {"websocket": type_(20.0, errors=1.0, p95_ms=830.0), "sqlite": type_(40.0, p95_ms=0.42)},
        "functions": [series("complete", 5.0), series("models", 1.0)], "permits": permits,
        "providers": [kimi], "connections": 2, "malformed": 0, "sampled_out": 0, "tails": 1, "dropped": 0,
        "sessions": [SessionState(id="3f2a91bc", connected=True, inflight=1, queued=0, idle_s=None)],
        "lag": Lag(last_ms=0.3, max_60s_ms=12.0, p99_ms=1.0), "stored_bytes": 1_500_000, "alerts": [],
    }  # fmt: skip
    return State(**(fields | changes))


def drawn(
    one: State | None = None,
    view: View | None = None,
    *,
    link: Link = LINK,
    columns: int = 80,
    rows: int | None = 24,
) -> Drawn:
    now = Now(one or state())
    history = History()
    for _ in range(5):
        history.add(now)
    clock = "09:30:00 AEDT"
    return draw(now, view or View(), history, link, lambda _: clock, columns=columns, rows=rows)


def shown(*args: Any, **options: Any) -> list[str]:
    return [text.plain(line) for line in drawn(*args, **options).lines]


def permits_with(**changes: Any) -> dict[str, Any]:
    return {**state().permits, **changes}


# --- what is shown ---------------------------------------------------------------------------


def test_a_quiet_minute_at_80_by_24() -> None:
    lines = shown()
    assert len(lines) == 24
    assert lines[:4] == [
        "exai ws://127.0.0.1:8079/  ready  up 3m 4s  1.2.3                  09:30:00 AEDT",
        "events/s  60.0  60.0  60.0  errors/s  1.0  1.0  1.0  (1, 10, 60 s)  █████",
        "in flight 3  queue 2  sessions 1  lag 0.30ms max 12.0ms  p95 830ms █████",
        "stored 1.5 MB  sampled out 0  dropped 0  malformed 0  tails 1  connections 2",
    ]
    assert lines[4:9] == [
        "global   ██░░░░░░░░░░░░░░░░░░   3/24",
        "kimi     ██████████░░░░░░░░░░   3/6  breaker closed, ok 5.0s ago",
        "    AGE TOOL         PROVIDER SESSION  WHERE                                    ",
        "    34s chat         kimi     3f2a91bc daemon/dispatch.py:249",
        "   2.0s chat         kimi     3f2a91bc daemon/dispatch.py:249",
    ]
    assert lines[9].split() == ["TYPE", "EV/S↓", "10S", "60S", "ERR/S", "60S", "ERRORS", "P50", "P95", "P99"]
    assert lines[10].split() == [
        "sqlite",
        "40.0",
        "40.0",
        "40.0",
        "0",
        "0",
        "0",
        "0.42ms",
        "0.42ms",
        "0.42ms",
    ]
    assert lines[11].split()[0] == "websocket"
    assert lines[-1].startswith("q quit  h help  p pause  s sort  / filter  t functions")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"alerts": [ALERT]}, "ALERT leaks is 2  for 30s, runbook leaked"),
        ({"permits": permits_with(leaked=1)}, "LEAKED 1"),
        ({"permits": permits_with(holders=[holder(9, leak="owner done")])}, "LEAKED: owner done"),
        ({"permits": permits_with(broken=["kimi: counted 2"])}, "LEDGER BROKEN kimi: counted 2"),
        ({"permits": permits_with(limits={"kimi": {"limit": 6, "held": 6}})}, "6/6 FULL"),
        ({"permits": permits_with(waiting=90)}, "queue 90/100"),
        ({"providers": [{"name": "kimi", "configured": True, "breaker": "open", "consecutive_failures": 5}]},
         "breaker OPEN, 5 failures"),
        ({"providers": [{"name": "glm", "configured": True, "breaker": "half_open"}]}, "breaker HALF OPEN"),
        ({"providers": [{"name": "kimi", "configured": False, "breaker": "closed"}]}, "no key"),
        ({"providers": [{"name": "kimi", "configured": True, "breaker": "closed", "key_refused": True}]},
         "KEY REFUSED"),
        ({"unready": "no usable provider"}, "not ready: no usable provider"),
        ({"state": "draining", "unready": "draining"}, "  draining  "),
        ({"simulated": True}, "SIMULATED"),
        ({"dropped": 12_000, "malformed": 3, "sampled_out": 5}, "sampled out 5  dropped 12.0k  malformed 3"),
        ({"stored_bytes": None}, "stored none"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(changes: dict[str, Any], said: str) -> None:
    assert said not in "\n".join(shown())
    assert said in "\n".join(shown(state(**changes)))


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ({"lost": "refused", "age_s": 7.0}, "LOST, what is shown is 7.0s old; trying again: refused"),
        ({"paused": "09:29:00 AEDT", "age_s": 60.0}, "PAUSED at 09:29:00 AEDT, what is shown is 1m 0s old"),
        ({"lost": "refused", "paused": "09:29"}, "paused at 09:29"),
        ({"age_s": 6.0}, "SILENT, what is shown is 6.0s old"),
        ({"age_s": 6.0, "late_s": 10.0}, None),
        ({"restarted": True}, "up 3m 4s, restarted"),
    ],
)
def test_what_is_old_is_said(link: dict[str, Any], said: str | None) -> None:
    lines = "\n".join(shown(link=replace(LINK, **link)))
    assert said is None or said in lines
    assert said is not None or "old" not in lines


def test_before_the_first_state() -> None:
    link = Link(url="ws://x/", lost="refused")
    lines = draw(None, View(), History(), link, str, columns=80, rows=10).lines
    assert [text.plain(line).rstrip() for line in lines[:2]] == [
        "exai ws://x/  waiting for the daemon",
        "LOST; trying again: refused",
    ]


def first_names(view: View, **changes: Any) -> list[str]:
    lines = shown(state(**changes), view, rows=None)
    at = next(n for n, line in enumerate(lines) if line.startswith("TYPE"))
    return [line.split()[0 if view.table == "types" else 1] for line in lines[at + 1 :]]


@pytest.mark.parametrize(
    ("view", "names"),
    [
        (View(), ["sqlite", "websocket"]),
        (View(reverse=True), ["websocket", "sqlite"]),
        (View(sort="name"), ["sqlite", "websocket"]),
        (View(sort="name", reverse=True), ["websocket", "sqlite"]),
        (View(sort="errors"), ["websocket", "sqlite"]),
        (View(sort="p95"), ["websocket", "sqlite"]),
        (View(filter="SOCK"), ["websocket"]),
        (View(filter="nothing"), []),
        (View(table="functions"), ["complete", "models"]),
        (View(table="functions", filter="kimi mod"), ["models"]),
    ],
)
def test_sort_and_filter(view: View, names: list[str]) -> None:
    assert first_names(view) == names


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("columns", [40, 80, 200])
def test_the_column_that_is_sorted_by_is_marked(sort: Any, columns: int) -> None:
    (head,) = [line for line in shown(view=View(sort=sort), columns=columns) if line.startswith("TYPE")]
    assert head.count("↓") + head.count("↑") == 1


def test_holders_and_sessions_have_tables_of_their_own() -> None:
    one = state(permits=permits_with(holders=[holder(float(n), f"tool{n}") for n in range(40, 0, -1)]))
    lines = shown(one, View(table="holders"))
    assert sum("tool" in line for line in lines) == drawn(one, View(table="holders")).page
    assert lines[-1].endswith(" more ↓")
    assert any("tool7 " in line for line in shown(one, View(table="holders", filter="tool7")))
    sessions = [SessionState(id="gone-one", connected=False, inflight=0, queued=3, idle_s=61.0)]
    (row,) = [line for line in shown(state(sessions=sessions), View(table="sessions")) if "gone-one" in line]
    assert row.split() == ["gone-one", "gone", "0", "3", "1m", "1s"]


def test_rows_that_do_not_fit_are_scrolled_to() -> None:
    one = state(types={f"t{n:02}": type_(100.0 - n) for n in range(40)})
    view, first = View(), drawn(one)
    assert shown(one)[-1].endswith(f"{40 - first.page} more ↓")
    for key in ("pgdn", "down", "end", "down"):
        view = pressed(view, key, page=first.page, rows=first.rows)
    assert view.top == 40 - first.page
    lines = shown(one, view)
    assert any(line.startswith("t39") for line in lines)
    assert lines[-1].endswith(f"{40 - first.page} above ↑")
    assert pressed(view, "home", page=first.page, rows=first.rows).top == 0
    assert pressed(View(), "up", page=first.page, rows=first.rows).top == 0


def test_a_state_of_another_form_is_named() -> None:
    with pytest.raises(CouldNotLook, match="another form"):
        Now(state(permits={"limits": {}}))


def test_controls_are_shown_not_sent() -> None:
    bad = "a\x1b[2Jb\nc\u202e\ufe0f"
    one = state(types={bad: type_(1.0)}, permits=permits_with(holders=[holder(1, bad)]), version=bad)
    for table in TABLES:
        lines = drawn(one, View(table=table, filter=bad if table == "types" else ""), columns=200).lines
        assert all(text.plain(line).isprintable() for line in lines)
    assert "a\\x1b[2Jb\\nc" in "\n".join(shown(one, columns=200))


# --- keys ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "changes"),
    [
        ("q", {"quit": True}),
        ("p", {"paused": True}),
        ("pp", {}),
        (" ", {"paused": True}),
        ("s", {"sort": "events"}),
        (">>", {"sort": "errors"}),
        ("<", {"sort": "name"}),
        ("<<", {"sort": "bytes"}),
        ("r", {"reverse": True}),
        ("t", {"table": "functions"}),
        ("tt", {}),
        ("4t", {"table": "types"}),
        ("3", {"table": "holders"}),
        ("h", {"help": True}),
        ("?x", {}),
        ("hq", {"quit": True}),
        ("/qp", {"editing": "", "filter": "qp"}),
        (["/", "a", "b", "backspace", "enter"], {"filter": "a"}),
        (["/", "a", "esc"], {}),
        (["/", "a", "enter", "esc"], {}),
        (["/", "tab", "\x0c", "é"], {"editing": "", "filter": "é"}),
        ("/" + "a" * 300, {"editing": "", "filter": "a" * 200}),
        ("xyz", {}),
    ],
)
def test_keys(keys: Sequence[str], changes: dict[str, Any]) -> None:
    view = View()
    for key in keys:
        view = pressed(view, key, page=5, rows=3)
    assert view == replace(View(), **changes)


def test_what_is_typed_and_the_help_are_shown() -> None:
    assert shown(view=View(filter="kim", editing=""))[-1].startswith("/kim_")
    assert "filter: kim" in shown(view=View(filter="kim"))[-1]
    lines = shown(view=View(help=True))
    assert any(line.startswith("q  ") for line in lines)
    assert not any(line.endswith("…") for line in lines)


# --- any terminal ----------------------------------------------------------------------------

WORDS = st.text(max_size=30) | st.sampled_from(["漢字かな", "é\u0301", "🙂🙂", "\x1b[31m", "a" * 300])
NUMBERS = st.floats(0, 1e300) | st.integers(0, 100).map(float)


@st.composite
def any_state(draw_: st.DrawFn) -> State:
    names = draw_(st.lists(WORDS, max_size=12, unique=True))
    types = {
        name: type_(draw_(NUMBERS) % 1e200, errors=draw_(NUMBERS) % 1e200, p95_ms=draw_(st.none() | NUMBERS))
        for name in names
    }
    some = [AlertState(rule="r", message=draw_(WORDS), since=0.0, runbook=draw_(WORDS))]
    held = [
        holder(draw_(NUMBERS), draw_(WORDS), draw_(st.none() | WORDS))
        for _ in range(draw_(st.integers(0, 9)))
    ]
    limits = {
        name: {"limit": draw_(st.integers(0, 9)), "held": draw_(st.integers(0, 9))} for name in names[:3]
    }
    return state(
        types=types,
        functions=[series(name, draw_(NUMBERS)) for name in names],
        alerts=some * draw_(st.integers(0, 5)),
        permits=permits_with(holders=held, limits=limits),
        unready=draw_(st.none() | WORDS),
        version=draw_(WORDS),
    )


VIEWS = st.builds(
    View,
    table=st.sampled_from(TABLES),
    sort=st.sampled_from(SORTS),
    reverse=st.booleans(),
    filter=st.just("") | WORDS,
    editing=st.none() | st.just(""),
    help=st.booleans(),
    top=st.integers(0, 50),
)
LINKS = st.builds(
    Link,
    url=WORDS,
    lost=st.none() | WORDS,
    age_s=st.none() | NUMBERS,
    paused=st.none() | WORDS,
    restarted=st.booleans(),
)


@settings(max_examples=60, deadline=None)
@given(any_state(), VIEWS, LINKS, st.integers(1, 220), st.integers(1, 60))
def test_it_fits_any_terminal(one: State, view: View, link: Link, columns: int, rows: int) -> None:
    found = drawn(one, view, link=link, columns=columns, rows=rows)
    assert len(found.lines) == rows
    for line in found.lines:
        assert text.width(text.plain(line)) <= columns
        assert text.plain(line).isprintable()
    everything = drawn(one, view, link=link, columns=columns, rows=None)
    assert all(text.width(text.plain(line)) <= columns for line in everything.lines)


@pytest.mark.parametrize("columns", [40, 60, 80, 120, 200])
@pytest.mark.parametrize("table", TABLES)
def test_heads_are_never_cut(columns: int, table: Any) -> None:
    lines = drawn(view=View(table=table), columns=columns).lines
    heads = [text.plain(line) for line in lines if line and line[0][1] == "head"]
    assert heads
    assert not [head for head in heads if "…" in head]


@pytest.mark.parametrize("rows", [8, 12, 24])
def test_a_small_terminal_keeps_what_matters(rows: int) -> None:
    lines = shown(columns=40, rows=rows)
    assert lines[0].startswith("exai ws://")
    assert lines[1].startswith("ev/s 60.0  err/s 1.0")
    assert any(line.startswith("TYPE") for line in lines)
    assert any(line.startswith("sqlite") for line in lines)
    assert lines[-1].startswith("q quit")


# --- numbers and drawings --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "value", "said"),
    [
        (text.count, 0, "0"), (text.count, 9999, "9999"), (text.count, 12_345, "12.3k"),
        (text.count, 4.5e6, "4.5M"), (text.count, 999_999, "1.0M"), (text.count, 1e300, ">1MT"),
        (text.rate, 0.0, "0"), (text.rate, 0.017, "0.02"), (text.rate, 1.24, "1.2"),
        (text.rate, 123.4, "123"),
        (text.size, 0, "0 B"), (text.size, 1500, "1.5 kB"), (text.size, 2e6, "2.0 MB"),
        (text.milliseconds, None, "-"), (text.milliseconds, 0.421, "0.42ms"),
        (text.milliseconds, 12.34, "12.3ms"),
        (text.milliseconds, 830.4, "830ms"), (text.milliseconds, 1500.0, "1.50s"),
        (text.milliseconds, 34_000.0, "34.0s"), (text.milliseconds, 123_000.0, "2m 3s"),
        (text.age, 0.44, "0.4s"), (text.age, 59.4, "59s"), (text.age, 59.9, "1m 0s"), (text.age, 60, "1m 0s"),
        (text.age, 7500, "2h 5m"), (text.age, 273_600, "3d 4h"), (text.age, -1, "0.0s"),
    ],
)  # fmt: skip
def test_numbers(function: Any, value: Any, said: str) -> None:
    assert function(value) == said


@pytest.mark.parametrize(
    ("part", "whole", "said"),
    [
        (0, 4, "░░░░"),
        (1, 400, "█░░░"),
        (2, 4, "██░░"),
        (399, 400, "███░"),
        (4, 4, "████"),
        (9, 4, "████"),
        (0, 0, "░░░░"),
    ],
)
def test_bars(part: float, whole: float, said: str) -> None:
    assert text.bar(part, whole, 4) == said


def test_sparks() -> None:
    assert text.spark([0, 4, None, 8], 10) == "▁▄ █"
    assert text.spark([1, 0, 0], 2) == "▁▁"
    assert text.spark([1], 0) == ""
    assert text.ascii_only("▁█ ░…") == "_# .~"


def test_the_history_is_bounded_and_knows_gaps() -> None:
    history, now = History(), Now(state())
    for _ in range(HISTORY + 5):
        history.add(now)
    history.gap()
    history.gap()
    history.add(now)
    kept = history.copied()
    history.add(now)
    assert len(history.rate()) == HISTORY
    assert kept.rate()[-3:] == [60.0, None, 60.0]
    assert kept.p95_ms("sqlite")[-1] == 0.42
    assert kept.rate("another")[-1] is None
