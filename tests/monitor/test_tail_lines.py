"""What ``exai monitor tail`` makes of events, and what it refuses before it asks any daemon."""

from __future__ import annotations

import json
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exai_ops.cli import main
from exai_ops.commands.monitor.clock import Clock, clock
from exai_ops.commands.monitor.lines import Exported, Lines, Ndjson, Template, Text, duration, size
from exai_ops.commands.monitor.options import duration_s, filter_of, instant_s
from exai_ops.commands.monitor.tally import Tally
from exai_ops.errors import UsageError
from exai_ops.monitor.events import Event
from exai_ops.monitor.export import encoded
from exai_ops.monitor.filters import failed
from exai_ops.monitor.wire import Dropped, Gap, Problem

MELBOURNE = Clock(ZoneInfo("Australia/Melbourne"))
BASE: dict[str, Any] = {
    "timestamp": 1_767_225_599.25,  # 2025-12-31T23:59:59.250Z
    "connection_type": "kimi",
    "direction": "receive",
    "script_name": "providers/upstream.py",
    "function_name": "stream",
    "data_size_bytes": 2300,
    "response_time_ms": 12.345,
    "metadata": {"request": "r1", "attempt": 2},
}


def shown(lines: Lines, **fields: Any) -> str:
    raw = msgspec.Raw(encoded(Event(**BASE | fields)))
    return lines.event(msgspec.json.decode(raw, type=Exported), raw)


def test_a_line_of_text() -> None:
    text = Text(MELBOURNE, colour=False)
    first = shown(text)
    assert first.splitlines() == [
        "-- 2026-01-01 AEDT --",
        (
            "10:59:59.250 AEDT  kimi      receive    stream                  2.3 kB   12.3 ms"
            " request=r1 attempt=2"
        ),
    ]
    row = shown(text, error="HTTP 500", response_time_ms=None, data_size_bytes=0, metadata=None, weight=10)
    assert row.splitlines()[0].split() == [
        "10:59:59.250", "AEDT", "kimi", "receive", "stream", "x10", "HTTP", "500",
    ]  # fmt: skip
    assert shown(text, timestamp=BASE["timestamp"] + 86400).startswith("-- 2026-01-02 AEDT --\n")


def test_what_fails_is_red_and_only_with_colour() -> None:
    assert "\x1b[31m" in shown(Text(MELBOURNE, colour=True), error="x")
    assert "\x1b[31m" in shown(Text(MELBOURNE, colour=True), direction="rate_limit")
    assert "\x1b[31m" not in shown(Text(MELBOURNE, colour=True))
    assert "\x1b" not in shown(Text(MELBOURNE, colour=False), error="x")


EVIL = "a\x1b]0;title\x07\nb\u202ec"


@pytest.mark.parametrize("field", ["connection_type", "direction", "function_name", "error", "metadata"])
def test_nothing_of_an_event_drives_the_terminal(field: str) -> None:
    value: Any = {EVIL: EVIL} if field == "metadata" else EVIL
    for lines in (
        Text(MELBOURNE, colour=False),
        Template("{type} {direction} {function} {error} {metadata}", MELBOURNE),
    ):
        text = shown(lines, **{field: value})
        assert r"a\x1b]0;title\x07\nb\u202ec" in text
        assert text.splitlines()[-1].isprintable()


def test_ndjson_is_the_event_as_it_came() -> None:
    lines = Ndjson()
    text = shown(lines, error=EVIL)
    assert json.loads(text) == Event(**BASE | {"error": EVIL}).exported()
    assert text.count("\n") == 1
    for note in (Dropped(sequence=9, count=3), Gap(reason="expired", missed=2), Problem(message="x")):
        told = json.loads(lines.note(note))
        assert "op" in told
        assert "timestamp" not in told


@pytest.mark.parametrize(
    ("note", "said"),
    [
        (Dropped(sequence=200, count=120), "-- dropped 120 --"),
        (Gap(reason="restarted"), "-- gap: the daemon was restarted, how many were missed is not known --"),
        (Gap(reason="restarted", missed=7), "-- gap: the daemon was restarted, 7 missed --"),
        (Gap(reason="expired", missed=7), "-- gap: 7 are no longer kept --"),
        (Gap(reason="expired"), "-- gap: older ones are no longer kept --"),
        (Problem(message="no\x1bway"), r"-- no\x1bway --"),
    ],
)
def test_what_is_missing_is_said(note: Any, said: str) -> None:
    assert Text(MELBOURNE, colour=False).note(note) == said + "\n"
    assert Template("{time}", MELBOURNE).note(note) == said + "\n"


@pytest.mark.parametrize(
    ("template", "line"),
    [
        ("{time} {zone} {type:<6}|{ms:>8}|", "10:59:59.250 AEDT kimi  |   12.35|"),
        (r"{date}\t{function}\\{{x}}", "2026-01-01\tstream\\{x}"),
        ("{datetime} {timestamp}", "2025-12-31T23:59:59.250+00:00 1767225599.250000"),
        ("{request} {attempt} {session} {error}", "r1 2 - -"),
        ("{metadata} {size} {weight}", "request=r1 attempt=2 2300 1"),
        ("{direction:.3} {script}", "rec providers/upstream.py"),
    ],
)
def test_templates(template: str, line: str) -> None:
    assert shown(Template(template, MELBOURNE)) == line + "\n"


@pytest.mark.parametrize(
    ("template", "said", "hint"),
    [
        ("{tme}", "{tme} is no field", "did you mean {time}?"),
        ("{}", "{} is no field", "one of time"),
        ("{time.__class__}", "{time.__class__} is no field", ""),
        ("{0}", "{0} is no field", "one of time"),
        ("{time", "'{time': expected '}'", "{{ and }} are braces"),
        ("}", "Single '}'", "{{ and }} are braces"),
        ("nothing", "names no field", "one of time"),
        ("{ms:d}", "{ms:d}: only alignment", "{ms:>8}"),
        ("{ms!r}", "{ms!r}: only alignment", "{ms:>8}"),
        ("{ms:>99999999}", "only alignment", "{ms:>8}"),
        ("{ms:{size}}", "only alignment", "{ms:>8}"),
    ],
)
def test_a_bad_template_is_named(template: str, said: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        Template(template, MELBOURNE)
    assert said in caught.value.message
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("ms", "text"),
    [(0, "0.00 ms"), (9.994, "9.99 ms"), (10, "10.0 ms"), (999.94, "999.9 ms"), (999.95, "1.00 s")],
)
def test_durations(ms: float, text: str) -> None:
    assert duration(ms) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, ""), (999, "999 B"), (1500, "1.5 kB"), (999_950, "1.0 MB"), (2_000_000, "2.0 MB")]
)
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        (1_767_225_599.25, ("2026-01-01", "10:59:59.250", "AEDT")),
        (1_775_318_399.9996, ("2026-04-05", "02:00:00.000", "AEST")),  # the change of 2026
        (1_751_328_000.0, ("2025-07-01", "10:00:00.000", "AEST")),
    ],
)
def test_times_are_shown_in_the_zone(timestamp: float, expected: tuple[str, str, str]) -> None:
    assert MELBOURNE.at(timestamp) == expected


def test_the_zone_is_the_named_one_then_that_of_tz() -> None:
    assert clock("UTC", "Europe/Berlin").at(0).zone == "UTC"
    assert clock(None, "Europe/Berlin").at(0).zone == "CET"
    assert clock(None, "no/zone").at(0).zone == clock(None, None).at(0).zone
    for name, hint in (
        ("Australia/Melborne", "Australia/Melbourne"),
        ("../x", "UTC"),
        ("Australia", ""),
        ("", "UTC"),
    ):
        with pytest.raises(UsageError, match="--tz") as caught:
            clock(name, None)
        assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("2", 2), ("1.5s", 1.5), ("10m", 600), ("2h", 7200), ("1d", 86400)]
)
def test_lengths_of_time(text: str, seconds: float) -> None:
    assert duration_s(text, "--x") == seconds
    assert instant_s(text, "--x", 1e9) == 1e9 - seconds


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("soon", "is no time"),
        ("2026-01-31", "has no offset"),
        ("2026-01-31T09:30", "has no offset"),
        ("-5m", "no time"),
        ("", "is no time"),
    ],
)
def test_what_is_no_time(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        instant_s(text, "--since", 0.0)
    assert instant_s("2026-01-01T10:59:59.250+11:00", "--since", 0.0) == BASE["timestamp"]


def test_options_become_a_filter() -> None:
    wanted = filter_of(types=["kimi, glm", "sqlite"], directions=["send"], slower="2s", session=" ab ")
    assert wanted.types == ("kimi", "glm", "sqlite")
    assert (wanted.slower_ms, wanted.session, wanted.errors) == (2000.0, "ab", False)
    with pytest.raises(UsageError, match="--type: names nothing"):
        filter_of(types=[","])


def test_the_summary_counts_what_was_shown() -> None:
    tally = Tally()
    for n in range(1, 101):
        fields = {"response_time_ms": float(n), "error": "x" if n > 95 else None, "weight": 2}
        raw = encoded(Event(**BASE | fields))
        tally.event(msgspec.json.decode(raw, type=Exported))
    tally.event(msgspec.json.decode(encoded(Event(1.0, "glm\x1b", "send", "s", "f")), type=Exported))
    for note in (Dropped(sequence=9, count=120), Gap(reason="expired", missed=7), Gap(reason="restarted")):
        tally.note(note)
    first, head, *rows = tally.lines(61.26)
    assert first == "101 events (for 201) in 61.3 s, 5 errors, dropped 120, gaps 2 (7 missed)"
    assert head.split() == ["type", "events", "errors", "p50", "p95", "p99"]
    assert [row.split()[:3] for row in rows] == [
        [r"glm\x1b", "1", "0"],
        ["kimi", "100", "5"],
        ["all", "101", "5"],
    ]
    assert [float(ms) for ms in rows[1].split()[3::2]] == pytest.approx([50, 95, 99], rel=0.03)
    assert list(Tally().lines(0.0)) == ["0 events in 0.0 s, 0 errors, dropped 0, gaps 0"]


@given(st.sampled_from(["send", "error", "reject", "rate_limit"]), st.none() | st.text())
def test_an_error_is_an_error_on_both_sides(direction: str, error: str | None) -> None:
    event = Event(1.0, "kimi", direction, "s", "f", error=error)
    assert msgspec.json.decode(encoded(event), type=Exported).failed is failed(event)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--grep", "a(b"], "--grep: 'a(b' at character 2"),
        (["--direction", "sent"], "--direction: 'sent' is not known"),
        (["--slower", "fast"], "--slower: 'fast' is no length of time"),
        (["--since", "now"], "--since: 'now' is no time"),
        (["--since", "1m", "--last", "2"], "--last: is a number of events, --since a time"),
        (["--for", "x"], "--for: 'x' is no length of time"),
        (["--format", "xml"], "--format: 'xml' is not known"),
        (["--format", "{tme}"], "{tme} is no field"),
        (["--format", "text", "--template", "{time}"], "--format: is what --template is for"),
        (["--tz", "Mars"], "--tz: 'Mars' is no zone"),
        (["--url", "ws://127.0.0.1:1/", "--port", "1"], "--port: is in --url already"),
        (["--url", "http://127.0.0.1/"], "--url: is not a ws:// or wss:// URL"),
        (["--last", "-1"], "--last"),
    ],
)
def test_a_bad_option_is_one_line_and_2(
    args: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["monitor", "tail", *args]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("exai: error: ")
    assert said in err
    assert len(err.splitlines()) <= 2
