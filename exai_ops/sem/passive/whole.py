"""A scan of everything that gives permits: semaphores, limiters, locks, and what processes share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from exai_ops.sem.model import Scan, Semaphore
from exai_ops.sem.passive.homes import Homes
from exai_ops.sem.passive.live import Call, Live
from exai_ops.sem.passive.locks import Locks
from exai_ops.sem.passive.scanner import PassiveScanner

_ADAPTERS: Final = {
    "anyio._core._synchronization.SemaphoreAdapter": "_internal_semaphore",
    "anyio._core._synchronization.CapacityLimiterAdapter": "_internal_limiter",
}
"""What anyio gives to who makes one before an event loop runs, and where it keeps the real one."""


class WholeScanner(PassiveScanner):
    """Adds the locks to the semaphores. Raises CouldNotLook like what it derives from."""

    def __init__(self, pid: int) -> None:
        super().__init__(pid)
        self._locks = Locks(self.objects, self._frames)

    def scan(self) -> Scan:
        """What there is now. Raises CouldNotLook."""
        scan = super().scan()
        semaphores = self._locks.add([*self._renamed(scan.semaphores)], self._calls)
        self.process.check()  # what has ended reads as empty
        return replace(scan, semaphores=semaphores)

    def _renamed(self, semaphores: Sequence[Semaphore]) -> Iterator[Semaphore]:
        """Those behind an adapter by the name of that, which is what the program keeps."""
        objects, types = self.objects, self.objects.types()
        adapters = {kind: _ADAPTERS[name] for kind, name in types.items() if name in _ADAPTERS}
        outer = {
            objects.attributes(address).get(adapters[kind], 0): address
            for kind, addresses in (objects.instances(adapters) if adapters else {}).items()
            for address in addresses
        }
        homes = Homes(objects).of(outer.values()) if outer else {}
        for one in semaphores:
            names = tuple(home.text for home in homes.get(outer.get(one.address, 0), ()))
            yield replace(one, where=names) if names else one

    def _calls(self) -> Sequence[Call]:
        """Every call, as it is now."""
        self._memory.renew()
        live = Live(self.objects, self._frames)
        live.read(self._all_at(self._kinds.tasks), self._all_at(self._kinds.code))
        return live.calls
