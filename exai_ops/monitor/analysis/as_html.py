"""The report as one HTML file: nothing is fetched, drawings are inline SVG, every value is escaped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from exai_ops.monitor.analysis.as_report import bound, size
from exai_ops.monitor.analysis.model import Judged, View, length, number, percent
from exai_ops.monitor.analysis.summary import Group, Summary

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --line: #d9dee5; --back: #ffffff;
  --card: #f5f7fa; --blue: #2f6fde; --red: #c8322b; --amber: #9a6200; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #9aa5b4; --line: #333c49;
  --back: #12161c; --card: #1b212a; --blue: #6ea2ff; --red: #ff7b72; --amber: #e3b341; } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 70rem; padding: 1rem; background: var(--back); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif }
h1 { font-size: 1.4rem; margin: 0 0 .2rem } h2 { font-size: 1.1rem; margin: 2rem 0 .6rem }
p { margin: .2rem 0 } .soft { color: var(--soft) }
.numbers { display: flex; flex-wrap: wrap; gap: .6rem; margin: 1rem 0 }
.numbers div { background: var(--card); border-radius: .5rem; padding: .5rem .9rem; min-width: 8rem;
  flex: 1 }
.numbers b { display: block; font-size: 1.3rem; font-variant-numeric: tabular-nums }
.finding { background: var(--card); border-left: .3rem solid var(--soft); border-radius: .4rem;
  padding: .5rem .9rem; margin: .6rem 0; overflow-wrap: anywhere }
.error { border-color: var(--red) } .warning { border-color: var(--amber) }
.error .status { color: var(--red) }
.warning .status { color: var(--amber) }
.status { font-weight: 600 } code { font-size: .9em }
.wide { overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid var(--line); white-space:
  nowrap }
th { color: var(--soft); font-weight: 600 } .name { text-align: left }
figure { margin: .8rem 0 } figcaption { color: var(--soft); font-size: .9rem }
svg { display: block; width: 100%; height: auto }
td svg { width: 8rem; height: 1.4rem }
.bar { fill: var(--blue) } .bad { fill: var(--red) }
.line { fill: none; stroke: var(--blue); stroke-width: 2 }
details { margin-top: .3rem }
dl { display: grid; grid-template-columns: auto 1fr; gap: .1rem .8rem; margin: .3rem 0 }
dt { color: var(--soft) } dd { margin: 0 }
"""


_POLICY: Final = (
    "http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\""
)


def as_html(summary: Summary, found: Sequence[Judged], view: View) -> str:
    """The whole page."""
    body = [*_head(summary, view), *_findings(found), *_curves(summary, view), *_histogram(summary)]
    body += _table(summary)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<meta {_POLICY}>\n"
        f"<title>exai: traffic from {escape(view.at(summary.first))}</title>\n<style>{_STYLE}</style>\n"
        "</head>\n<body>\n" + "\n".join(body) + "\n</body>\n</html>\n"
    )


def _head(summary: Summary, view: View) -> Iterator[str]:
    lasted = length(1000 * (summary.last - summary.first))
    yield "<h1>Traffic of exai</h1>"
    yield f'<p class="soft">{escape(view.at(summary.first))} to {escape(view.at(summary.last))}, {lasted}</p>'
    numbers = [
        ("events", number(summary.weight)),
        ("errors", f"{number(summary.errors)} ({percent(summary.errors, summary.weight)})"),
        ("rate limits", number(summary.limited)),
    ]
    if summary.weight != summary.events:
        numbers.insert(1, ("of them kept", number(summary.events)))
    if view.skipped.count:
        numbers.append(("lines skipped", number(view.skipped.count)))
    cards = "".join(f"<div><b>{escape(value)}</b>{name}</div>" for name, value in numbers)
    yield f'<div class="numbers">{cards}</div>'


def _findings(found: Sequence[Judged]) -> Iterator[str]:
    yield "<h2>Findings</h2>"
    if not found:
        yield "<p>None.</p>"
    for finding, evidence in found:
        where = f"{escape(str(finding.where))} " if str(finding.where) else ""
        yield (
            f'<div class="finding {finding.status}">'
            f'<span class="status">{finding.status} {finding.code}</span> '
            f"{where}{escape(finding.message)}"
        )
        if finding.hint:
            yield f'<p class="soft">{escape(finding.hint)}</p>'
        if evidence:
            rows = "".join(f"<dt>{escape(str(k))}</dt><dd>{escape(str(v))}</dd>" for k, v in evidence.items())
            yield f"<details><summary>evidence</summary><dl>{rows}</dl></details>"
        yield "</div>"


def _curves(summary: Summary, view: View) -> Iterator[str]:
    yield "<h2>Over time</h2>"
    ends = f"{escape(view.at(summary.first))} to {escape(view.at(summary.last))}"
    curves: list[tuple[str, Sequence[float | None], str, str]] = [
        ("events", summary.events_over_time, "bar", number(max(summary.events_over_time, default=0)))
    ]
    if any(summary.errors_over_time):
        curves.append(("errors", summary.errors_over_time, "bad", number(max(summary.errors_over_time))))
    levels = [value for value in summary.p95_over_time if value is not None]
    if levels:
        curves.append(
            ("95th percentile of response times", summary.p95_over_time, "bar", length(max(levels)))
        )
    for name, values, kind, most in curves:
        said = f"<figcaption>{name}, at most {most}; {ends}</figcaption>"
        yield f"<figure>{_bars(values, kind, 600, 80)}{said}</figure>"


def _bars(values: Sequence[float | None], kind: str, width: int, height: int) -> str:
    most = max((value for value in values if value), default=1)
    step = width / max(1, len(values))
    drawn = "".join(
        f'<rect class="{kind}" x="{index * step:.1f}" y="{height - tall:.1f}" '
        f'width="{max(0.5, step - 1):.1f}" height="{tall:.1f}"/>'
        for index, value in enumerate(values)
        if value and (tall := max(1.0, height * value / most))
    )
    return f'<svg viewBox="0 0 {width} {height}" preserveAspectRatio="none" aria-hidden="true">{drawn}</svg>'


def _histogram(summary: Summary) -> Iterator[str]:
    if not summary.histogram:
        return
    yield "<h2>Response times</h2>"
    yield '<div class="wide"><table>'
    most = max(bar.size for bar in summary.histogram)
    total = sum(bar.size for bar in summary.histogram)
    for bar in summary.histogram:
        edge = "above" if bar.high == float("inf") else f"to {bound(bar.high)}"
        width = 200 * bar.size / most
        drawn = f'<rect class="bar" width="{width:.1f}" height="16"/>'
        yield (
            f'<tr><td class="name">{edge}</td><td>{number(bar.size)}</td>'
            f'<td>{percent(bar.size, total)}</td><td class="name" style="width:60%">'
            f'<svg viewBox="0 0 200 16" preserveAspectRatio="none" aria-hidden="true">{drawn}</svg></td></tr>'
        )
    yield "</table></div>"


def _table(summary: Summary) -> Iterator[str]:
    yield f"<h2>By {escape(', '.join(summary.by))}</h2>"
    heads = [
        "events",
        "errors",
        "rate limits",
        "bytes",
        "mean",
        *(f"p{value:g}" for value in summary.percents),
    ]
    names = "".join(f'<th class="name">{name}</th>' for name in summary.by)
    others = "".join(f"<th>{head}</th>" for head in [*heads, "over time"])
    yield f'<div class="wide"><table><thead><tr>{names}{others}</tr></thead><tbody>'
    yield from map(_row, summary.groups)
    yield "</tbody></table></div>"


def _row(group: Group) -> str:
    names = "".join(f'<td class="name">{escape(name)}</td>' for name in group.names)
    times = ("-" if value is None else length(value) for value in (group.mean_ms, *group.percentiles))
    cells = [number(group.events), number(group.errors), number(group.limited), size(group.bytes), *times]
    shown = "".join(f"<td>{cell}</td>" for cell in cells)
    return f"<tr>{names}{shown}<td>{_bars(group.over_time, 'bar', 120, 20)}</td></tr>"
