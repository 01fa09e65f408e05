"""Writes the monitor's events to disk from a thread of its own: the daemon never waits for that disk."""

from __future__ import annotations

import sqlite3
import threading
from typing import Any, Final

from exai_ops.logs import get_logger
from exai_ops.monitor.kept import KeptEvents
from exai_ops.monitor.recorder import Batch, Monitor

_LOG: Final = get_logger("exai.events")
EVERY_S: Final = 0.5
"""How long an event may wait to be written: what a killed daemon may lose of its last events."""
AGAIN_S: Final = 10.0
"""After a failure; what the ring lost meanwhile is counted."""
STOP_S: Final = 1.5


class EventKeeper:
    """Follows a monitor from its beginning.

    Attributes:
        missed: Events that left the ring before they could be written.
        failure: Why the last write failed; empty while all is well.
    """

    def __init__(self, monitor: Monitor, kept: KeptEvents, *, every_s: float = EVERY_S) -> None:
        self.missed = 0
        self.failure = ""
        self._monitor = monitor
        self._kept = kept
        self._every_s = every_s
        self._sequence = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="event-keeper", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stored_bytes(self) -> int:
        """Bytes on disk."""
        return self._kept.stored_bytes()

    def as_dict(self) -> dict[str, Any]:
        """What ``/status`` shows of it."""
        return {"bytes": self.stored_bytes(), "missed": self.missed, "failure": self.failure or None}

    def stop(self, timeout_s: float = STOP_S) -> bool:
        """Write what there is and end; False when the disk takes longer than that."""
        self._stopped.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        wait_s = 0.0
        while not self._stopped.wait(wait_s):
            wait_s = self._every_s if self._write() else AGAIN_S
        self._write()
        self._kept.close()

    def _write(self) -> bool:
        batch = self._monitor.since(self._sequence)
        try:
            self._kept.append(batch.events)
        except (OSError, sqlite3.Error) as error:
            self._failed(error)
            return False
        self._wrote(batch)
        return True

    def _wrote(self, batch: Batch) -> None:
        self._sequence = batch.sequence
        if batch.missed:
            self.missed += batch.missed
            _LOG.warning(
                "events not kept", missed=batch.missed, why="they came faster than the disk took them"
            )
        for name in self._kept.set_aside:
            _LOG.warning("a damaged file of kept events was set aside", file=name)
        self._kept.set_aside.clear()
        if self.failure:
            self.failure = ""
            _LOG.info("events are kept again")

    def _failed(self, error: Exception) -> None:
        said = f"{type(error).__name__}: {error}"
        if said != self.failure:
            _LOG.warning("events are not kept", why=said, folder=str(self._kept.folder), again_s=AGAIN_S)
        self.failure = said
