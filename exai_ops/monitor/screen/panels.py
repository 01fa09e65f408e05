"""The parts of the screen above the table: the daemon, rates, load, alerts, permits with breakers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from exai_ops.monitor.screen.state import History, Now, Provider
from exai_ops.monitor.screen.text import (
    Line,
    Style,
    age,
    bar,
    cell,
    count,
    milliseconds,
    rate,
    size,
    spark,
    width,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Where the state is from, and how old it is.

    Attributes:
        lost: Why there is no connection, or None.
        age_s: Since the state came, None before the first.
        late_s: The age from which a state that should have been followed is late.
        paused: When the screen was held, as it is shown, or None.
        restarted: Whether another life of the daemon has begun since the screen did.
    """

    url: str
    lost: str | None = None
    age_s: float | None = None
    late_s: float = 5.0
    paused: str | None = None
    restarted: bool = False


def notice(link: Link) -> Line | None:
    """Why what is shown is not what is; None where it is."""
    old = "" if link.age_s is None else f", what is shown is {age(link.age_s)} old"
    if link.lost is not None:
        line: Line = [(f"LOST{old}; trying again: {link.lost}", "red")]
        return [*line, (f"; paused at {link.paused}", "yellow")] if link.paused else line
    if link.paused is not None:
        return [(f"PAUSED at {link.paused}{old}; p goes on", "yellow")]
    if link.age_s is not None and link.age_s > link.late_s:
        return [(f"SILENT{old}: the daemon is connected and sends nothing", "red")]
    return None


def title(now: Now | None, link: Link, clock: Callable[[float], str], columns: int) -> Line:
    """Which daemon, how it is, since when; the time at the right where it fits."""
    if now is None:
        return [(f"exai {link.url}", "bold"), ("  waiting for the daemon", "yellow")]
    state = now.state
    style: Style = "green" if state.state == "ready" and state.unready is None else "red"
    said = state.state if state.unready in (None, state.state) else f"not ready: {state.unready}"
    line: Line = [(f"exai {link.url}  ", "bold"), (said, style)]
    rest = f"  up {age(state.time - state.started_at)}"
    if link.restarted:
        rest += ", restarted"
    rest += f"  {state.version}{'  SIMULATED' if state.simulated else ''}"
    line.append((rest, ""))
    at = clock(state.time)
    left = columns - sum(width(text) for text, _ in line) - width(at)
    return [*line, (" " * left + at, "dim")] if left >= 2 else line


def rates(now: Now, history: History, columns: int) -> Line:
    """Events and errors a second of all types, over 1, 10 and 60 s."""
    told = now.rates()
    events = [rate(told[f"events_{seconds}s"]) for seconds in (1, 10, 60)]
    errors = [rate(told[f"errors_{seconds}s"]) for seconds in (1, 10, 60)]
    failing: Style = "red" if told["errors_10s"] > 0 else ""
    if columns < 60:
        return [(f"ev/s {events[0]}  ", "bold"), (f"err/s {errors[0]}", failing), (f"  60s {events[2]}", "")]
    line: Line = [
        ("events/s ", ""),
        (f"{events[0]:>5}", "bold"),
        (f" {events[1]:>5} {events[2]:>5}  ", ""),
        (f"errors/s {errors[0]:>4} {errors[1]:>4} {errors[2]:>4}", failing),
        ("  (1, 10, 60 s)  ", "dim"),
    ]
    points = history.rate()
    left = columns - sum(width(text) for text, _ in line)
    return [*line, (spark(points, min(60, left)), "cyan")] if len(points) > 1 else line


def load(now: Now, history: History, columns: int) -> Line:
    """Calls at work and waiting, sessions, the loop's lag, the slowest type's p95."""
    permits, state = now.permits, now.state
    held = permits.limits["global"].held if "global" in permits.limits else len(permits.holders)
    here = sum(one.connected for one in state.sessions)
    lag = state.lag
    slow: Style = "red" if (lag.max_60s_ms or 0) > 500 else ""
    roomy = columns >= 100
    crowded = roomy or permits.waiting > 0.8 * permits.queue_limit
    queue = f"queue {permits.waiting}" + (f"/{permits.queue_limit}" if crowded else "")
    line: Line = [
        (f"in flight {held}", "bold"),
        (f"  {queue}", "yellow" if permits.waiting else ""),
        (
            f"  sessions {here}"
            + (f" + {len(state.sessions) - here} gone" if here < len(state.sessions) else ""),
            "",
        ),
        (f"  lag {milliseconds(lag.last_ms)} max {milliseconds(lag.max_60s_ms)}", slow),
    ]
    slowest = now.slowest()
    if slowest is None:
        return _whole(line, columns)
    line.append((f"  p95 {milliseconds(slowest[1])} {slowest[0] + ' ' if roomy else ''}", ""))
    points = history.p95_ms()
    left = columns - sum(width(text) for text, _ in line)
    return _whole([*line, (spark(points, min(60, left)), "cyan")] if len(points) > 1 else line, columns)


def counters(now: Now, columns: int) -> Line:
    """What was recorded, kept and lost."""
    state = now.state
    stored = "none" if state.stored_bytes is None else size(state.stored_bytes)
    bad: Style = "yellow" if state.dropped or state.malformed else ""
    parts: Line = [
        (f"stored {stored}  sampled out {count(state.sampled_out)}", ""),
        (f"  dropped {count(state.dropped)}  malformed {count(state.malformed)}", bad),
        (f"  tails {state.tails}", ""),
        (f"  connections {state.connections}", ""),
        (f"  events {count(state.sequence)}", ""),
    ]
    return _whole(parts, columns)


def _whole(parts: Line, columns: int) -> Line:
    """As many parts as fit, from the first: a number cut in two would be another one."""
    while len(parts) > 1 and sum(width(text) for text, _ in parts) > columns:
        parts = parts[:-1]
    return parts


def alerts(now: Now) -> list[Line]:
    """What fires, oldest first."""
    firing = sorted(now.state.alerts, key=lambda one: one.since)
    return [
        [
            (f"ALERT {one.message}", "red"),
            (f"  for {age(now.state.time - one.since)}, runbook {one.runbook.rpartition('#')[2]}", ""),
        ]
        for one in firing
    ]


def permits(now: Now, columns: int) -> list[Line]:
    """A line for each limit, with the breaker of its provider; what contradicts the ledger."""
    lines = [_limit(name, now, columns) for name in now.permits.limits]
    lines += [
        [(f"{cell(name, 8)} ", ""), *_breaker(one, now)]
        for name, one in now.providers.items()
        if name not in now.permits.limits
    ]
    return lines + [[(f"LEDGER BROKEN {text}", "red")] for text in now.permits.broken]


def _limit(name: str, now: Now, columns: int) -> Line:
    one = now.permits.limits[name]
    full = one.held >= one.limit
    style: Style = "red" if full else "yellow" if one.held >= 0.8 * one.limit else "green"
    used = bar(one.held, one.limit, max(6, min(40, columns // 4)))
    line: Line = [(f"{cell(name, 8)} ", ""), (used, style), (f" {one.held:>3}/{one.limit}", "bold")]
    if full:
        line.append((" FULL", "red"))
    if name in now.providers:
        line += [("  ", ""), *_breaker(now.providers[name], now)]
    elif name == "global" and now.permits.leaked:
        line.append((f"  LEAKED {now.permits.leaked}", "red"))
    return line


def _breaker(one: Provider, now: Now) -> Line:
    if not one.configured:
        return [("no key", "dim")]
    if one.key_refused:
        return [("KEY REFUSED", "red")]
    words = {"open": "breaker OPEN", "half_open": "breaker HALF OPEN"}
    style: Style = {"open": "red", "half_open": "yellow"}.get(one.breaker, "")  # type: ignore[assignment]
    line: Line = [(words.get(one.breaker, f"breaker {one.breaker}"), style)]
    if one.consecutive_failures:
        noun = "failure" if one.consecutive_failures == 1 else "failures"
        line.append((f", {one.consecutive_failures} {noun}", "yellow"))
    if one.last_ok_at is not None:
        line.append((f", ok {age(now.state.time - one.last_ok_at)} ago", ""))
    if one.consecutive_failures and one.last_error:
        line.append((f": {one.last_error}", ""))
    return line
