"""A scan of everything that gives permits: semaphores, limiters, locks, and what processes share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from exai_ops.sem.model import Scan
from exai_ops.sem.passive.homes import Home, Homes
from exai_ops.sem.passive.live import Call, Live
from exai_ops.sem.passive.locks import Locks
from exai_ops.sem.passive.scanner import PassiveScanner
from exai_ops.sem.referrers import Ref
from exai_ops.sem.survey import Survey


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

    def _wanted(self) -> set[int]:
        return super()._wanted() | self._locks.kinds()

    def _looked(self, survey: Survey) -> None:
        super()._looked(survey)
        self._locks.look(survey.instances)

    def _named(self, homes: Homes, new: set[int]) -> dict[int, list[Home]]:
        """The same, and the names of the locks that the program keeps, by the same passes."""
        locks = self._locks.new() - new
        if not new and not locks:
            return {}

        def leave(address: int, refs: list[Ref]) -> bool:
            return address in locks and self._locks.is_library_s(refs, homes.modules())

        found = homes.of(new | locks, leave)
        self._locks.name(found, homes.modules())
        return {address: found[address] for address in new}

    def _calls(self) -> Sequence[Call]:
        """Every call, as it is now."""
        self._memory.renew()
        live = Live(self.objects, self._frames, self._chains)
        live.read(self._all_at(self._kinds.tasks), self._all_at(self._kinds.code))
        return live.calls
