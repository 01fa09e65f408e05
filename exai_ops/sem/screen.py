"""One screen of ``exai sem top``, from a scan and its verdicts. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

from exai_ops.sem.model import Judgement, Scan, Semaphore, Site, Verdict

Sort: TypeAlias = Literal["verdict", "waiters", "held", "name"]

_RANK: Final = [
    Verdict.LEAKED,
    Verdict.OVER_RELEASED,
    Verdict.SUSPECT,
    Verdict.SATURATED,
    Verdict.UNKNOWN,
    Verdict.BUSY,
    Verdict.IDLE,
]
_COLOUR: Final = {
    Verdict.LEAKED: "31;1",
    Verdict.OVER_RELEASED: "31;1",
    Verdict.SUSPECT: "33",
    Verdict.SATURATED: "36",
    Verdict.UNKNOWN: "2",
}
_CLEAR_LINE: Final = "\x1b[K"
_CLEAR_BELOW: Final = "\x1b[J"


def screen(
    scan: Scan,
    judgements: Sequence[Judgement],
    *,
    sort: Sort,
    paused: bool,
    width: int,
    height: int,
) -> str:
    """The lines of a terminal ``width`` by ``height``, each ended, with what they leave of it cleared."""
    state = "paused" if paused else f"read in {scan.took_s * 1000:.0f} ms"
    head = (
        f"PID {scan.pid}  Python {scan.python}  {len(scan.semaphores)} semaphores"
        f"  {scan.tasks} tasks  {state}  sorted by {sort}"
    )
    columns = f"{'VERDICT':<16}{'FREE':>6}{'BOUND':>7}{'HELD':>6}{'WAIT':>6}  {'NAME':<40}  OLDEST HOLDER"
    pairs = sorted(zip(scan.semaphores, judgements, strict=True), key=lambda pair: _key(sort, *pair))
    rows = [_row(one, judgement, width) for one, judgement in pairs[: max(0, height - 4)]]
    lines = [head[:width], "", f"\x1b[7m{columns[:width]:<{width}}\x1b[0m", *rows]
    return (_CLEAR_LINE + "\n").join(lines) + _CLEAR_LINE + _CLEAR_BELOW


def _key(sort: Sort, one: Semaphore, judgement: Judgement) -> tuple[int, str]:
    numbers = {
        "verdict": _RANK.index(judgement.verdict),
        "waiters": -len(one.waiters),
        "held": -one.held,
        "name": 0,
    }
    return numbers[sort], _name(one)


def _row(one: Semaphore, judgement: Judgement, width: int) -> str:
    bound = "?" if one.bound is None else one.bound
    number = f" {judgement.permits}" if judgement.permits else ""
    oldest = max(one.holders, key=lambda holder: holder.since_s or 0, default=None)
    holder = "" if oldest is None else f"{oldest.name} {_place(oldest.stack)}"
    text = (
        f"{judgement.verdict + number:<16}{one.value:>6}{bound:>7}{one.held:>6}{len(one.waiters):>6}"
        f"  {_name(one)[:40]:<40}  {holder}"
    )
    shown = "".join(c if c.isprintable() else "?" for c in text)[:width]
    colour = _COLOUR.get(judgement.verdict)
    return shown if colour is None else f"\x1b[{colour}m{shown}\x1b[0m"


def _place(stack: Sequence[Site]) -> str:
    """The innermost line that is not the standard library's, by the end of its path."""
    own = [site for site in stack if "/lib/python3." not in site.file or "-packages/" in site.file]
    if not (own or stack):
        return ""
    site = (own or stack)[-1]
    return f"{'/'.join(site.file.split('/')[-2:])}:{site.line} {site.function}"


def _name(one: Semaphore) -> str:
    return one.where[0] if one.where else f"{one.type_name or one.kind} at {one.address:#x}"
