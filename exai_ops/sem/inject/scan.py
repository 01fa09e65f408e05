"""A scan by the probe: runs it in the process, and makes a `Scan` of its answer."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Self

from exai_ops.errors import CouldNotLook
from exai_ops.sem.flow import Flow
from exai_ops.sem.flow_model import Match
from exai_ops.sem.flow_twin import CodeRequest, FlowTwin, Unread
from exai_ops.sem.inject import keeper, means
from exai_ops.sem.inject.merge import informed
from exai_ops.sem.model import Holder, Scan, Semaphore, Site, Waiter
from exai_ops.sem.process import Process
from exai_ops.sem.twin import command

SECONDS: Final = 30


class InjectedScanner:
    """Looks at a process from within it, each time anew. A context manager.

    Args:
        pid: The process.
        say: Told what will be done before anything is.
        outside: What a look from outside found: bounds that the source tells, for example.
        seconds: How long the probe may take there.
        patience_s: How long the process has to begin with it.

    Attributes:
        held_s: For how long the main thread was held the last time.
        longest_s: The longest stretch of the probe's work between two rests, as it measured itself.
        whole: Whether every object was seen the last time.
        busiest_s: The same in processor time, which a loaded machine does not lengthen.

    Raises:
        CouldNotLook: The process may not be looked at, or not in this way.
    """

    def __init__(
        self,
        pid: int,
        *,
        say: Callable[[str], None],
        outside: Scan | None = None,
        seconds: int = SECONDS,
        patience_s: float = means.PATIENCE_S,
    ) -> None:
        self._process = Process.open(pid)
        self._say = say
        self._outside = outside
        self._order = means.Order(seconds, patience_s)
        self._twin = FlowTwin(command(self._process))
        self._flows: dict[str, Flow | Unread] = {}
        self._said = False
        self.held_s = 0.0
        self.longest_s = 0.0
        self.busiest_s = 0.0
        self.whole = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._twin.close()

    def scan(self) -> Scan:
        """What there is now. Raises CouldNotLook."""
        means.check(self._process)
        if not self._said:
            self._say(means.says(self._process))
            self._said = True
        begun, clock = time.monotonic(), time.perf_counter()
        raw, self.held_s = keeper.ask(self._process, self._order)
        answer = _answer(raw)
        self.longest_s, self.busiest_s = answer["longest_s"], answer["busiest_s"]
        flows = self._flows_of(answer["codes"])
        semaphores = tuple(_semaphores(answer, flows))
        notes = [f"looked at from within: its main thread was held for {self.held_s * 1000:.1f} ms"]
        self.whole = answer["whole"]
        if not self.whole:
            notes.append("a large heap: objects that only C code or garbage refers to are not seen")
        found = Scan(
            pid=self._process.pid,
            started_ticks=self._process.start_ticks,
            python=answer["python"],
            at_s=begun,
            took_s=time.perf_counter() - clock,
            semaphores=semaphores,
            tasks=answer["tasks"],
            threads=answer["threads"],
            notes=(*self._process.notes, *notes),
        )
        return found if self._outside is None else informed(found, self._outside)

    def _flows_of(self, codes: list[dict[str, Any]]) -> list[Flow | Unread]:
        """The flow of each code, by an interpreter of the process's own version."""
        keys = [json.dumps(code, sort_keys=True) for code in codes]
        new = {key: code for key, code in zip(keys, codes, strict=True) if key not in self._flows}
        requests = [_request(number, code) for number, code in enumerate(new.values())]
        try:
            asked = self._twin.ask(requests)
        except CouldNotLook as error:
            asked = {number: Unread(number, str(error)) for number in range(len(new))}
        self._flows |= {key: asked[number] for number, key in enumerate(new)}
        return [self._flows[key] for key in keys]


def _answer(raw: bytes) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = json.loads(raw)
    except ValueError:
        raise CouldNotLook("the probe's answer was cut off: there is too much to tell") from None
    if "error" in answer:
        raise CouldNotLook(f"the probe could not look: {answer['error']}")
    return answer


def _request(number: int, code: Mapping[str, Any]) -> CodeRequest:
    return CodeRequest(
        **{
            **code,
            "code_id": number,
            "bytecode": bytes.fromhex(code["bytecode"]),
            "exceptiontable": bytes.fromhex(code["exceptiontable"]),
        }
    )


def _semaphores(answer: Mapping[str, Any], flows: list[Flow | Unread]) -> Iterable[Semaphore]:
    frames = _by_semaphore(answer["frames"])
    for row in answer["semaphores"]:
        holders, exits = _frame_holders(row["address"], frames.get(row["address"], []), flows)
        waiters = [Waiter(one["name"], _sites(one["stack"]), bool(one["granted"])) for one in row["waiters"]]
        waiters += _unlisted(row, frames.get(row["address"], []))
        left = row["exits"] - exits
        holders += [Holder("callback", "exit of a with block, kept elsewhere", (), left)] if left > 0 else []
        holders += [Holder(**{**one, "stack": _sites(one["stack"])}) for one in row["holders"]]
        yield Semaphore(
            address=row["address"],
            kind=row["kind"],
            type_name=row["type_name"],
            where=tuple(row["where"]),
            value=row["value"],
            bound=row["bound"],
            bound_from="stored" if row["bound"] is not None else "none",
            waiters=tuple(waiters),
            granted=row["granted"],
            holders=tuple(holders),
            why=row["why"],
        )


def _by_semaphore(frames: Iterable[dict[str, Any]]) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = {}
    for frame in frames:
        for address in {at for at, _ in (*frame["exits"], *frame["links"])}:
            found.setdefault(address, []).append(frame)
    return found


def _unlisted(row: Mapping[str, Any], frames: Iterable[dict[str, Any]]) -> list[Waiter]:
    """Threads that wait: a threading semaphore's queue has their locks alone."""
    if not row["kind"].startswith("threading"):
        return []
    return [
        Waiter(frame["name"], _sites(frame["stack"]))
        for frame in frames
        if row["address"] in frame["acquiring"]
    ][: max(0, row["waiting"] - len(row["waiters"]))]


def _frame_holders(
    address: int, frames: Iterable[dict[str, Any]], flows: list[Flow | Unread]
) -> tuple[list[Holder], int]:
    """(holders among frames, exits of running frames' ``with`` blocks, counted before as kept elsewhere)."""
    holders, exits = [], 0
    for frame in frames:
        acquiring = address in frame["acquiring"]
        withs = dict(frame["exits"]).get(address, 0)
        names = dict(frame["links"]).get(address, [])
        flow = flows[frame["code"]]
        if frame["thread"] and names and isinstance(flow, Flow):
            withs = _withs(flow, frame, names)
            exits += withs + acquiring
        elif withs:
            withs -= acquiring
        stack = _sites(frame["stack"])
        if withs > 0:
            holders.append(Holder("with", frame["name"], stack, withs, frame["driven"]))
        if names:
            holders += _between(frame, names, flow, stack)
    return holders, exits


def _match(flow: Flow, names: Iterable[str]) -> Match:
    """What denotes the semaphore in this code; when a local does, any local that is acquired or released."""
    known = {name for name in names if ":" in name}
    if "direct" in names:
        for event in flow.events:
            if event.kind in {"acquire", "release", "enter", "exit", "release_given", "enter_given"}:
                known |= {
                    path[0]
                    for path in event.paths
                    if len(path) == 1 and path[0].startswith(("local:", "free:"))
                }
    return Match.of(known)


def _withs(flow: Flow, frame: Mapping[str, Any], names: Iterable[str]) -> int:
    return flow.held(frame["lasti"], _match(flow, names)).with_least


def _between(
    frame: Mapping[str, Any], names: Iterable[str], flow: Flow | Unread, stack: tuple[Site, ...]
) -> list[Holder]:
    """A frame between acquire and release; what cannot be told for sure might give back any number."""
    if isinstance(flow, Unread):
        return [Holder("frame", frame["name"], stack, None, certain=False)]
    plainly = _match(flow, names)
    match = plainly if plainly.names else Match.of(None)
    ahead, held = flow.ahead(frame["lasti"], match), flow.held(frame["lasti"], match)
    if not ahead.owed:
        return []
    sure = plainly.names and frame["driven"] and held.least > 0 and ahead.least >= held.least
    if sure:
        return [Holder("frame", frame["name"], stack, held.least)]
    return [Holder("frame", frame["name"], stack, ahead.most, certain=False)]


def _sites(stack: Iterable[Any]) -> tuple[Site, ...]:
    return tuple(Site(file, line, function) for file, line, function in stack)
