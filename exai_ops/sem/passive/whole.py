"""A scan of everything that gives permits: semaphores, limiters, locks, and what processes share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from exai_ops.sem.model import Scan
from exai_ops.sem.passive.live import Call, Live
from exai_ops.sem.passive.locks import Locks
from exai_ops.sem.passive.scanner import PassiveScanner


class WholeScanner(PassiveScanner):
    """Adds the locks to the semaphores. Raises CouldNotLook like what it derives from."""

    def __init__(self, pid: int) -> None:
        super().__init__(pid)
        self._locks = Locks(self.objects, self._frames)

    def scan(self) -> Scan:
        """What there is now. Raises CouldNotLook."""
        scan = super().scan()
        semaphores = self._locks.add(scan.semaphores, self._calls)
        self.process.check()  # what has ended reads as empty
        return replace(scan, semaphores=semaphores)

    def _calls(self) -> Sequence[Call]:
        """Every call, as it is now."""
        self._memory.renew()
        live = Live(self.objects, self._frames)
        live.read(self._all_at(self._kinds.tasks), self._all_at(self._kinds.code))
        return live.calls
