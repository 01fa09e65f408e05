"""Which permits the calls of a process have or owe: by open ``with`` blocks, and by where they stand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from exai_ops.sem.flow import Flow
from exai_ops.sem.flow_model import Ahead, Event, Held, Match, Path, last_names
from exai_ops.sem.frames import Frame
from exai_ops.sem.model import Holder
from exai_ops.sem.objects import Objects
from exai_ops.sem.passive.functions import Concern, Functions
from exai_ops.sem.passive.live import Call
from exai_ops.sem.passive.resolve import Resolver, Scope, Value, scope_of
from exai_ops.sem.passive.tokens import Token, Tokens

EXITS: Final = frozenset({"__exit__", "__aexit__"})
_QUEUES: Final = ("asyncio/queues.py", "/queue.py")


@dataclass
class Account:
    """What calls have to do with a semaphore's permits.

    Attributes:
        took: Those that took some, or may have.
        owes: Those that give back what they did not take.
        tokens: What calls that go round take from, each time with a permit.
        tasks: Addresses of the tasks of those that took.
        through: Name of a function that gives back -> how many of those that took are going to call it.
    """

    took: list[Holder] = field(default_factory=list)
    owes: list[Holder] = field(default_factory=list)
    tokens: list[Token] = field(default_factory=list)
    tasks: set[int] = field(default_factory=set)
    through: Counter[str] = field(default_factory=Counter)


class Taken:
    """Goes through the calls of a process and books what they have of each semaphore."""

    def __init__(
        self,
        objects: Objects,
        resolver: Resolver,
        functions: Functions,
        semaphores: Mapping[int, Any],
    ) -> None:
        self._objects = objects
        self._resolver = resolver
        self._functions = functions
        self._semaphores = semaphores
        self.accounts = {address: Account() for address in semaphores}
        self._tokens = Tokens(objects, resolver)
        self.on_stacks: set[int] = set()
        """Bound methods that open blocks keep."""
        self._reentrant: set[int] = set()
        self._exits: dict[tuple[int, int], dict[int, int]] = {}

    def read(self, calls: Iterable[Call]) -> None:
        """Book what these calls have."""
        calls = list(calls)
        infos = {call.frame.info.address: call.frame.info for call in calls if self._of_interest(call.frame)}
        self._functions.prepare(infos.values())
        for call in calls:
            self._blocks(call)
            if self._functions.is_own(call.frame.info) and self._functions.of_interest(call.frame.info):
                self._explicit(call)

    def _of_interest(self, frame: Frame) -> bool:
        if not self._functions.is_own(frame.info):
            return False
        return self._functions.of_interest(frame.info) or bool(self._open_blocks(frame))

    # Open with blocks

    def _open_blocks(self, frame: Frame) -> list[tuple[int, Value]]:
        """(bound method, exit function with what it is bound to) of what the frame's blocks keep."""
        found = []
        for address in frame.stack:
            method = self._objects.method(address)
            if method is None:
                continue
            function = self._objects.function(method[1])
            if function is not None and function.qualname.rpartition(".")[2] in EXITS:
                found.append((address, Value(method[1], method[0])))
        return found

    def _blocks(self, call: Call) -> None:
        """Book the ``with`` blocks that a frame is in."""
        counts: dict[int, int] = {}
        exact: dict[int, bool] = {}
        for method, callee in self._open_blocks(call.frame):
            self.on_stacks.add(method)
            for semaphore, number in self.released_by(callee).items():
                counts[semaphore] = counts.get(semaphore, 0) + number
                exact[semaphore] = exact.get(semaphore, True) and callee.bound_to == semaphore
        for semaphore, number in counts.items():
            entered = number - self._entering(call, semaphore)  # what is being entered is not open yet
            has = entered + self._within(call, semaphore) if entered > 0 else 0
            if has > 0:
                self._book_block(call, semaphore, has, exact=exact[semaphore])

    def _book_block(self, call: Call, semaphore: int, number: int, *, exact: bool) -> None:
        """Book open blocks; one whose exit need not give back owes no more than is missing."""
        account = self.accounts[semaphore]
        holder = Holder("with", call.name, call.stack(), number, exact=exact)
        if exact or semaphore not in self._reentrant:
            account.took.append(holder)
        else:
            account.owes.append(holder)
        account.tasks |= {call.task} - {0}

    def released_by(self, callee: Value) -> dict[int, int]:
        """Semaphore -> permits that a call of this exit gives back."""
        if callee.bound_to in self._semaphores:
            return {callee.bound_to: 1}
        key = (callee.address, callee.bound_to)
        if key not in self._exits:
            self._exits[key] = self._wrapped(callee)
        return self._exits[key]

    def _wrapped(self, callee: Value) -> dict[int, int]:
        """The same for an exit of the program's own."""
        call = Event(0, "exit", ("unknown",))
        sums = self._functions.effect(callee, Scope({}, 0), call, self._semaphores, depth=2)
        self._reentrant |= {address for address, some in sums.items() if min(some) < 0 < 1 + max(some)}
        return {address: -min(some) for address, some in sums.items() if min(some) < 0}

    def _entering(self, call: Call, semaphore: int) -> int:
        """1 when the frame waits in the entering of a block on the semaphore, which is not open yet."""
        inner = call.inner
        if inner is None or inner.info.name not in {"__aenter__", "__enter__", "acquire"}:
            return 0
        entered = inner.locals.get("self", 0)
        if entered == semaphore:
            return 1
        exits = self._resolver.attribute(entered, "__aexit__") or self._resolver.attribute(
            entered, "__exit__"
        )
        return int(exits is not None and semaphore in self.released_by(exits))

    def _within(self, call: Call, semaphore: int) -> int:
        """What the code inside of a block has given back and not taken again: below zero."""
        info = call.frame.info
        if not self._functions.of_interest(info):
            return 0
        concern = self._concerns(call.frame).get(semaphore)
        flow = self._functions.flow(info)
        if concern is None or flow is None or not concern.names:
            return 0
        ahead = flow.ahead(call.frame.lasti, concern.match())
        held = flow.held(call.frame.lasti, concern.match())
        return min(0, held.least) if not ahead.owed else 0

    # Acquire and release

    def _concerns(self, frame: Frame) -> dict[int, Concern]:
        return self._functions.concerns(scope_of(frame), frame.info, self._semaphores)

    def _explicit(self, call: Call) -> None:
        """Book what a frame took by ``acquire``, or is about to give back by ``release``."""
        flow = self._functions.flow(call.frame.info)
        if flow is None:
            return
        concerns = self._concerns(call.frame)
        if self._unknown_release(call, flow):
            for semaphore in self._semaphores.keys() - concerns.keys():
                holder = Holder("frame", call.name, call.stack(), certain=False)
                self.accounts[semaphore].owes.append(holder)
        for semaphore, concern in concerns.items():
            match = concern.match()
            held, ahead = flow.held(call.frame.lasti, match), flow.ahead(call.frame.lasti, match)
            self._book(call, semaphore, held, ahead, concern)

    def _unknown_release(self, call: Call, flow: Flow) -> bool:
        """Whether a frame is about to release something that nothing leads to."""
        scope = scope_of(call.frame)
        for event in flow.reachable(call.frame.lasti):
            if event.kind != "release" or not any(self._ours(scope, path) for path in event.paths):
                continue
            if not any(self._functions.values(scope, path, flow) for path in event.paths):
                names = {name for path in event.paths for name in last_names(path) if ":" in name}
                if flow.ahead(call.frame.lasti, Match.of(names)).owed and not self._waits_for_item(call):
                    return True
        return False

    def _ours(self, scope: Scope, path: Path) -> bool:
        """Whether a path goes through a call of the program's own."""
        if "call" not in path:
            return False
        callees = self._resolver.values(scope, path[: path.index("call")])
        functions = (self._objects.function(callee.address) for callee in callees)
        return any(
            function is not None and self._functions.is_own(self._objects.code(function.code))
            for function in functions
        )

    def _book(self, call: Call, semaphore: int, held: Held, ahead: Ahead, concern: Concern) -> None:
        if held.most == 0:
            if ahead.owed:
                self._owing(call, semaphore, ahead)
        elif ahead.owed:
            exact = held.least == held.most == self._by_itself(call.frame, concern)
            self._has(call, semaphore, held, ahead, exact=exact)
            self.accounts[semaphore].through.update(_ways_back(ahead, concern))
        elif held.least > 0 and self._passes_on(call, semaphore):
            self._take(call, semaphore, held.least, certain=True)
        elif held.least > 0 and (_would_release(ahead) or concern.names):
            self._take(call, semaphore, held.least, certain=False)

    def _by_itself(self, frame: Frame, concern: Concern) -> int | None:
        """What a frame has taken from the semaphore itself, not by way of functions; None where it varies."""
        flow = self._functions.flow(frame.info)
        held = flow.held(frame.lasti, Match.of(concern.names)) if flow is not None and concern.names else None
        return held.least if held is not None and held.least == held.most else None

    def _has(self, call: Call, semaphore: int, held: Held, ahead: Ahead, *, exact: bool) -> None:
        """Book a frame that took some, perhaps, and is going to give back.

        What gives one back on every way from here has it, whatever a flag or a result said before.
        """
        account = self.accounts[semaphore]
        looped = self._looped(call, ahead) if held.most is None and ahead.many else None
        if held.least > 0 and looped is None:
            self._take(call, semaphore, held.least, certain=True, exact=exact)
        elif looped is not None or _surely(ahead):
            number = looped if looped is not None else max(1, ahead.least)
            account.owes.append(Holder("frame", call.name, call.stack(), number))
            account.tasks |= {call.task} - {0}
        else:
            self._take(call, semaphore, held.most, certain=False)

    def _looped(self, call: Call, ahead: Ahead) -> int | None:
        """How many a loop over a range gives back, where that is a number that the frame knows."""
        flow = self._functions.flow(call.frame.info)
        releases = [event.offset for event in ahead.events if event.kind == "release"]
        ranges = [event for event in flow.events if event.path == ("global:range",)] if flow else []
        found = set()
        for offset in releases:
            before = [event for event in ranges if event.offset < offset]
            if not before:
                return None
            near = max(before, key=lambda event: event.offset)
            values = self._resolver.values(scope_of(call.frame), near.args[-1]) if len(near.args) == 1 else []
            found |= {self._objects.integer(value.address) for value in values} or {None}
        return found.pop() if len(found) == 1 else None

    def _take(
        self, call: Call, semaphore: int, number: int | None, *, certain: bool, exact: bool = False
    ) -> None:
        holder = Holder("frame", call.name, call.stack(), number, certain, exact)
        account = self.accounts[semaphore]
        account.took.append(holder)
        if call.task:
            account.tasks.add(call.task)

    def _passes_on(self, call: Call, semaphore: int) -> bool:
        """Whether an outer frame of the same chain gives back what this one took."""
        for frame in call.chain[: call.index]:
            if not self._functions.is_own(frame.info) or not self._functions.of_interest(frame.info):
                continue
            concern, flow = self._concerns(frame).get(semaphore), self._functions.flow(frame.info)
            if concern is not None and flow is not None:
                ahead = flow.ahead(frame.lasti, concern.match())
                if ahead.owed or _would_release(ahead) or _effects_release(ahead, concern):
                    return True
        return False

    def _owing(self, call: Call, semaphore: int, ahead: Ahead) -> None:
        """Book a frame that gives back what it did not take itself."""
        if self._outer_has(call, semaphore):
            return
        account = self.accounts[semaphore]
        frame = call.frame
        flow = self._functions.flow(frame.info)
        tokens = self._tokens.of(scope_of(frame), frame.info, flow) if flow is not None else []
        account.tokens += [token for token in tokens if token not in account.tokens]
        if self._waits_for_item(call):
            return
        number = 1 if ahead.many else ahead.most
        account.owes.append(Holder("frame", call.name, call.stack(), number, certain=_surely(ahead)))
        if _surely(ahead):
            account.tasks |= {call.task} - {0}
        if ahead.many and not tokens:
            account.owes.append(Holder("frame", call.name, call.stack(), None, certain=False))

    def _outer_has(self, call: Call, semaphore: int) -> bool:
        """Whether an outer frame of the same chain is booked for it already."""
        for frame in call.chain[: call.index]:
            if not self._functions.is_own(frame.info) or not self._functions.of_interest(frame.info):
                continue
            concern, flow = self._concerns(frame).get(semaphore), self._functions.flow(frame.info)
            if concern is not None and flow is not None:
                held = flow.held(frame.lasti, concern.match())
                if held.most != 0 or held.with_most != 0:
                    return True
        return False

    def _waits_for_item(self, call: Call) -> bool:
        """Whether a frame waits in a queue for the next item, and has none."""
        inner = call.inner
        return inner is not None and inner.info.name == "get" and inner.info.filename.endswith(_QUEUES)


def _surely(ahead: Ahead) -> bool:
    """Whether it gives one back on every way that ends well."""
    return ahead.least > 0 or bool(ahead.least_returning)


def _would_release(ahead: Ahead) -> bool:
    """Whether a release lies ahead, though something is taken before."""
    return ahead.some("release")


def _effects_release(ahead: Ahead, concern: Concern) -> bool:
    """Whether a call lies ahead that gives back."""
    match = concern.match()
    for event in ahead.events:
        effect = match.effect(event)
        if effect == "release" or (isinstance(effect, frozenset) and min(effect, default=0) < 0):
            return True
    return False


def _ways_back(ahead: Ahead, concern: Concern) -> set[str]:
    """Names of functions that lie ahead and give back."""
    match = concern.match()
    return {
        callee[-1].partition(":")[2]
        for event in ahead.events
        if event.kind == "call"
        and isinstance(effect := match.effect(event), frozenset)
        and min(effect, default=0) < 0
        for callee in event.callees
        if callee
    }
