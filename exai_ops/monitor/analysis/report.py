"""What is told of a recording, as data: every form of the report is written from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np

from exai_ops.errors import UsageError
from exai_ops.monitor.analysis.cube import COUNT, ERROR, MS, Floats, Ints
from exai_ops.monitor.analysis.decoding import Source
from exai_ops.monitor.analysis.table import DOCS, Judged
from exai_ops.monitor.analysis.traffic import Spread, Traffic
from exai_ops.monitor.histogram import RELATIVE_ERROR
from exai_ops.timezones import utc_iso

SCHEMA_VERSION: Final = 1
SLOTS: Final = 60
"""Columns of what is drawn over time."""
FIELDS: Final = ("type", "function", "direction")
PERCENTS: Final = (50.0, 95.0, 99.0)
BARS: Final = 24


class Group(msgspec.Struct, kw_only=True):
    """Events that share what ``--by`` names.

    Attributes:
        events, errors, data_size_bytes, timed: Weights counted; ``timed`` have a response time.
        percentiles: In ms, by percent as text.
        over_time: Events in each of the slots.
    """

    by: dict[str, str]
    events: int
    errors: int
    data_size_bytes: int
    timed: int
    mean_ms: float | None
    percentiles: dict[str, float | None]
    over_time: list[int]


class Bar(msgspec.Struct):
    """Events whose response time is from above ``from_ms`` up to ``to_ms``."""

    from_ms: float
    to_ms: float
    events: int


class Evidence(msgspec.Struct, kw_only=True):
    """A finding with what it rests on: times in ISO 8601, and an event that shows it."""

    code: str
    status: str
    message: str
    hint: str
    subject: str
    count: int
    begin: str
    end: str
    request: str | None
    session: str | None
    docs: str


class Report(msgspec.Struct, kw_only=True):
    """All of it.

    Attributes:
        events: As read; ``weighted_events`` is how many they stand for; ``sampled_events`` for several each.
        bin_s: Resolution of what is told of time.
        percentile_error: Relative, at most.
        slot_s: Of ``over_time`` and ``errors_over_time``.
    """

    schema_version: int
    sources: list[Source]
    begin: str | None
    end: str | None
    begin_s: float
    seconds: float
    events: int
    weighted_events: int
    sampled_events: int
    errors: int
    data_size_bytes: int
    bin_s: float
    percentile_error: float
    by: list[str]
    percents: list[str]
    total: Group
    groups: list[Group]
    slot_s: float
    over_time: list[int]
    errors_over_time: list[int]
    histogram: list[Bar]
    summary: dict[str, int]
    findings: list[Evidence]


def parse_by(text: str) -> tuple[str, ...]:
    """``type,function`` as fields. Raises UsageError."""
    fields = tuple(part.strip() for part in text.split(",") if part.strip())
    for field in fields:
        if field not in FIELDS:
            raise UsageError(f"--by: {field!r} is not known", hint=f"any of {', '.join(FIELDS)}, with commas")
    if not fields:
        raise UsageError("--by: names nothing", hint=f"any of {', '.join(FIELDS)}, with commas")
    return tuple(dict.fromkeys(fields))


def parse_percents(text: str) -> tuple[float, ...]:
    """``50,95,99`` as numbers. Raises UsageError."""
    try:
        percents = tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError:
        percents = ()
    if not percents or len(percents) > 10 or not all(0 < percent <= 100 for percent in percents):
        raise UsageError(
            f"--p: {text!r} is no list of percents", hint="up to ten from 0 to 100, as 50,95,99.9"
        )
    return tuple(dict.fromkeys(percents))


def report(
    traffic: Traffic,
    sources: Sequence[Source],
    findings: Sequence[Judged],
    *,
    by: Sequence[str] = ("type", "function"),
    percents: Sequence[float] = PERCENTS,
) -> Report:
    """The report of what was read and found."""
    drawn = _Drawn(traffic, percents)
    everything = list(range(len(traffic.series)))
    total = drawn.group({}, everything)
    some = bool(traffic.events)
    return Report(
        schema_version=SCHEMA_VERSION,
        sources=list(sources),
        begin=utc_iso(traffic.first) if some else None,
        end=utc_iso(traffic.last) if some else None,
        begin_s=traffic.begin_s,
        seconds=round(traffic.seconds, 3),
        events=traffic.events,
        weighted_events=traffic.weight,
        sampled_events=traffic.sampled,
        errors=total.errors,
        data_size_bytes=total.data_size_bytes,
        bin_s=traffic.width_s,
        percentile_error=RELATIVE_ERROR,
        by=list(by),
        percents=[f"{percent:g}" for percent in percents],
        total=total,
        groups=drawn.groups(by),
        slot_s=drawn.per_slot * traffic.width_s,
        over_time=total.over_time,
        errors_over_time=drawn.slots(ERROR, everything),
        histogram=bars(traffic.spread(MS, everything)),
        summary=dict(Counter(str(one.finding.status) for one in findings)),
        findings=[_evidence(one) for one in findings],
    )


def _evidence(one: Judged) -> Evidence:
    finding, example = one.finding, one.found.example
    return Evidence(
        code=finding.code,
        status=str(finding.status),
        message=finding.message,
        hint=finding.hint,
        subject=one.found.subject,
        count=one.found.number,
        begin=utc_iso(one.begin),
        end=utc_iso(one.end),
        request=example and example.request,
        session=example and example.session,
        docs=DOCS,
    )


class _Drawn:
    """Groups of series as rows of the table."""

    def __init__(self, traffic: Traffic, percents: Sequence[float]) -> None:
        self._traffic = traffic
        self._percents = percents
        self.per_slot = max(1, -(-traffic.bins // SLOTS))

    def groups(self, by: Sequence[str]) -> list[Group]:
        """One for each value of the fields, most events first."""
        indexes = [FIELDS.index(field) for field in by]
        series: dict[tuple[str, ...], list[int]] = {}
        for number, key in enumerate(self._traffic.series):
            series.setdefault(tuple(key[index] for index in indexes), []).append(number)
        found = [self.group(dict(zip(by, key, strict=True)), numbers) for key, numbers in series.items()]
        return sorted(found, key=lambda group: (-group.events, list(group.by.values())))

    def group(self, by: dict[str, str], series: Sequence[int]) -> Group:
        traffic = self._traffic
        spread = traffic.spread(MS, series)
        total_ms = float(traffic.total_ms[series].sum()) if series else 0.0
        return Group(
            by=by,
            events=traffic.weighted(COUNT, series),
            errors=traffic.weighted(ERROR, series),
            data_size_bytes=int(traffic.bytes[series].sum()) if series else 0,
            timed=spread.size,
            mean_ms=_figures(total_ms / spread.size) if spread.size else None,
            percentiles={f"{p:g}": _figures(spread.percentile(p)) for p in self._percents},
            over_time=self.slots(COUNT, series),
        )

    def slots(self, kind: int, series: Sequence[int]) -> list[int]:
        """How many in each slot."""
        counts = self._traffic.over_time(kind, series)
        found: list[int] = (
            np.add.reduceat(counts, range(0, len(counts), self.per_slot)).tolist() if len(counts) else []
        )
        return found


def bars(spread: Spread) -> list[Bar]:
    """A histogram of at most ``BARS`` bars, each as wide as the others on a logarithmic scale."""
    some = spread.values > 0
    values: Floats = spread.values[some]
    counts: Ints = spread.counts[some]
    if not len(values):
        return []
    low, high = np.log10(values[0]), np.log10(values[-1])
    width = next(w for w in (0.05, 0.1, 0.2, 0.25, 0.5, 1.0, 2.0) if (high - low) / w <= BARS - 2)
    indexes = np.floor(np.log10(values) / width).astype(np.int64)
    found = np.bincount(indexes - indexes[0], counts).astype(np.int64).tolist()
    return [
        Bar(_figures(10 ** ((indexes[0] + n) * width)), _figures(10 ** ((indexes[0] + n + 1) * width)), count)
        for n, count in enumerate(found)
    ]


def _figures(value: Any) -> Any:
    """A number to four figures; None stays None."""
    return None if value is None else float(f"{float(value):.4g}")
