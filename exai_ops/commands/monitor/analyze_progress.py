"""A bar on stderr for reading that takes long."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Bar:
    """Shown once ``after_s`` have passed, gone at the end."""

    def __init__(self, after_s: float) -> None:
        self._show_at = time.monotonic() + after_s
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    def show(self, done: int, whole: int) -> None:
        """So many bytes of so many have been read."""
        if self._progress is None:
            if time.monotonic() < self._show_at:
                return
            self._begin(whole)
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=done)

    def _begin(self, whole: int) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._progress.add_task("", total=whole or None)
        self._progress.start()
