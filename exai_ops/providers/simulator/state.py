"""What a simulator was asked, what it is set to do wrong, and a way to wait for either."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

import msgspec

from exai_ops.providers.simulator.dialects import DIALECTS
from exai_ops.providers.simulator.faults import Fault
from exai_ops.providers.simulator.options import SimulatorOptions

Outcome: TypeAlias = Literal["in_flight", "completed", "faulted", "refused", "aborted"]
COUNTS: Final = ("received", "in_flight", "completed", "faulted", "refused", "aborted", "pieces")


@dataclass(slots=True)
class Seen:
    """One request, without its headers, and so without its key.

    Attributes:
        outcome: ``completed`` for a whole good answer, ``faulted`` for one spoilt as asked, ``refused`` for
            one that the simulator would not answer, ``aborted`` when the client left before the end.
        pieces: Pieces of a stream that were sent.
    """

    provider: str
    method: str
    path: str
    body: bytes = b""
    stream: bool = False
    fault: Fault | None = None
    outcome: Outcome = "in_flight"
    pieces: int = 0

    def as_dict(self) -> dict[str, Any]:
        """As ``/_sim/requests`` shows it; a body that is not JSON is shown as text."""
        return {
            "provider": self.provider,
            "method": self.method,
            "path": self.path,
            "stream": self.stream,
            "fault": self.fault.as_text() if self.fault else "",
            "outcome": self.outcome,
            "pieces": self.pieces,
            "body": _shown(self.body),
        }


@dataclass(slots=True)
class SimulatorState:
    """Counts, the last requests and the faults of a running simulator; for one event loop."""

    options: SimulatorOptions
    counts: dict[str, dict[str, int]] = field(init=False)
    seen: deque[Seen] = field(init=False)
    faults: dict[str, Fault] = field(init=False)
    closing: bool = False
    _spent: dict[str, int] = field(default_factory=dict)
    _waiters: set[asyncio.Future[None]] = field(default_factory=set)
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.options.seed)  # noqa: S311 - jitter that repeats, no secret
        self.reset_faults()
        self.reset_requests()

    def begin(self, seen: Seen) -> None:
        """Count a request that came in."""
        self.seen.append(seen)
        counts = self.counts[seen.provider]
        counts["received"] += 1
        counts["in_flight"] += 1
        self._wake()

    def end(self, seen: Seen, outcome: Outcome) -> None:
        """Count how it ended."""
        seen.outcome = outcome
        counts = self.counts[seen.provider]
        # A reset in between forgets the request: it must not count below zero.
        counts["in_flight"] = max(0, counts["in_flight"] - 1)
        counts[outcome] += 1
        counts["pieces"] += seen.pieces
        self._wake()

    def set_fault(self, provider: str, fault: Fault) -> None:
        """From now on; its counter starts anew. Raises FaultError for a code that is not the vendor's."""
        DIALECTS[provider].check(fault)
        self.faults[provider] = fault
        self._spent.pop(_counter(provider, fault), None)

    def reset_faults(self) -> None:
        """Back to the faults of the start, with all counters at zero."""
        self._spent.clear()
        self.faults = {name: self.options.fault_for(name) for name in DIALECTS}

    def reset_requests(self) -> None:
        """Forget what was received; requests in flight are no longer counted."""
        self.seen = deque(maxlen=self.options.remember)
        self.counts = {name: dict.fromkeys(COUNTS, 0) for name in DIALECTS}
        self._wake()

    def spend(self, provider: str, fault: Fault) -> Fault:
        """The fault for one more request: itself, or healed when ``first`` is used up."""
        if fault.first is None:
            return fault
        counter = _counter(provider, fault)
        spent = self._spent.get(counter, 0)
        self._spent[counter] = spent + 1
        return fault if spent < fault.first else fault.healed()

    def jitter(self, upper_s: float) -> float:
        """The next random wait, in seconds; the same sequence for the same seed."""
        return self._random.uniform(0, upper_s)

    def total(self, name: str, provider: str | None = None) -> int:
        """A count of one provider, or of both together."""
        return sum(counts[name] for key, counts in self.counts.items() if provider in (None, key))

    async def wait(self, *, timeout_s: float, provider: str | None = None, **least: int) -> bool:
        """Whether each named count reached its number in time; ``idle=1`` asks for none in flight.

        Raises ValueError for a count that does not exist. Cancellation safe.
        """
        for name in least:
            if name not in (*COUNTS, "idle"):
                raise ValueError(name)
        try:
            async with asyncio.timeout(timeout_s):
                while not self._reached(provider, least.items()):
                    if self.closing:
                        return False
                    await self._changed()
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        """Let go of whoever waits."""
        self.closing = True
        self._wake()

    def as_dict(self) -> dict[str, Any]:
        """As ``/_sim/requests`` shows it, the last requests in their order."""
        return {**self.counts, "requests": [seen.as_dict() for seen in self.seen]}

    def _reached(self, provider: str | None, least: Iterable[tuple[str, int]]) -> bool:
        return all(
            self.total("in_flight", provider) == 0 if name == "idle" else self.total(name, provider) >= number
            for name, number in least
        )

    async def _changed(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)


def _counter(provider: str, fault: Fault) -> str:
    return fault.counter or f"{provider}: {fault.as_text()}"


def _shown(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body) if body else None
    except msgspec.DecodeError:
        return body.decode("utf-8", "replace")
