"""A rule is a pure function and a row: code, severity, title, hint, explanation, function."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple, TypeAlias

from exai_ops.findings import Finding, Location, Status
from exai_ops.monitor.analysis.cube import Example
from exai_ops.monitor.analysis.decoding import Source
from exai_ops.monitor.analysis.traffic import Traffic, Window
from exai_ops.timezones import utc_iso

DOCS: Final = "docs/monitor.md#exai-monitor-analyze"
_ID_SHOWN: Final = 60


class Context(NamedTuple):
    """What the rules look at.

    Attributes:
        ping_interval_s, ping_timeout_s: Of the daemon, as far as is known.
        at: An instant as text, for messages.
    """

    traffic: Traffic
    sources: Sequence[Source] = ()
    ping_interval_s: float = 30.0
    ping_timeout_s: float = 30.0
    at: Callable[[float], str] = utc_iso

    def when(self, window: Window) -> str:
        """``from ... to ...``."""
        begin, end = self.traffic.span(window)
        return f"from {self.at(begin)} to {self.at(end)}"


class Found(NamedTuple):
    """What a rule found: where, how many, and an event that shows it.

    Attributes:
        subject: Type, or type and function: ``kimi/stream``.
        said: The message after the subject.
        window: When, None for all of the time.
        hint, severity: In place of the rule's own.
        begin, end: When, in seconds since the epoch, where it is no window of bins.
    """

    subject: str
    said: str
    number: int
    window: Window | None = None
    example: Example | None = None
    hint: str | None = None
    severity: Status | None = None
    begin: float | None = None
    end: float | None = None


RuleFunction: TypeAlias = Callable[[Context], Iterable[Found]]


class Rule(NamedTuple):
    """One rule.

    Attributes:
        code: Stable; never reused for another meaning.
        title: The good outcome.
        hint: What to do: a command or a setting by name.
        explanation: For ``--explain`` and the docs: how it is judged, and from which numbers on.
    """

    code: str
    severity: Status
    title: str
    hint: str
    explanation: str
    function: RuleFunction


class Judged(NamedTuple):
    """A finding with its evidence."""

    finding: Finding
    found: Found
    begin: float
    end: float


def judged(rule: Rule, found: Found, context: Context) -> Judged:
    """The finding of what a rule found."""
    traffic = context.traffic
    begin, end = (traffic.first, traffic.last) if found.window is None else traffic.span(found.window)
    begin = begin if found.begin is None else found.begin
    end = end if found.end is None else found.end
    message = f"{found.subject}: {found.said}{_example(found.example)}"
    finding = Finding(
        rule.code,
        found.severity or rule.severity,
        one_line(message),
        one_line(found.hint or rule.hint),
        Location(name=one_line(found.subject)),
    )
    return Judged(finding, found, begin, end)


def one_line(text: str) -> str:
    """A text of a recording that gives a terminal no orders, as one line."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _example(example: Example | None) -> str:
    if example is None or not (example.request or example.session):
        return ""
    name, value = ("request", example.request) if example.request else ("session", example.session)
    return f"; for example {name} {str(value)[:_ID_SHOWN]}"
