"""What two looks at one process say together, one from outside and one from within: pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from exai_ops.sem.model import Judgement, Scan, Semaphore, Verdict

Looked: TypeAlias = tuple[Semaphore, Judgement]
OPEN: Final = frozenset({Verdict.SUSPECT, Verdict.UNKNOWN})


def is_open(judgements: Sequence[Judgement]) -> bool:
    """Whether anything is left that a look from within might tell."""
    return any(judgement.verdict in OPEN for judgement in judgements)


def informed(scan: Scan, outside: Scan) -> Scan:
    """A scan from within, with the bounds, sites and names that only the other could find out."""
    known = {(one.address, one.kind): one for one in outside.semaphores}
    return replace(
        scan,
        semaphores=tuple(_informed(one, known.get((one.address, one.kind))) for one in scan.semaphores),
    )


def merged(
    outside: Scan,
    said: Sequence[Judgement],
    within: Scan,
    says: Sequence[Judgement],
    *,
    whole: bool = True,
) -> tuple[Scan, list[Judgement]]:
    """The scan from outside, where it left a verdict open with that from within, unless that is no better.

    ``whole`` tells whether the look from within saw every object.
    """
    inner = {
        (one.address, one.kind): (one, judgement)
        for one, judgement in zip(within.semaphores, says, strict=True)
    }
    pairs = [
        _better((one, judgement), inner.get((one.address, one.kind)), whole=whole)
        if judgement.verdict in OPEN
        else (one, judgement)
        for one, judgement in zip(outside.semaphores, said, strict=True)
    ]
    notes = tuple(dict.fromkeys((*outside.notes, *within.notes)))
    scan = replace(outside, semaphores=tuple(one for one, _ in pairs), notes=notes)
    return scan, [judgement for _, judgement in pairs]


def _better(outer: Looked, inner: Looked | None, *, whole: bool) -> Looked:
    """What is to be said of one semaphore.

    That permits are lost takes both: whoever was seen to hold one from outside does so still, and an object,
    an entry or a callback that might hold one is not known from within to hold none. A frame is: what it gave
    away would have been met there, where the look was whole.
    """
    if inner is None or inner[1].verdict is Verdict.UNKNOWN:
        return outer
    one, judgement = inner
    if judgement.verdict is not Verdict.LEAKED:
        return inner
    doubts = {holder.what for holder in outer[0].holders if not holder.certain}
    lost = min(judgement.permits, judgement.permits + (one.held + (one.possible or 0)) - outer[0].held)
    if not whole or lost <= 0 or not doubts <= {"frame"}:
        return outer
    return one, replace(judgement, permits=lost)


def _informed(one: Semaphore, known: Semaphore | None) -> Semaphore:
    if known is None:
        return one
    lacks = one.bound is None
    return replace(
        one,
        where=one.where or known.where,
        built=known.built,
        bound=known.bound if lacks else one.bound,
        bound_from=known.bound_from if lacks else one.bound_from,
    )
