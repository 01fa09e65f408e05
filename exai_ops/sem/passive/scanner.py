"""From a process to a scan: finds the semaphores and reads who has what, until it holds still."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from exai_ops.sem.flow_twin import FlowTwin
from exai_ops.sem.frames import Frames
from exai_ops.sem.memory import Memory
from exai_ops.sem.model import Holder, Judgement, Scan, Semaphore, Verdict, Waiter
from exai_ops.sem.objects import Objects
from exai_ops.sem.passive.bounds import Bound, Bounds
from exai_ops.sem.passive.callbacks import Callback, Callbacks
from exai_ops.sem.passive.functions import Functions
from exai_ops.sem.passive.homes import Home, Homes
from exai_ops.sem.passive.leases import Carried, Leases
from exai_ops.sem.passive.live import Live
from exai_ops.sem.passive.primitives import Primitive, Primitives
from exai_ops.sem.passive.resolve import Resolver
from exai_ops.sem.passive.settle import settle, unexplained
from exai_ops.sem.passive.taken import Account, Taken
from exai_ops.sem.process import Process
from exai_ops.sem.twin import command, layout_of
from exai_ops.sem.verdict import judge

_TASKS: Final = ("_asyncio.Task", "asyncio.tasks.Task")
_CODE: Final = ("coroutine", "generator", "async_generator")
_APART_S: Final = 0.025
_ROUNDS: Final = 3
_NEW_EVERY: Final = 4
_MOST_SAMPLES: Final = 60
_ENOUGH: Final = 12
_MOVING_S: Final = 1.5
_SURE: Final = 0.8
_PAUSE_S: Final = 0.001
_UNSTEADY: Final = "it changes faster than it can be read"


@dataclass
class _Seen:
    """A semaphore at a moment when it held still."""

    primitive: Primitive
    account: Account
    waiters: tuple[Waiter, ...]
    granted: int
    steady: bool
    holders: list[Holder] = field(default_factory=list)
    carried: bool = False

    def same(self, other: _Seen) -> bool:
        """Whether nothing happened between two readings."""
        mine, its = (
            (self.primitive, self.account, self.granted),
            (other.primitive, other.account, other.granted),
        )
        return mine == its

    def missing(self, bound: int | None) -> int | None:
        """Permits that are out."""
        return None if bound is None else bound - self.primitive.value - self.granted


class _Kinds(NamedTuple):
    """Types of what is looked for: semaphores with the library's class, tasks, and what has a frame."""

    semaphores: Mapping[int, str]
    tasks: frozenset[int]
    code: frozenset[int]


def _rank(judgement: Judgement) -> tuple[int, int]:
    """How bad a judgement is: the lowest accuses least."""
    worst = {Verdict.LEAKED: 3, Verdict.OVER_RELEASED: 3, Verdict.UNKNOWN: 2, Verdict.SUSPECT: 1}
    return worst.get(judgement.verdict, 0), judgement.permits


class PassiveScanner:
    """Looks at one process from outside: reads its memory, and nothing else.

    Raises:
        CouldNotLook: It is gone, cannot be read, or is no Python that can be understood.
    """

    def __init__(self, pid: int) -> None:
        self.process = Process.open(pid)
        self._layout = layout_of(self.process)
        self._memory = Memory(pid)
        self.objects = Objects(self._memory, self._layout)
        self._frames = Frames(self.objects)
        self._resolver = Resolver(self.objects)
        self._twin = FlowTwin(command(self.process))
        self._functions = Functions(self.objects, self._resolver, self._twin)
        self._primitives = Primitives(self.objects)
        self._homes: dict[int, list[Home]] = {}
        self._looked = False
        self._bounds = Bounds(
            self.objects,
            self._resolver,
            root=f"/proc/{pid}/root" if self.process.contained else "",
            cwd=_folder(pid),
        )
        self._known: dict[int, Bound] = {}
        self._kinds = _Kinds({}, frozenset(), frozenset())
        self._places: dict[int, set[int]] = {}
        self._tasks = 0
        self._threads = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._twin.close()
        self._memory.close()

    def scan(self) -> Scan:
        """What there is now."""
        began_s = time.monotonic()
        self.objects.forget()
        self._resolver.forget()
        self._kinds = self._all_kinds()
        self._places.clear()
        if not self._looked:
            self._functions.look()
            self._looked = True
        first = self._sample(new=True)
        self._name({address: one.primitive for address, one in first.items()})
        self._bound(first)
        seen = self._steady(first)
        self._settle(seen)
        semaphores = tuple(self._semaphore(one) for one in seen.values())
        now_s = time.monotonic()
        return Scan(
            pid=self.process.pid,
            started_ticks=self.process.start_ticks,
            python=self._layout.release,
            at_s=now_s,
            took_s=now_s - began_s,
            semaphores=semaphores,
            tasks=self._tasks,
            threads=self._threads,
            notes=self.process.notes,
        )

    # Reading until it holds still

    def _steady(self, first: Mapping[int, _Seen]) -> dict[int, _Seen]:
        """A reading of every semaphore: as it stands, or for one that moves, as it mostly is."""
        seen = dict(first)
        time.sleep(_APART_S)
        if not self._memory.renew():
            return seen
        series = {}
        for address, now in self._sample().items():
            before = seen.get(address)
            seen[address] = now
            still = before is not None and now.steady and now.same(before)
            if before is not None and not (still and self._plain(now)):
                series[address] = [before, now]
        self._follow(series)
        for address, some in series.items():
            seen[address] = self._typical(some)
        return seen

    def _follow(self, series: dict[int, list[_Seen]]) -> None:
        """Read what moves again and again, until most readings agree."""
        until_s = time.monotonic() + _MOVING_S
        moving = set(series)
        for number in range(_MOST_SAMPLES):
            if not moving or time.monotonic() > until_s:
                return
            time.sleep(_PAUSE_S * (number % 5))  # out of step with what goes round
            again = self._sample(new=number % _NEW_EVERY == 0)
            moving &= again.keys()
            for address in list(moving):
                series[address].append(again[address])
                if number % _NEW_EVERY == 0 and self._mostly(series[address]) is not None:
                    moving.discard(address)

    def _sample(self, *, new: bool = False) -> dict[int, _Seen]:
        """Every semaphore as it is now; steady is what was the same before and after.

        Args:
            new: Whether to look for objects that were not there before; else only where some have been.
        """
        kinds = self._kinds
        self._resolver.forget_objects()
        if new:
            self._memory.refresh()
            self._look_for_new()
        self._memory.renew()
        after = self._now(kinds.semaphores)
        found = {
            one.address: one for one in self._primitives.read(kinds.semaphores, self._at(kinds.semaphores))
        }
        live = Live(self.objects, self._frames)
        live.read(self._all_at(kinds.tasks), self._all_at(kinds.code))
        self._tasks, self._threads = len(live.tasks), live.threads
        self._bounds.known = frozenset(
            call.frame.info.filename for call in live.calls if self._functions.is_own(call.frame.info)
        )
        taken = Taken(self.objects, self._resolver, self._functions, found)
        taken.read(live.calls)
        self._on_stacks = taken.on_stacks
        seen = {}
        for address, one in found.items():
            waiters, granted = self._waiters(one, live)
            steady = after.get(address) == one
            seen[address] = _Seen(one, taken.accounts[address], waiters, granted, steady)
        return seen

    def _look_for_new(self) -> None:
        """Note where there are semaphores, tasks and calls."""
        kinds = self._kinds
        for kind, addresses in self.objects.instances({*kinds.semaphores, *kinds.tasks, *kinds.code}).items():
            self._places.setdefault(kind, set()).update(addresses)

    def _now(self, kinds: Mapping[int, str]) -> dict[int, Primitive]:
        """The semaphores as they are this very moment, beside the pages that are kept."""
        self._memory.live = True
        try:
            return {one.address: one for one in self._primitives.read(kinds, self._at(kinds))}
        finally:
            self._memory.live = False

    def _at(self, kinds: Iterable[int]) -> dict[int, list[int]]:
        """Live objects of these types, where some have been seen: allocators use a place again."""
        objects = self.objects
        return {
            kind: [
                address
                for address in self._places.get(kind, ())
                if objects.type_of(address) == kind and objects.is_live(address)
            ]
            for kind in kinds
        }

    def _all_at(self, kinds: Iterable[int]) -> list[int]:
        return sorted(address for some in self._at(kinds).values() for address in some)

    def _waiters(self, one: Primitive, live: Live) -> tuple[tuple[Waiter, ...], int]:
        found, granted = [], 0
        for future in one.waiters:
            info = self._frames.future(future)
            if info is None or info.state == "cancelled":
                continue
            given = info.state == "done"
            granted += given
            task = future if future in live.tasks else live.task_of.get(future, 0)
            name = live.tasks[task].name if task else "?"
            found.append(Waiter(name, live.stack_of(task), given))
        return tuple(found), granted

    # What is missing, and what carries it

    def _settle(self, seen: dict[int, _Seen]) -> None:
        """Give each its holders; where permits are still missing, look at objects and callbacks too."""
        for one in seen.values():
            one.holders = settle(self._missing(one), one.account)
        open_ = {a for a, one in seen.items() if one.steady and self._unexplained(one) != 0}
        for _ in range(_ROUNDS):
            if not open_:
                return
            open_ = self._carry(seen, open_)

    def _carry(self, seen: Mapping[int, _Seen], some: set[int]) -> set[int]:
        """Look for carriers of what these miss; those that moved meanwhile, and are still accused."""
        carried, callbacks = self._carriers(some)
        after = self._sample() if self._memory.renew() else {}
        moved = set()
        for address in some:
            one = seen[address]
            if carried[address].consumed and one.primitive.bound is None and (self._missing(one) or 0) < 0:
                self._known[address] = self._known[address]._replace(value=None, counts=True)
            before = one.holders
            rank = _rank(judge(self._semaphore(one)))
            one.holders = settle(self._missing(one), one.account, carried[address], callbacks[address])
            new = _rank(judge(self._semaphore(one)))
            if one.carried and new > rank:
                one.holders = before
            one.carried = True
            if min(new, rank)[0] and not one.same(after.get(address, one)):
                moved.add(address)
        return moved

    def _plain(self, one: _Seen) -> bool:
        """Whether a reading accuses of nothing, so that two alike are enough."""
        return self._missing(one) is None or self._left(one) == 0

    def _typical(self, some: list[_Seen]) -> _Seen:
        """One reading of many: one that misses what most of them do, else one that misses least."""
        sure = [one for one in some if one.steady] or some
        wanted = self._mostly(some)
        if wanted is None:
            return min(reversed(sure), key=lambda one: abs(self._left(one)))
        return next(one for one in reversed(sure) if self._left(one) == wanted)

    def _mostly(self, some: list[_Seen]) -> int | None:
        """What most of enough readings miss, None when they do not agree."""
        sure = [self._left(one) for one in some if one.steady]
        if len(sure) < _ENOUGH:
            return None
        left, times = Counter(sure).most_common(1)[0]
        return left if times > _SURE * len(sure) else None

    def _left(self, one: _Seen) -> int:
        """Permits that are out and that no call has; of an unknown bound, less by that."""
        missing = self._missing(one)
        if missing is None:
            missing = -one.primitive.value - one.granted
        return unexplained(missing, settle(missing, one.account))

    def _missing(self, one: _Seen) -> int | None:
        return one.missing(self._bound_of(one.primitive)[0])

    def _unexplained(self, one: _Seen) -> int:
        missing = self._missing(one)
        return 0 if missing is None else unexplained(missing, one.holders)

    def _carriers(self, semaphores: set[int]) -> tuple[dict[int, Carried], dict[int, list[Callback]]]:
        wanted = dict.fromkeys(semaphores)
        direct, indirect = self._functions.direct, self._functions.indirect()
        refs = self.objects.referrers({*semaphores, *direct, *indirect})
        functions, others = (
            {
                ref.owner
                for address in codes
                for ref in refs.get(address, ())
                if self.objects.kind(ref.owner) == "function"
            }
            for codes in (direct, indirect)
        )
        self._functions.prepare(
            info
            for function in functions | others
            if (known := self.objects.function(function)) and (info := self.objects.code(known.code))
        )
        types: dict[int, set[int]] = {}
        kept = self.objects.referrers(functions | others)
        for function in functions:
            for ref in kept[function]:
                if self.objects.kind(ref.owner) == "type":
                    types.setdefault(ref.owner, set()).add(function)
        own_refs = {address: refs.get(address, []) for address in semaphores}
        carried = Leases(self.objects, self._resolver, self._functions, wanted).of(own_refs, functions, types)
        callbacks = Callbacks(self.objects, self._frames, self._resolver, self._functions, wanted)
        found = callbacks.of(own_refs, kept, self._on_stacks)
        return carried, found

    # Names and bounds

    def _name(self, found: Mapping[int, Primitive]) -> None:
        new = [address for address in found if address not in self._homes]
        if new:
            self._homes.update(Homes(self.objects).of(new))

    def _bound(self, seen: Mapping[int, _Seen]) -> None:
        """Look in the source for the bounds that are not stored."""
        for address, one in seen.items():
            if one.primitive.bound is not None or address in self._known:
                continue
            classes = self._class_names(address)
            for home in self._homes.get(address, ()):
                bound = self._bounds.of(home, classes)
                if bound is not None:
                    self._known[address] = bound
                    break

    def _class_names(self, address: int) -> frozenset[str]:
        kinds = self.objects.mro(self.objects.type_of(address))[:-1]
        return frozenset(self.objects.type_name(kind).rpartition(".")[2] for kind in kinds)

    def _all_kinds(self) -> _Kinds:
        objects = self.objects
        return _Kinds(
            self._primitives.types(),
            frozenset(objects.named(*_TASKS)),
            frozenset(objects.static[name] for name in _CODE),
        )

    def _bound_of(self, one: Primitive) -> tuple[int | None, str]:
        if one.bound is not None:
            return one.bound, "stored"
        known = self._known.get(one.address)
        if known is None:
            return None, "none"
        return known.value, "no bound" if known.counts else "source"

    def _semaphore(self, one: _Seen) -> Semaphore:
        primitive = one.primitive
        bound, bound_from = self._bound_of(primitive)
        known = self._known.get(primitive.address)
        return Semaphore(
            address=primitive.address,
            kind=primitive.kind,
            type_name=primitive.type_name,
            where=tuple(home.text for home in self._homes.get(primitive.address, ())),
            value=primitive.value,
            bound=bound,
            bound_from=bound_from,
            built=known.built if known is not None else None,
            waiters=one.waiters,
            granted=one.granted,
            holders=tuple(one.holders),
            why="" if one.steady or self._unexplained(one) == 0 else _UNSTEADY,
        )


def _folder(pid: int) -> str:
    """The working folder of a process, which relative names of files start from."""
    try:
        return str(Path(f"/proc/{pid}/cwd").readlink())
    except OSError:
        return ""
