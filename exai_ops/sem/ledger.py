"""The daemon's own ledger, as it answers at ``/status``, in the words of a scan. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from exai_ops.sem.model import Holder, Judgement, Scan, Semaphore, Site, Verdict, Waiter

KIND: Final = "exai.Ledger"
_SITE: Final = re.compile(r"(?P<file>.+):(?P<line>\d+)(?: (?P<function>.+))?")


def scan_of(status: Mapping[str, Any], *, at_s: float, took_s: float) -> Scan:
    """A scan from the daemon's ``/status``: the permit for all calls, and each provider's.

    Raises:
        ValueError: It is not the status of a daemon that keeps this ledger.
    """
    try:
        permits = status["permits"]
        semaphores = tuple(_semaphore(name, row, permits) for name, row in permits["limits"].items())
        pid = int(status["pid"])
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no ledger in it: {error}") from error
    return Scan(
        pid=pid,
        started_ticks=0,
        python="",
        at_s=at_s,
        took_s=took_s,
        semaphores=semaphores,
        notes=("said by the daemon's ledger",),
    )


def judgements(scan: Scan, status: Mapping[str, Any]) -> list[Judgement]:
    """The ledger's own verdicts: it knows why an entry cannot come back."""
    leaks = [holder for holder in status["permits"]["holders"] if holder["leak"]]
    return [_judgement(semaphore, leaks) for semaphore in scan.semaphores]


def disagreements(
    before: Sequence[Semaphore], memory: Sequence[Semaphore], after: Sequence[Semaphore]
) -> dict[str, str]:
    """Name of a limit -> what its memory says otherwise than the ledger, which said it before and after.

    A limit whose numbers the ledger itself gave otherwise the second time is left out: calls came or went.
    """
    seen = {one.where[:1]: one for one in memory if one.kind == KIND}
    again = {one.where[:1]: one for one in after}
    found = {}
    for said in before:
        later, read = again.get(said.where[:1]), seen.get(said.where[:1])
        if later is None or _numbers(later) != _numbers(said):
            continue
        if read is None:
            found[said.where[0]] = f"{said.where[0]}: the ledger answers, and is not found in memory"
        elif _numbers(read) != _numbers(said):
            found[said.where[0]] = (
                f"{said.where[0]}: the ledger says {_words(said)}, memory says {_words(read)}"
            )
    return found


def _numbers(one: Semaphore) -> tuple[int, int | None, int]:
    return one.value, one.bound, len(one.holders)


def _words(one: Semaphore) -> str:
    return f"{one.value} of {one.bound} free and {len(one.holders)} held"


def _semaphore(name: str, row: Mapping[str, Any], permits: Mapping[str, Any]) -> Semaphore:
    holders = [one for one in permits["holders"] if name in ("global", one["provider"])]
    queued = permits["sessions"].items() if name == "global" else ()
    waiting = [f"a call of session {session}" for session, counts in queued for _ in range(counts["queued"])]
    return Semaphore(
        address=0,
        kind=KIND,
        type_name="",
        where=(f"permits {name}",),
        value=int(row["free"]),
        bound=int(row["limit"]),
        waiters=tuple(Waiter(name) for name in waiting),
        holders=tuple(_holder(holder) for holder in holders),
    )


def _holder(row: Mapping[str, Any]) -> Holder:
    places = [row["site"], *row["awaits"]]
    stack = tuple(
        Site(match["file"], int(match["line"]), match["function"] or "")
        for place in places
        if (match := _SITE.fullmatch(place)) is not None
    )
    name = f"{row['tool']} {row['request']} of session {row['session']}"
    return Holder("ledger", name, stack, since_s=float(row["age_s"]))


def _judgement(semaphore: Semaphore, leaks: list[Any]) -> Judgement:
    name = semaphore.where[0].removeprefix("permits ")
    lost = [leak for leak in leaks if name in ("global", leak["provider"])]
    if lost:
        return Judgement(Verdict.LEAKED, len(lost), "; ".join(sorted({leak["leak"] for leak in lost})))
    if semaphore.bound is not None and semaphore.value + semaphore.held != semaphore.bound:
        verdict = (
            Verdict.OVER_RELEASED if semaphore.value + semaphore.held > semaphore.bound else Verdict.LEAKED
        )
        number = abs(semaphore.value + semaphore.held - semaphore.bound)
        return Judgement(verdict, number, "its sum does not hold")
    if not semaphore.held:
        return Judgement(Verdict.IDLE)
    return Judgement(Verdict.BUSY if semaphore.value else Verdict.SATURATED)
