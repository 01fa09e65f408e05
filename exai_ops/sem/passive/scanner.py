"""From a process to a scan: finds the semaphores and reads who has what, until it holds still."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from exai_ops.sem.flow_twin import FlowTwin
from exai_ops.sem.frames import Frames
from exai_ops.sem.memory import Memory
from exai_ops.sem.model import Judgement, Scan, Semaphore, Verdict, Waiter
from exai_ops.sem.objects import Objects
from exai_ops.sem.passive.bounds import Bound, Bounds
from exai_ops.sem.passive.callbacks import Callback, Callbacks
from exai_ops.sem.passive.functions import Functions
from exai_ops.sem.passive.homes import Home, Homes
from exai_ops.sem.passive.leases import Carried, Leases
from exai_ops.sem.passive.live import Chains, Live
from exai_ops.sem.passive.primitives import Primitive, Primitives
from exai_ops.sem.passive.resolve import Resolver
from exai_ops.sem.passive.settle import settle, unexplained
from exai_ops.sem.passive.steady import Seen, Steady
from exai_ops.sem.passive.taken import Taken
from exai_ops.sem.process import Process
from exai_ops.sem.survey import Survey
from exai_ops.sem.twin import command, layout_of
from exai_ops.sem.verdict import judge

_TASKS: Final = ("_asyncio.Task", "asyncio.tasks.Task")
_CODE: Final = ("coroutine", "generator", "async_generator")
_ROUNDS: Final = 3
_LOOKS: Final = 2  # at the whole heap in a row
_GREENLET: Final = "greenlet.greenlet"
_TAKES: Final = frozenset({"acquire", "__enter__", "__aenter__"})
_UNSTEADY: Final = "it changes faster than it can be read"


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
        self._chains = Chains(self._frames)
        self._resolver = Resolver(self.objects)
        self._twin = FlowTwin(command(self.process))
        self._functions = Functions(self.objects, self._resolver, self._twin)
        self._primitives = Primitives(self.objects)
        self._homes: dict[int, list[Home]] = {}
        self._first = True
        self._bounds = Bounds(
            self.objects,
            self._resolver,
            root=f"/proc/{pid}/root" if self.process.contained else "",
            cwd=_folder(pid),
        )
        self._known: dict[int, Bound] = {}
        self._kinds = _Kinds({}, frozenset(), frozenset())
        self._places: dict[int, set[int]] = {}
        self._pages: frozenset[int] = frozenset()  # those that semaphores lie in
        self._greenlets = False
        self._foreign = _has_foreign_allocator(pid)
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
        self._chains.begin()
        before = self._read(self._kinds.semaphores)
        survey = Survey(self.objects, tables=self._first, codes=self._first)
        survey.take(self._wanted, self._functions.verbs if self._first else lambda: ())
        self._note(survey)
        if self._first:
            self._memory.forget_pages()
            before = self._read(self._kinds.semaphores)
        self._looked(survey)
        self._memory.forget_pages()
        moved = self._read(self._kinds.semaphores) != before
        unsure = moved or (self._first and any(map(self._is_unbound, before.values())))
        first = self.sample(new=unsure)  # whoever took a permit since may be new too
        self._name(first.keys(), survey)
        self._first = False
        self._bound(first)
        seen = Steady(self).of(first)
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

    def _wanted(self) -> set[int]:
        """The types whose instances a scan begins with, by the types that are known now."""
        kinds = self._all_kinds()
        module = self.objects.static["module"]
        some = {*kinds.semaphores, *kinds.tasks, *kinds.code, *([module] if self._first else ())}
        return some | self.objects.named(_GREENLET)

    def _note(self, survey: Survey) -> None:
        """Note where there are semaphores, tasks and calls."""
        self._kinds = kinds = self._all_kinds()
        of = {*kinds.semaphores, *kinds.tasks, *kinds.code}
        self._places = {kind: set(survey.instances.get(kind, ())) for kind in of}
        greenlets = [len(survey.instances.get(kind, ())) for kind in self.objects.named(_GREENLET)]
        self._greenlets = sum(greenlets) > 1  # one is what a thread has for itself

    def _looked(self, survey: Survey) -> None:
        """Take in what else a survey has found."""
        if self._first:
            self._functions.look(survey)

    # One reading

    def sample(self, *, new: bool = False) -> dict[int, Seen]:
        """Every semaphore as it is now; steady is what was the same before and after.

        Args:
            new: Whether to look for objects that were not there before; else only where some have been.
        """
        kinds = self._kinds
        self._resolver.forget_objects()
        if new:
            self._memory.remap()
            self._memory.renew()
            self._look_for_new()
        self._memory.renew(self._pages)
        with self._memory.after():
            after = self._read(kinds.semaphores)
        with self._memory.traced() as pages:
            found = self._read(kinds.semaphores)
        self._pages = frozenset(pages)
        live = Live(self.objects, self._frames, self._chains)
        live.read(self._all_at(kinds.tasks), self._all_at(kinds.code))
        self._tasks, self._threads = len(live.tasks), live.threads
        self._bounds.known = self._functions.files | frozenset(
            call.frame.info.filename for call in live.calls if self._functions.is_own(call.frame.info)
        )
        taken = Taken(self.objects, self._resolver, self._functions, found)
        taken.read(live.calls)
        self._on_stacks = taken.on_stacks
        seen = {}
        for address, one in found.items():
            waiters, granted = self._waiters(one, live)
            steady = after.get(address) == one
            seen[address] = Seen(one, taken.accounts[address], waiters, granted, steady)
        return seen

    def changes(self) -> bool:
        """Whether anything that was read is different by now; it is read again."""
        return self._memory.renew()

    def _look_for_new(self) -> None:
        """Note where there are semaphores, tasks and calls that were not there before.

        A holder that is missed makes something else of a semaphore without a bound, and nothing shows it: so
        again, when one has changed meanwhile.
        """
        kinds = self._kinds
        for _ in range(_LOOKS):
            before = self._unbound()
            found = self.objects.instances({*kinds.semaphores, *kinds.tasks, *kinds.code})
            for kind, addresses in found.items():
                self._places.setdefault(kind, set()).update(addresses)
            if self._unbound() == before:
                return

    def _unbound(self) -> list[Primitive]:
        """Semaphores whose bound nothing says, as they are now."""
        with self._memory.after():
            return [one for one in self._read(self._kinds.semaphores).values() if self._is_unbound(one)]

    def _is_unbound(self, one: Primitive) -> bool:
        return self._bound_of(one)[0] is None

    def _read(self, kinds: Mapping[int, str]) -> dict[int, Primitive]:
        return {one.address: one for one in self._primitives.read(kinds, self._at(kinds))}

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

    def _settle(self, seen: dict[int, Seen]) -> None:
        """Give each its holders; where permits are still missing, look at objects and callbacks too."""
        for one in seen.values():
            one.holders = settle(self.missing(one), one.account)
        open_ = {a for a, one in seen.items() if one.steady and self._unexplained(one) != 0}
        for _ in range(_ROUNDS):
            if not open_:
                return
            open_ = self._carry(seen, open_)

    def _carry(self, seen: Mapping[int, Seen], some: set[int]) -> set[int]:
        """Look for carriers of what these miss; those that moved meanwhile, and are still accused."""
        carried, callbacks = self._carriers(some)
        after = self.sample() if self._memory.renew() else {}
        moved = set()
        for address in some:
            one = seen[address]
            if carried[address].consumed and one.primitive.bound is None and (self.missing(one) or 0) < 0:
                self._known[address] = self._known[address]._replace(value=None, counts=True)
            one.open = _opened(carried[address], callbacks[address])
            before = one.holders
            rank = _rank(judge(self._semaphore(one)))
            one.holders = settle(self.missing(one), one.account, carried[address], callbacks[address])
            new = _rank(judge(self._semaphore(one)))
            if one.carried and new > rank:
                one.holders = before
            carriers = self._carriers_of(carried[address])
            one.churns = bool(after and carried[address].leases) or (one.carried and carriers != one.carriers)
            one.carried, one.carriers = True, carriers
            if min(new, rank)[0] and (one.churns or not one.same(after.get(address, one))):
                moved.add(address)
        return moved

    def _carriers_of(self, carried: Carried) -> frozenset[tuple[int, int]]:
        """What carries permits, to compare two readings by: places are used again."""
        leases = ((one, hash(tuple(self.objects.attributes(one).values()))) for one in carried.leases)
        return frozenset((*leases, *((token.owner, token.number) for token in carried.tokens)))

    def missing(self, one: Seen) -> int | None:
        """Permits that are out, None when the bound is not known."""
        bound = self._bound_of(one.primitive)[0]
        return None if bound is None else bound - one.primitive.value - one.granted

    def _unexplained(self, one: Seen) -> int:
        missing = self.missing(one)
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

    def _name(self, found: Iterable[int], survey: Survey) -> None:
        """Name those that are new."""
        modules = survey.instances.get(self.objects.static["module"])
        calls = [one for kind in self._kinds.code for one in survey.instances.get(kind, ())]
        homes = Homes(self.objects, modules, survey.tables, calls)
        self._homes.update(self._named(homes, {one for one in found if one not in self._homes}))

    def _named(self, homes: Homes, new: set[int]) -> dict[int, list[Home]]:
        return homes.of(new) if new else {}

    def _bound(self, seen: Mapping[int, Seen]) -> None:
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

    def _semaphore(self, one: Seen) -> Semaphore:
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
            doubt=self._doubt(one),
            doubt_over=self._doubt_over(one),
        )

    def _doubt(self, one: Seen) -> str:
        """Why permits that are out might still come back in a way that is not read, empty when none is."""
        functions, address = self._functions, one.primitive.address
        reasons = (
            (one.churns, "what carries its permits changes faster than it can be read"),
            (self._foreign, "its memory is not laid out by Python's own allocator: not all of it is found"),
            (self._greenlets, "a greenlet may have it, and those are not read"),
            (functions.sets_by_hand(address), "the program sets the numbers of semaphores itself"),
            (functions.on_behalf(address), "the program takes permits of it on behalf of others"),
            (functions.only_takes, "no code of the program gives one back: it may be meant to be used up"),
            (functions.own_methods(address) & _TAKES, "its class takes permits in a way of its own"),
        )
        return next((reason for holds, reason in reasons if holds), "")

    def _doubt_over(self, one: Seen) -> str:
        """Why it may have more permits than were made of it, empty when none is known."""
        if self._functions.own_methods(one.primitive.address):
            return "its class takes and gives back permits in a way of its own"
        if one.account.lends and (self.missing(one) or 0) >= 0:
            return "who holds a permit has given it back for a while"
        if one.open:
            return f"{one.open} may give back what it did not take, as a signal does"
        return self._doubt(one)


def _opened(carried: Carried, callbacks: Iterable[Callback]) -> str:
    """What may give back any number of permits, empty when nothing does."""
    return next(iter((*carried.signals, *(one.what for one in callbacks if one.again))), "")


def _has_foreign_allocator(pid: int) -> bool:
    """Whether a process was told to take its memory from elsewhere than Python's own allocator."""
    try:
        words = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
    chosen = next((word.partition(b"=")[2] for word in words if word.startswith(b"PYTHONMALLOC=")), b"")
    return chosen.startswith(b"malloc")


def _folder(pid: int) -> str:
    """The working folder of a process, which relative names of files start from."""
    try:
        return str(Path(f"/proc/{pid}/cwd").readlink())
    except OSError:
        return ""
