"""Hours of made-up traffic: quiet ones of several kinds, and incidents to plant in them. Seeded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from exai_ops.monitor.analysis.cube import Cube
from exai_ops.monitor.analysis.lines import Line, More
from exai_ops.monitor.analysis.traffic import Traffic

BEGIN: Final = 1_795_500_000.0
HOUR: Final = 3600.0


@dataclass
class Hour:
    """Calls as they come, and what they meet; ``lines`` are their events.

    Attributes:
        slower: Factor of a call's duration by its time.
        wait_ms: Wait for a permit by its time.
        fails, limited: Chance of an error, of a 429, by time.
    """

    seed: int
    slower: Callable[[float], float] = lambda _: 1.0
    wait_ms: Callable[[float], float] = lambda _: 0.0
    fails: Callable[[float], float] = lambda _: 0.0
    limited: Callable[[float], float] = lambda _: 0.0
    tail: tuple[float, float] = (0.0, 1.0)
    sigma: float = 0.6
    lines: list[Line] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)

    def add(
        self, at: float, type_: str, direction: str, function: str, ms: float | None = None, **more: Any
    ) -> None:
        """One event, ``at`` seconds into the hour."""
        error = more.pop("error", None)
        self.lines.append(
            Line(
                BEGIN + at,
                type_,
                direction,
                function,
                int(self.rng.integers(50, 4000)),
                ms,
                error,
                More(**more),
            )
        )

    def call(self, at: float, number: int) -> None:
        """One call of a tool: asked, sent to a provider, tried again where that fails, answered."""
        rng = self.rng
        provider = ("kimi", "glm")[number % 2]
        request, session = f"r{number}", f"s{number % 7}"
        took = 1800 * float(np.exp(rng.normal(0, self.sigma))) * self.slower(at)
        if rng.random() < self.tail[0]:
            took *= self.tail[1]
        wait = float(rng.exponential(2.0)) + self.wait_ms(at) * float(rng.uniform(0.5, 1.5))
        self.add(at, "websocket", "receive", "call_tool", session=session, request=request)
        now, attempt, failed = at + wait / 1000, 1, None
        while True:
            self.add(now, provider, "send", "stream", session=session, request=request, attempt=attempt)
            chance, limited = 0.004 + self.fails(at), 0.001 + self.limited(at)
            if rng.random() < limited:
                failed, direction, spent, after = "rate limited", "rate_limit", 80.0, float(rng.uniform(1, 5))
            elif rng.random() < chance:
                failed, direction, spent, after = "upstream answered 502", "error", 300.0, None
            else:
                failed, direction, spent, after = None, "receive", took, None
            now += spent / 1000
            more = {"request": request, "attempt": attempt, "retry_after_s": after}
            self.add(now, provider, direction, "stream", spent, error=failed, **more)
            if failed is None or attempt == 3:
                break
            attempt, now = attempt + 1, now + 0.5
        self.add(now, "sqlite", "send", "write", float(rng.lognormal(0.5, 0.5)))
        self.add(now, "websocket", "send" if failed is None else "error", "chat", (now - at) * 1000 + 1,
                 error=failed and "EXEC_ERROR", request=request, session=session, permit_wait_ms=wait,
                 queue_wait_ms=wait)  # fmt: skip

    def calls(self, times: Sequence[float]) -> Hour:
        """Calls at these times."""
        for number, at in enumerate(times):
            self.call(float(at), number)
        return self

    def clients(self, count: int) -> Hour:
        """Clients that come, stay for a time of their own, and leave."""
        for number in range(count):
            at = float(self.rng.uniform(0, HOUR))
            stays = float(self.rng.exponential(600))
            self.connection(at, min(stays, HOUR - at), f"s{number}")
        return self

    def connection(self, at: float, stays: float, session: str, error: str | None = None) -> None:
        """One connection, from its beginning to its end."""
        self.add(at, "websocket", "connect", "connection")
        self.add(
            at + stays,
            "websocket",
            "disconnect",
            "connection",
            session=session,
            duration_s=stays,
            error=error,
        )

    def in_order(self) -> list[Line]:
        """All events, by time."""
        return sorted(self.lines, key=lambda line: line.timestamp)


def poisson(rng: np.random.Generator, rate: Callable[[float], float], most: float) -> list[float]:
    """Times in an hour at which something happens, at a rate (1/s) that changes with time."""
    times = np.sort(rng.uniform(0, HOUR, rng.poisson(most * HOUR)))
    return [float(t) for t in times if rng.random() < rate(float(t)) / most]


def steady(hour: Hour, rate: float = 0.6) -> Hour:
    """As many calls at any time."""
    return hour.calls(poisson(hour.rng, lambda _: rate, rate)).clients(25)


def diurnal(hour: Hour) -> Hour:
    """Load that rises fourfold and falls, and durations that follow it a little."""
    phase = float(hour.rng.uniform(0, 6.28))

    def load(at: float) -> float:
        return 0.6 + 0.36 * float(np.sin(2 * np.pi * at / HOUR + phase))

    slower = hour.slower
    hour.slower = lambda at: slower(at) * (1 + 0.25 * (load(at) - 0.24) / 0.72)
    return hour.calls(poisson(hour.rng, load, 0.96)).clients(25)


def bursty(hour: Hour) -> Hour:
    """Somebody works, in bursts of a few minutes; scripts connect, call and leave, many at once."""
    starts = poisson(hour.rng, lambda _: 1 / 150, 1 / 150)
    times = [
        s + t for s in starts for t in np.cumsum(hour.rng.exponential(1.5, int(hour.rng.integers(5, 80))))
    ]
    hour.calls(sorted(t for t in times if t < HOUR)).clients(10)
    for number, start in enumerate(starts[::3]):
        for index in range(int(hour.rng.integers(3, 25))):
            at = start + 1.2 * index
            hour.connection(at, float(hour.rng.lognormal(0.9, 0.5)), f"c{number}-{index}")
            hour.call(at + 0.05, 10_000 + 100 * number + index)
    return hour


def sparse(hour: Hour) -> Hour:
    """A call a minute."""
    return hour.calls(poisson(hour.rng, lambda _: 1 / 60, 1 / 60)).clients(4)


QUIET: Final = {"steady": steady, "diurnal": diurnal, "bursty": bursty, "sparse": sparse}


def counted(lines: Sequence[Line], batch: int = 4000) -> Traffic:
    """The lines as the rules look at them."""
    cube = Cube()
    for begin in range(0, len(lines), batch):
        assert cube.add(lines[begin : begin + batch]) == []
    return Traffic(cube)


def between(begin: float, end: float, inside: float, outside: float = 0.0) -> Callable[[float], float]:
    """A value within a stretch of the hour, another outside."""
    return lambda at: inside if begin <= at < end else outside
