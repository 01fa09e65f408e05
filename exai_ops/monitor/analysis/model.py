"""What rules look at and what they give."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from exai_ops.findings import Finding, Location, Status
from exai_ops.monitor.analysis.cube import Example
from exai_ops.monitor.analysis.sources import Skipped
from exai_ops.monitor.analysis.traffic import Traffic, Window
from exai_ops.timezones import utc_iso

Evidence: TypeAlias = Mapping[str, Any]


class View(NamedTuple):
    """What was read.

    Attributes:
        at: Shows an instant in seconds since the epoch.
        ordered: Whether the events were counted in the order in which they were recorded.
        whole: Whether no filter left events out.
    """

    traffic: Traffic
    skipped: Skipped
    at: Callable[[float], str]
    ordered: bool = True
    whole: bool = True

    def when(self, window: Window) -> str:
        """``09:30:00 AEDT to 09:31:00 AEDT``."""
        begin, end = self.traffic.span(window)
        return f"{self.at(begin)} to {self.at(end)}"

    def times(self, window: Window) -> dict[str, str]:
        """The same as evidence, in UTC."""
        begin, end = self.traffic.span(window)
        return {"from": utc_iso(begin), "to": utc_iso(end)}

    def example(self, kind: int, series: Sequence[int], window: Window | None = None) -> dict[str, Any]:
        """An event of this kind as evidence; empty without one."""
        return shown(self.traffic.example(kind, series, window))


def shown(example: Example | None) -> dict[str, Any]:
    """An example as evidence."""
    if example is None:
        return {}
    known = {"request": example.request, "session": example.session, "error": example.error}
    return {"example_at": utc_iso(example.timestamp)} | {k: v for k, v in known.items() if v is not None}


def told(example: Mapping[str, Any]) -> str:
    """``; for example request 442df3 (timed out)``, or nothing."""
    parts = [f"request {example['request']}" if "request" in example else ""]
    parts.append(f"({example['error']})" if "error" in example else "")
    said = " ".join(part for part in parts if part)
    return f"; for example {said}" if said else ""


class Found(NamedTuple):
    """What a rule has found; ``name`` is the type, or type and function, that it is about."""

    message: str
    hint: str
    name: str = ""
    evidence: Evidence = MappingProxyType({})
    status: Status | None = None
    where: Location | None = None


class Rule(NamedTuple):
    """One rule.

    Attributes:
        title: The good outcome.
        hint: What to do, in general.
        explanation: For ``--explain`` and the docs: what is looked at, and what it takes to be said.
    """

    code: str
    severity: Status
    title: str
    hint: str
    explanation: str
    function: Callable[[View], Iterable[Found]]


class Judged(NamedTuple):
    """A finding with its evidence."""

    finding: Finding
    evidence: Evidence


def judged(rule: Rule, found: Found) -> Judged:
    """As the renderers take it."""
    where = found.where or Location(name=found.name or None)
    finding = Finding(rule.code, found.status or rule.severity, found.message, found.hint or rule.hint, where)
    return Judged(finding, found.evidence)


def _line(text: str) -> str:
    """One line that gives a terminal no orders, whatever the events held."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def percent(part: float, whole: float) -> str:
    """``3.2 %``."""
    share = 100 * part / whole if whole else 0.0
    return f"{share:.1f} %" if share < 9.95 else f"{share:.0f} %"


def length(ms: float) -> str:
    """``0.42 ms``, ``12.3 ms``, ``1.50 s``, ``3.0 min``."""
    if ms >= 599_500:
        return f"{ms / 60_000:.1f} min"
    if ms >= 999.5:
        return f"{ms / 1000:.2f} s"
    return f"{ms:.0f} ms" if ms >= 99.5 else f"{ms:.1f} ms" if ms >= 9.95 else f"{ms:.2f} ms"


def number(value: float) -> str:
    """``12,345``; small ones that are not whole with one digit more."""
    return f"{value:.1f}" if value < 10 and value != int(value) else f"{value:,.0f}"
