"""What two looks at one process say together, one from outside and one from within: pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from exai_ops.sem.model import Judgement, Scan, Semaphore, Verdict

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
    outside: Scan, said: Sequence[Judgement], within: Scan, says: Sequence[Judgement]
) -> tuple[Scan, list[Judgement]]:
    """The scan from outside, where it left a verdict open with that from within, unless that is no better."""
    better = {
        (one.address, one.kind): (one, judgement)
        for one, judgement in zip(within.semaphores, says, strict=True)
        if judgement.verdict is not Verdict.UNKNOWN
    }
    pairs = [
        better.get((one.address, one.kind), (one, judgement))
        if judgement.verdict in OPEN
        else (one, judgement)
        for one, judgement in zip(outside.semaphores, said, strict=True)
    ]
    notes = tuple(dict.fromkeys((*outside.notes, *within.notes)))
    scan = replace(outside, semaphores=tuple(one for one, _ in pairs), notes=notes)
    return scan, [judgement for _, judgement in pairs]


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
