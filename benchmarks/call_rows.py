"""The table's rows about calls under load, made of what the loads showed. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from benchmarks.calls import CHUNKS, Outcome
from benchmarks.litellm_proxy import VERSION
from benchmarks.processes import NotMeasured
from benchmarks.table import Limit, Ratio, Row, ratio

Figures = tuple[float, ...]
_LITELLM: Final = f"LiteLLM proxy {VERSION}"


def rows(groups: set[str], outcome: Outcome) -> list[Row]:
    """The rows of these groups, in the table's order."""
    return [row for group, make in _MAKERS.items() if group in groups for row in make(outcome)]


def _row(
    group: str,
    what: str,
    unit: str,
    figures: Callable[[], Figures],
    *,
    goal: str = "",
    limit: Limit | None = None,
    ratios: Callable[[], Iterable[Ratio]] = lambda: (),
) -> Row:
    """A row, or why there is none."""
    try:
        found = figures()
    except NotMeasured as error:
        return Row(group=group, what=what, goal=goal, missing=str(error))
    return Row(
        group=group, what=what, unit=unit, goal=goal, figures=found, limit=limit, ratios=tuple(ratios())
    )


def _cpu_over(outcome: Outcome, ours: str, others: Mapping[str, tuple[str, Limit | None]]) -> Iterable[Ratio]:
    for other, (named, limit) in others.items():
        try:
            yield ratio(named, outcome.of(ours, "cpu_us"), outcome.of(other, "cpu_us"), limit)
        except NotMeasured:
            yield Ratio(of=named, figures=(), limit=limit)


def _calls(outcome: Outcome) -> list[Row]:
    others = {
        "litellm-32": (_LITELLM, Limit(number=1 / 40)),
        "bare-32": ("the bare daemon", None),
    }
    return [
        _row(
            "calls",
            "CPU per `chat` call, 32 sessions, no-delay upstream",
            "us",
            lambda: outcome.of("exai-32", "cpu_us"),
            goal="at most 500 us, at most 1/40 of LiteLLM proxy",
            limit=Limit(number=500),
            ratios=lambda: _cpu_over(outcome, "exai-32", others),
        ),
        _row("calls", f"the same of {_LITELLM}", "us", lambda: outcome.of("litellm-32", "cpu_us")),
        _row("calls", "the same of the bare daemon", "us", lambda: outcome.of("bare-32", "cpu_us")),
        _row("calls", "calls/s, 32 sessions", "", lambda: outcome.of("exai-32", "calls_per_s")),
    ]


def _latency(outcome: Outcome) -> list[Row]:
    def added(attribute: str) -> Figures:
        ours, direct = outcome.of("exai-50ms", attribute), outcome.of("direct-50ms", attribute)
        return tuple(a - b for a, b in zip(ours, direct, strict=True))

    def over_direct(attribute: str) -> Iterable[Ratio]:
        yield ratio(
            "asking directly", outcome.of("exai-50ms", attribute), outcome.of("direct-50ms", attribute)
        )

    return [
        _row(
            "latency",
            "added median, 32 sessions, 50 ms upstream",
            "ms",
            lambda: added("p50_ms"),
            goal="at most 1.5 ms",
            limit=Limit(number=1.5),
            ratios=lambda: over_direct("p50_ms"),
        ),
        _row(
            "latency",
            "added p99, the same",
            "ms",
            lambda: added("p99_ms"),
            goal="at most 10 ms",
            limit=Limit(number=10),
            ratios=lambda: over_direct("p99_ms"),
        ),
    ]


def _sessions(outcome: Outcome) -> list[Row]:
    def over_32() -> Figures:
        return ratio("32 sessions", outcome.of("exai-256", "cpu_us"), outcome.of("exai-32", "cpu_us")).figures

    bare = {"bare-256": ("the bare daemon", None)}
    return [
        _row(
            "sessions",
            "CPU per call, 256 sessions over 32",
            "x",
            over_32,
            goal="at most 1.6",
            limit=Limit(number=1.6),
        ),
        _row(
            "sessions",
            "CPU per `chat` call, 256 sessions",
            "us",
            lambda: outcome.of("exai-256", "cpu_us"),
            ratios=lambda: _cpu_over(outcome, "exai-256", bare),
        ),
        _row("sessions", "the same of the bare daemon", "us", lambda: outcome.of("bare-256", "cpu_us")),
        _row(
            "sessions",
            "calls/s on one core, 256 sessions (1 / CPU per call)",
            "",
            lambda: tuple(1e6 / us for us in outcome.of("exai-256", "cpu_us")),
            goal="at least 2,500",
            limit=Limit(number=2500, least=True),
        ),
        _row("sessions", "calls/s seen, 256 sessions", "", lambda: outcome.of("exai-256", "calls_per_s")),
    ]


def _streaming(outcome: Outcome) -> list[Row]:
    def per_chunk() -> Figures:
        return tuple(us / CHUNKS for us in outcome.of("exai-stream", "cpu_us"))

    def more_per_chunk() -> Figures:
        streamed, whole = outcome.of("exai-stream", "cpu_us"), outcome.of("exai-32", "cpu_us")
        return tuple((a - b) / CHUNKS for a, b in zip(streamed, whole, strict=True))

    unstreamed = {"exai-32": ("an unstreamed call", None)}
    return [
        _row(
            "streaming",
            f"CPU per chunk, streamed call of {CHUNKS} chunks, 32 sessions",
            "us",
            per_chunk,
            goal="at most 60 us",
            limit=Limit(number=60),
        ),
        _row("streaming", "the same, less an unstreamed call", "us", more_per_chunk),
        _row(
            "streaming",
            "CPU per streamed call",
            "us",
            lambda: outcome.of("exai-stream", "cpu_us"),
            ratios=lambda: _cpu_over(outcome, "exai-stream", unstreamed),
        ),
        _row("streaming", "stream frames per call", "", lambda: outcome.of("exai-stream", "pieces")),
    ]


_MAKERS: Final[dict[str, Callable[[Outcome], list[Row]]]] = {
    "calls": _calls,
    "latency": _latency,
    "sessions": _sessions,
    "streaming": _streaming,
}
