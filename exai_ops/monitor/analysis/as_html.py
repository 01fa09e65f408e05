"""The report as one page that needs nothing else: no script, no font, no image from anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from html import escape
from typing import Final

from exai_ops.monitor.analysis import charts, words
from exai_ops.monitor.analysis.charts import Mark
from exai_ops.monitor.analysis.report import Evidence, Group, Report

_STYLE: Final = """
:root{color-scheme:light dark;--back:#f7f8fa;--card:#fff;--text:#1c2128;--soft:#5b6572;--line:#d9dee5;
--area:#4c7fd9;--error:#c9302c;--warning:#b26a00;--info:#2f7f8f}
@media (prefers-color-scheme:dark){:root{--back:#14171c;--card:#1d2128;--text:#e4e8ee;--soft:#9aa5b3;
--line:#343b46;--area:#6d9bec;--error:#ff7b72;--warning:#e3a04a;--info:#6cc0d0}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--text);font:15px/1.5 system-ui,sans-serif}
main{max-width:980px;margin:0 auto;padding:20px 14px 60px}
h1{font-size:1.4rem;margin:.2rem 0}h2{font-size:1.05rem;margin:0 0 .6rem}
p{margin:.2rem 0}.soft{color:var(--soft)}
section{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:14px;margin-top:14px}
.figures{display:flex;flex-wrap:wrap;gap:8px 28px}.figures div{min-width:90px}
.figures b{display:block;font-size:1.3rem;font-variant-numeric:tabular-nums}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:5px 10px;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}
th{color:var(--soft);font-weight:500}.name{text-align:left}
.chart{width:100%;height:auto;display:block}.chart text{fill:var(--soft);font-size:12px}
.spark{width:120px;height:24px}.spark polyline{fill:none;stroke:var(--area);stroke-width:1.5}
.area{fill:var(--area);opacity:.75}.bad{fill:var(--error)}
.mark{opacity:.22}.mark.error{fill:var(--error)}.mark.warning{fill:var(--warning)}.mark.info{fill:var(--info)}
article{border-left:4px solid var(--line);padding:2px 0 2px 12px;margin:12px 0;overflow-wrap:anywhere}
article.error{border-color:var(--error)}article.warning{border-color:var(--warning)}
article.info{border-color:var(--info)}
.error b{color:var(--error)}.warning b{color:var(--warning)}.info b{color:var(--info)}
code{font:13px ui-monospace,monospace}
"""

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"


def as_html(report: Report, at: Callable[[float], str], begin: float, end: float) -> str:
    """The page; ``at`` shows instants. Every text of the recording is escaped."""
    parts = [
        f"<h1>Traffic, {escape(at(begin))} to {escape(at(end))}</h1>",
        *(f'<p class="soft">{escape(_source(report, n))}</p>' for n in range(len(report.sources))),
        _section("", _figures(report)),
        _section(
            f"Findings ({len(report.findings)})", "".join(map(_finding, report.findings)) or "Nothing found."
        ),
        _section("Events and errors", _timeline(report, at)),
        _section("By " + ", ".join(report.by), _table(report)),
    ]
    if report.histogram:
        parts.append(_section("Response times", charts.histogram(report.histogram)))
    parts.append(
        f'<p class="soft">Percentiles within {100 * report.percentile_error:g} %; times to '
        f"{report.bin_s:g} s; weights of sampled events counted.</p>"
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"<title>exai monitor analyze</title><style>{_STYLE}</style></head><body><main>{''.join(parts)}"
        "</main></body></html>\n"
    )


def _source(report: Report, number: int) -> str:
    source = report.sources[number]
    skipped = f", {words.number(source.skipped)} skipped ({source.first_skip})" if source.skipped else ""
    return f"{source.name}: {source.form}, {words.number(source.events)} events{skipped}"


def _section(title: str, body: str) -> str:
    head = f"<h2>{escape(title)}</h2>" if title else ""
    return f"<section>{head}{body}</section>"


def _figures(report: Report) -> str:
    rate = report.weighted_events / report.seconds if report.seconds else 0.0
    figures = [
        ("events", words.number(report.weighted_events)),
        ("per second", f"{rate:.3g}"),
        ("errors", f"{words.number(report.errors)} ({words.share(report.errors, report.weighted_events)})"),
        ("bytes", words.size(report.data_size_bytes)),
        *((f"p{percent}", words.ms(value)) for percent, value in report.total.percentiles.items()),
        ("over", words.seconds(report.seconds)),
    ]
    shown = "".join(
        f"<div><b>{escape(value)}</b><span class=soft>{escape(name)}</span></div>" for name, value in figures
    )
    return f'<div class="figures">{shown}</div>'


def _finding(one: Evidence) -> str:
    return (
        f'<article class="{escape(one.status)}"><p><b>{escape(one.status)} {escape(one.code)}</b> '
        f'{escape(one.message)}</p><p class="soft">{escape(one.hint)}</p></article>'
    )


def _timeline(report: Report, at: Callable[[float], str]) -> str:
    length = max(report.slot_s * len(report.over_time), 1e-9)
    labels = [at(report.begin_s + part * length) for part in (0.0, 0.5, 1.0)]
    return charts.timeline(
        report.over_time, report.errors_over_time, labels, _marks(report.findings, report, length)
    )


def _marks(findings: Sequence[Evidence], report: Report, length: float) -> Iterable[Mark]:
    """Where findings lie that do not concern all of the time."""
    for one in findings:
        begin, end = ((_seconds(text) - report.begin_s) / length for text in (one.begin, one.end))
        if end - begin < 0.9:
            yield Mark(begin, end, one.status, f"{one.code} {one.message}")


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _table(report: Report) -> str:
    heads = "".join(f'<th class="name">{escape(field)}</th>' for field in report.by)
    heads += "".join(
        f"<th>{escape(name)}</th>"
        for name in ("events", "errors", "size", "mean", *(f"p{p}" for p in report.percents), "over time")
    )
    rows = "".join(map(_row, report.groups[:200]))
    return f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'


def _row(group: Group) -> str:
    names = "".join(f'<td class="name">{escape(name)}</td>' for name in group.by.values())
    cells = [
        words.number(group.events),
        words.number(group.errors) if group.errors else "-",
        words.size(group.data_size_bytes),
        words.ms(group.mean_ms),
        *map(words.ms, group.percentiles.values()),
    ]
    shown = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    return f"<tr>{names}{shown}<td>{charts.spark(group.over_time)}</td></tr>"
