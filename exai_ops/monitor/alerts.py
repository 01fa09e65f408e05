"""Alert rules: which signal above which bound for how long, and when it is over. Pure.

A rule fires once its signal has been above the bound for its time, and is over once it has been at or below
the lower bound for as long: between the two nothing changes, so that a signal at the bound does not ring at
each swing. A signal that nobody knows now (None) changes nothing and starts no time; one that stays unknown
for ``UNKNOWN_S`` ends its alert, and says so: a rate without traffic is none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Unit: TypeAlias = Literal["%", "ms", ""]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """Something that can be alerted on.

    Attributes:
        unit: ``%`` of a share from 0 to 1, ``ms``, or nothing for a count.
        by_type: Whether ``name:TYPE`` asks for one connection type; without, the worst of all is meant.
        what: What it is, for people.
        runbook: The section of ``docs/runbooks.md`` that says what to do.
    """

    name: str
    unit: Unit
    what: str
    runbook: str
    by_type: bool = False


SIGNALS: Final[Mapping[str, Signal]] = {
    one.name: one
    for one in (
        Signal(name="error_rate", unit="%", by_type=True, runbook="error-rate",
               what="events with an error, of those of the last 60 s, where there are at least 20"),
        Signal(name="p95", unit="ms", by_type=True, runbook="slow",
               what="95th percentile of the response times of the last 60 s, where there are at least 20"),
        Signal(name="leaks", unit="", runbook="leaked-permit", what="leaked permits"),
        Signal(name="breaker_open", unit="", runbook="breaker-open", what="providers whose breaker is open"),
        Signal(name="at_limit", unit="", runbook="at-limit",
               what="limits, global or of a provider, of which no permit is free"),
        Signal(name="loop_lag", unit="ms", runbook="loop-lag", what="worst lag of the event loop in 60 s"),
    )
}  # fmt: skip

DEFAULT: Final = (
    "error_rate > 25% for 60s; leaks > 0 for 5s; breaker_open > 0; at_limit > 0 for 60s;"
    " loop_lag > 500ms for 10s"
)
CLEAR_SHARE: Final = 0.8
"""The lower bound where none is written, as a part of the bound; of a count, the bound itself."""
MAX_RULES: Final = 100
UNKNOWN_S: Final = 300.0

_RULE: Final = re.compile(
    r"""(?P<signal>[a-z0-9_]+)(?::(?P<type>[A-Za-z0-9_.-]+))?\s*>\s*(?P<bound>[0-9.]+)\s*(?P<unit>%|ms|s|)
        (?:\s+for\s+(?P<time>[0-9.]+)\s*(?P<time_unit>ms|s|m|h))?
        (?:\s+clear\s+(?P<clear>[0-9.]+)\s*(?P<clear_unit>%|ms|s|))?""",
    re.VERBOSE,
)
_UNITS: Final[Mapping[str, Mapping[str, float]]] = {
    "%": {"%": 0.01},
    "ms": {"ms": 1.0, "s": 1000.0},
    "": {"": 1.0},
}
_TIMES_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
EXAMPLE: Final = "error_rate:kimi > 20% for 60s clear 10%"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """``signal`` above ``bound`` for ``for_s`` seconds fires; at or below ``clear`` for as long ends it.

    Attributes:
        key: The signal, with the connection type where one is meant: what values are looked up by.
        text: As it was written.
    """

    text: str
    key: str
    signal: Signal
    bound: float
    clear: float
    for_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A signal's value now; ``detail`` says what it is the value of."""

    value: float
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A rule began to fire, or it is over.

    Attributes:
        reading: What it was told by; None where it is over because nobody knows its signal any more.
        since: Seconds since the epoch at which it began to fire.
        message: One line.
    """

    status: Literal["firing", "resolved"]
    rule: Rule
    reading: Reading | None
    since: float
    message: str


@dataclass(slots=True)
class _State:
    since: float | None = None
    changing_since: float | None = None
    unknown_since: float | None = None
    message: str = ""


class Alerts:
    """The state of some rules."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = tuple(rules)
        self._states = {rule: _State() for rule in self.rules}

    def see(self, readings: Mapping[str, Reading | None], now: float) -> list[Change]:
        """Take the values of one moment, by ``Rule.key``; what changed by them. ``now`` never goes back."""
        changes = (self._see(rule, readings.get(rule.key), now) for rule in self.rules)
        return [change for change in changes if change is not None]

    def firing(self) -> list[tuple[Rule, str, float]]:
        """(rule, message, since) of those that fire now, the longest first."""
        found = [
            (rule, state.message, state.since)
            for rule, state in self._states.items()
            if state.since is not None
        ]
        return sorted(found, key=lambda one: one[2])

    def _see(self, rule: Rule, reading: Reading | None, now: float) -> Change | None:
        state = self._states[rule]
        if reading is None:
            return _unknown(rule, state, now)
        state.unknown_since = None
        fires = state.since is not None
        towards_change = reading.value <= rule.clear if fires else reading.value > rule.bound
        if not towards_change:
            state.changing_since = None
            if fires:
                state.message = said(rule, reading)
            return None
        if state.changing_since is None:
            state.changing_since = now
        if now - state.changing_since < rule.for_s:
            return None
        return _over(rule, reading, state) if fires else _begun(rule, reading, state)


def _begun(rule: Rule, reading: Reading, state: _State) -> Change:
    state.since, state.changing_since = state.changing_since, None
    state.message = said(rule, reading)
    assert state.since is not None  # noqa: S101 - it was changing
    return Change(status="firing", rule=rule, reading=reading, since=state.since, message=state.message)


def _over(rule: Rule, reading: Reading | None, state: _State) -> Change:
    since = state.since
    state.since = state.changing_since = state.unknown_since = None
    state.message = ""
    assert since is not None  # noqa: S101 - it fired
    message = f"{rule.key} is not known any more" if reading is None else said(rule, reading)
    return Change(status="resolved", rule=rule, reading=reading, since=since, message=message)


def _unknown(rule: Rule, state: _State, now: float) -> Change | None:
    state.changing_since = None
    if state.unknown_since is None:
        state.unknown_since = now
    if state.since is None or now - state.unknown_since < UNKNOWN_S:
        return None
    return _over(rule, None, state)


def said(rule: Rule, reading: Reading) -> str:
    """``error_rate:kimi is 34%, above 20% for 60 s (kimi)``."""
    relation = "above" if reading.value > rule.bound else "no more above"
    time = f" for {rule.for_s:g} s" if rule.for_s else ""
    detail = f" ({reading.detail})" if reading.detail else ""
    return f"{rule.key} is {_shown(rule, reading.value)}, {relation} {_shown(rule, rule.bound)}{time}{detail}"


def _shown(rule: Rule, value: float) -> str:
    if rule.signal.unit == "%":
        return f"{value * 100:.3g}%"
    return f"{value:.4g} ms" if rule.signal.unit == "ms" else f"{value:g}"


def parse(text: str) -> list[Rule]:
    """Rules as ``SIGNAL[:TYPE] > BOUND [for TIME] [clear BOUND]``, apart by semicolons; ``default`` means
    ``DEFAULT``, ``none`` none. Raises ValueError that repeats the rule and says what is wrong with it.
    """
    written = [one.strip() for one in text.split(";")]
    rules: list[Rule] = []
    for one in written:
        if one == "default":
            rules += parse(DEFAULT)
        elif one and one != "none":
            rules.append(_rule(one))
    if len(rules) > MAX_RULES:
        raise ValueError(f"{len(rules)} rules are more than {MAX_RULES}")
    return list(dict.fromkeys(rules))


def _rule(text: str) -> Rule:
    found = _RULE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:80]!r} is no rule; write it like {EXAMPLE}")
    signal = SIGNALS.get(found["signal"])
    if signal is None:
        raise ValueError(f"{text[:80]!r}: {found['signal']} is no signal; there are {', '.join(SIGNALS)}")
    if found["type"] and not signal.by_type:
        raise ValueError(f"{text[:80]!r}: {signal.name} is not told by type")
    bound = _number(text, signal, found["bound"], found["unit"])
    clear = bound if signal.unit == "" else bound * CLEAR_SHARE
    if found["clear"]:
        clear = _number(text, signal, found["clear"], found["clear_unit"])
    if clear > bound:
        raise ValueError(f"{text[:80]!r}: it would be over while it fires; clear must not be above the bound")
    for_s = _float(text, found["time"]) * _TIMES_S[found["time_unit"]] if found["time"] else 0.0
    key = f"{signal.name}:{found['type']}" if found["type"] else signal.name
    return Rule(text=text, key=key, signal=signal, bound=bound, clear=clear, for_s=for_s)


def _number(text: str, signal: Signal, number: str, unit: str) -> float:
    factor = _UNITS[signal.unit].get(unit)
    if factor is None:
        allowed = " or ".join(known or "no unit" for known in _UNITS[signal.unit])
        raise ValueError(f"{text[:80]!r}: a bound of {signal.name} has {allowed}")
    return _float(text, number) * factor


def _float(text: str, number: str) -> float:
    try:
        return float(number)
    except ValueError:
        raise ValueError(f"{text[:80]!r}: {number} is no number") from None
