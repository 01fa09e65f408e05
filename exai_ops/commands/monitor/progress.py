"""A bar on a terminal's stderr, for what takes long enough that somebody wonders."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from exai_ops.monitor.events import Event

if TYPE_CHECKING:
    from rich.progress import Progress

PATIENCE_S: Final = 0.7


class Bar:
    """How far events have come through a stretch of time. To be closed.

    Args:
        begin_s, end_s: The stretch; without a beginning, the first event is one.
    """

    def __init__(self, begin_s: float | None, end_s: float) -> None:
        self._begin_s = begin_s
        self._end_s = end_s
        self._shown_at = time.monotonic() + PATIENCE_S
        self._off = not sys.stderr.isatty()
        self._count = 0
        self._progress: Progress | None = None

    def take(self, events: Sequence[Event]) -> None:
        """These have come."""
        self._count += len(events)
        if self._off or not events:
            return
        now_s = events[-1].timestamp
        if self._begin_s is None:
            self._begin_s = events[0].timestamp
        if self._progress is None and time.monotonic() >= self._shown_at:
            self._progress = self._begun()
        if self._progress is not None:
            part = (now_s - self._begin_s) / max(self._end_s - self._begin_s, 1e-3)
            done = min(max(part, 0.0), 1.0)
            self._progress.update(
                self._progress.task_ids[0], completed=done, events=f"{self._count:,} events"
            )

    @staticmethod
    def _begun() -> Progress:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

        columns = (
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[events]}"),
            TimeElapsedColumn(),
        )
        progress = Progress(*columns, console=Console(stderr=True), transient=True)
        progress.add_task("", total=1.0, events="")
        progress.start()
        return progress

    def close(self) -> None:
        """Wipe it away."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
