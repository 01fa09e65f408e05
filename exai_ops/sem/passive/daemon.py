"""The ledger of our own daemon, read in its memory: in place of its answer, or to compare with it.

The class is known by its name and read by its attributes, so that nothing of the daemon is imported.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from exai_ops.sem.ledger import KIND
from exai_ops.sem.model import Holder, Scan, Semaphore, Site
from exai_ops.sem.passive.live import sites
from exai_ops.sem.passive.whole import WholeScanner

LEDGER: Final = "exai_ops.daemon.permits.Ledger"
_GONE_GRACE_S: Final = 2.0  # a call whose connection went has this long to end
_TRIES: Final = 40


@dataclass(frozen=True, slots=True)
class _Entry:
    provider: str | None
    holder: Holder


class DaemonScanner(WholeScanner):
    """A scan that has the ledger's permits before the semaphores."""

    def scan(self) -> Scan:
        """What there is now. Raises CouldNotLook."""
        scan = super().scan()
        scan = replace(scan, semaphores=(*self.ledgers(), *scan.semaphores))
        self.process.check()
        return scan

    def ledgers(self) -> list[Semaphore]:
        """The limits of the ledger alone, which takes less long."""
        self.objects.forget()
        found = self.objects.instances(self.objects.named(LEDGER))
        return [one for some in found.values() for address in some for one in self._steady_ledger(address)]

    def _steady_ledger(self, address: int) -> list[Semaphore]:
        """Read until what was counted is what is entered; the last reading when that never comes."""
        found: list[Semaphore] = []
        for _ in range(_TRIES):
            self.objects.memory.refresh()
            found = list(self._ledger(address))
            if all(one.bound is not None and one.bound - one.value == len(one.holders) for one in found):
                break
        return found

    def _ledger(self, address: int) -> Iterator[Semaphore]:
        objects = self.objects
        held = objects.attributes(address)
        limits = objects.attributes(held.get("limits", 0))
        total, used = objects.integer(limits.get("total", 0)), objects.integer(held.get("_used", 0))
        if total is None or used is None:
            return
        entries = [self._entry(one) for _, one in objects.dict_items(held.get("entries", 0))]
        yield _semaphore(address, "global", total, used, [entry.holder for entry in entries])
        counted = {name: number for _, name, number in self._numbers(held.get("_used_by_provider", 0))}
        for key, name, limit in self._numbers(limits.get("providers", 0)):
            holders = [entry.holder for entry in entries if entry.provider == name]
            yield _semaphore(key, name, limit, counted.get(name, 0), holders)

    def _numbers(self, table: int) -> Iterator[tuple[int, str, int]]:
        """(address of the key, the key, the number) of a dict from names to numbers."""
        for key, value in self.objects.dict_items(table):
            name, number = self.objects.text(key), self.objects.integer(value)
            if name is not None and number is not None:
                yield key, name, number

    def _entry(self, address: int) -> _Entry:
        """An entry of the ledger; one whose owner cannot give it back any more has no permit to give."""
        objects = self.objects
        held = objects.attributes(address)
        owner = objects.attributes(held.get("owner", 0))
        said = {key: objects.text(owner.get(key, 0)) or "?" for key in ("tool", "request_id", "session_id")}
        now_s = time.monotonic()
        taken_s = objects.floating(held.get("taken_at", 0))
        why = self._lost(held, owner, now_s)
        name = f"{said['tool']} {said['request_id']} of session {said['session_id']}"
        return _Entry(
            provider=objects.text(held.get("provider", 0)),
            holder=Holder(
                "ledger",
                f"{name}, {why}" if why else name,
                self._stack(held),
                permits=0 if why else 1,
                since_s=None if taken_s is None else max(0.0, now_s - taken_s),
            ),
        )

    def _lost(self, held: Mapping[str, int], owner: Mapping[str, int], now_s: float) -> str:
        """Why an entry cannot be given back any more, in the ledger's words; empty when it can."""
        objects = self.objects
        task = self._frames.task(held.get("task", 0))
        if task is not None and task.state != "pending":
            return "owner done"
        deadline_s = objects.floating(held.get("deadline", 0))
        if deadline_s is not None and now_s >= deadline_s:
            return "deadline passed"
        gone_s = objects.floating(owner.get("gone_since", 0))
        return "connection gone" if gone_s is not None and now_s - gone_s >= _GONE_GRACE_S else ""

    def _stack(self, held: Mapping[str, int]) -> tuple[Site, ...]:
        """Where it was taken, then where its task is."""
        objects = self.objects
        place = objects.sequence(held.get("site", 0))
        file, line = (objects.text(place[0]), objects.integer(place[1])) if len(place) == 2 else (None, None)
        taken = (Site(file, line),) if file and line is not None else ()
        return (*taken, *sites(self._frames.chain(held.get("task", 0))))


def _semaphore(address: int, name: str, limit: int, used: int, holders: list[Holder]) -> Semaphore:
    return Semaphore(
        address=address,
        kind=KIND,
        type_name="",
        where=(f"permits {name}",),
        value=limit - used,
        bound=limit,
        holders=tuple(holders),
    )
