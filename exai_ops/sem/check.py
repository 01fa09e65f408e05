"""One look at a process, or two when the first accuses: the edge between scans and verdicts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self

from exai_ops.sem.model import Judgement, Scan, Verdict
from exai_ops.sem.verdict import ACCUSATIONS, AGREE_S, agreed, judge


class Scanner(Protocol):
    """What looks at one process."""

    def scan(self) -> Scan:
        """What there is now. Raises CouldNotLook."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None: ...


def look(scanner: Scanner) -> tuple[Scan, list[Judgement]]:
    """A scan and a verdict on each of its semaphores. An accusation takes a second scan, a second later."""
    first = scanner.scan()
    judgements = [judge(semaphore) for semaphore in first.semaphores]
    if not any(judgement.verdict in ACCUSATIONS for judgement in judgements):
        return first, judgements
    time.sleep(max(0.0, first.at_s + AGREE_S - time.monotonic()))
    second = scanner.scan()
    return second, together(first, judgements, second)


def together(first: Scan, said: Sequence[Judgement], second: Scan) -> list[Judgement]:
    """The verdicts on the second scan's semaphores, with what the first said of the same ones."""
    before = {
        (semaphore.address, semaphore.kind): judgement
        for semaphore, judgement in zip(first.semaphores, said, strict=True)
    }
    new = Judgement(Verdict.UNKNOWN)
    return [
        agreed(before.get((semaphore.address, semaphore.kind), new), judge(semaphore))
        for semaphore in second.semaphores
    ]
