"""Charts as SVG, drawn in place, coloured by the page's own variables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final, NamedTuple

from exai_ops.monitor.analysis import words
from exai_ops.monitor.analysis.report import Bar

WIDTH: Final = 720
HEIGHT: Final = 180
_TOP: Final = 12
_BASE: Final = 150


class Mark(NamedTuple):
    """A stretch from ``begin`` to ``end``, of 0 to 1, that is pointed out."""

    begin: float
    end: float
    status: str
    label: str


def timeline(
    events: Sequence[int], errors: Sequence[int], labels: Sequence[str], marks: Iterable[Mark]
) -> str:
    """Events as an area, errors as columns on the same scale, marks behind both; ``labels`` under it."""
    top, count = max([1, *events]), max(1, len(events))
    step = WIDTH / count
    points = [_stair(n * step, (n + 1) * step, _y(value, top)) for n, value in enumerate(events)]
    area = f"0,{_BASE} {' '.join(points)} {WIDTH},{_BASE}"
    parts = [_mark(mark) for mark in marks]
    parts.append(f'<polygon class="area" points="{area}"/>')
    for n, value in enumerate(errors):
        if value:
            y = min(_y(value, top), _BASE - 2.0)
            parts.append(
                f'<rect class="bad" x="{n * step:.1f}" y="{y:.1f}" width="{max(1.5, step - 1):.1f}" '
                f'height="{_BASE - y:.1f}"><title>{value} errors</title></rect>'
            )
    parts.append(f'<text x="2" y="{_TOP - 2}">{words.number(top)}</text>')
    parts += _labels(labels)
    return _svg("Events and errors over time", parts)


def histogram(bars: Sequence[Bar]) -> str:
    """Columns by response time."""
    top, step = max([1, *(bar.events for bar in bars)]), WIDTH / max(1, len(bars))
    parts = []
    for n, bar in enumerate(bars):
        y, x = _y(bar.events, top), n * step + 1
        said = f"{words.ms(bar.from_ms)} to {words.ms(bar.to_ms)}: {words.number(bar.events)}"
        parts.append(
            f'<rect class="area" x="{x:.1f}" y="{y:.1f}" width="{step - 2:.1f}" height="{_BASE - y:.1f}">'
            f"<title>{said}</title></rect>"
        )
    if bars:
        middle = bars[len(bars) // 2]
        parts += _labels((words.ms(bars[0].from_ms), words.ms(middle.from_ms), words.ms(bars[-1].to_ms)))
    return _svg("Response times", parts)


def spark(values: Sequence[int]) -> str:
    """A small line."""
    top, last = max([1, *values]), max(1, len(values) - 1)
    points = " ".join(f"{n * 120 / last:.1f},{22 - 20 * v / top:.1f}" for n, v in enumerate(values))
    return f'<svg class="spark" viewBox="0 0 120 24" aria-hidden="true"><polyline points="{points}"/></svg>'


def _stair(left: float, right: float, y: float) -> str:
    return f"{left:.1f},{y:.1f} {right:.1f},{y:.1f}"


def _y(value: float, top: float) -> float:
    return _BASE - (_BASE - _TOP) * value / top


def _mark(mark: Mark) -> str:
    x = WIDTH * min(max(mark.begin, 0.0), 1.0)
    width = max(3.0, WIDTH * min(max(mark.end, 0.0), 1.0) - x)
    return (
        f'<rect class="mark {escape(mark.status)}" x="{x:.1f}" y="{_TOP}" width="{width:.1f}" '
        f'height="{_BASE - _TOP}"><title>{escape(mark.label)}</title></rect>'
    )


def _labels(labels: Sequence[str]) -> list[str]:
    anchors = ("start", "middle", "end")
    places = (2, WIDTH / 2, WIDTH - 2)
    return [
        f'<text x="{x}" y="{_BASE + 18}" text-anchor="{anchor}">{escape(label)}</text>'
        for label, x, anchor in zip(labels, places, anchors, strict=True)
    ]


def _svg(title: str, parts: Iterable[str]) -> str:
    head = f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
    return f"{head}{''.join(parts)}</svg>"
