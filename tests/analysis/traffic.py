"""Traffic made from a seed: quiet periods of several kinds, and incidents planted in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from exai_ops.monitor.analysis.cube import Cube
from exai_ops.monitor.analysis.lines import line_of
from exai_ops.monitor.analysis.model import Judged, View
from exai_ops.monitor.analysis.rules import RULES, judge
from exai_ops.monitor.analysis.sources import Skipped
from exai_ops.monitor.analysis.traffic import Traffic
from exai_ops.monitor.events import Event
from exai_ops.timezones import utc_iso

BEGIN: Final = 1_767_225_600.0
HOUR: Final = 3600.0
Rng = np.random.Generator
Times = npt.NDArray[np.float64]


def steady(rng: Rng) -> tuple[Times, float]:
    """When calls come: one a second or so, for an hour."""
    rate = rng.uniform(0.3, 2.0)
    return np.sort(rng.uniform(0, HOUR, rng.poisson(rate * HOUR))), HOUR


def diurnal(rng: Rng) -> tuple[Times, float]:
    """A day, with little at night."""
    times = rng.uniform(0, 24 * HOUR, 9000)
    level = 0.05 + 0.95 * np.sin(np.pi * times / (24 * HOUR)) ** 2
    return np.sort(times[rng.uniform(0, 1, len(times)) < level]), 24 * HOUR


def bursty(rng: Rng) -> tuple[Times, float]:
    """Bursts of calls with pauses between, as a team that works makes them."""
    starts = np.cumsum(rng.exponential(rng.uniform(20, 60), 200))
    starts = starts[starts < HOUR]
    sizes = rng.geometric(1 / rng.uniform(4, 20), len(starts))
    parts = [at + np.cumsum(rng.exponential(0.8, size)) for at, size in zip(starts, sizes, strict=True)]
    times = np.concatenate(parts) if parts else np.empty(0)
    return np.sort(times[times < HOUR]), HOUR


def sparse(rng: Rng) -> tuple[Times, float]:
    """A call every minute or so."""
    return np.sort(rng.uniform(0, HOUR, rng.poisson(rng.uniform(20, 120)))), HOUR


KINDS: Final[dict[str, Callable[[Rng], tuple[Times, float]]]] = {
    "steady": steady,
    "diurnal": diurnal,
    "bursty": bursty,
    "sparse": sparse,
}


class Source:
    """Events of a healthy daemon; incidents change what ``calls`` make, or add to ``events``."""

    def __init__(self, kind: str, seed: int) -> None:
        self.rng = np.random.default_rng([seed, len(kind)])
        self.times, self.lasts = KINDS[kind](self.rng)
        self.events: list[Event] = []
        self.fails: Callable[[float], float] = lambda _at: 0.008
        self.limits: Callable[[float], float] = lambda _at: 0.0005
        self.slower: Callable[[float], float] = lambda _at: 1.0
        self.waits_ms: Callable[[float], float] = lambda _at: 0.0

    def add(self, at: float, type_: str, way: str, function: str, **more: Any) -> None:
        """One event, ``at`` seconds after the beginning."""
        metadata = more.pop("metadata", None)
        self.events.append(Event(BEGIN + at, type_, way, "made.py", function, metadata=metadata, **more))

    def quiet(self) -> Source:
        """Make the calls and the connections."""
        for number, at in enumerate(self.times.tolist()):
            self._call(number, at)
        for at in self.rng.uniform(0, self.lasts, self.rng.poisson(self.lasts / 300)).tolist():
            self.connection(at, float(self.rng.lognormal(5, 1.5)))
        self.events.sort(key=lambda event: event.timestamp)
        return self

    def connection(self, at: float, lived_s: float) -> None:
        """One that comes and goes."""
        self.add(at, "websocket", "connect", "connection")
        if at + lived_s < self.lasts:
            told = {"duration_s": lived_s}
            self.add(at + lived_s, "websocket", "disconnect", "connection", metadata=told)

    def script(self, at: float, number: int) -> None:
        """A program that connects, calls once and leaves."""
        self.connection(at, float(self.rng.lognormal(0.9, 0.5)))
        self._call(number, at + 0.05)

    def _call(self, number: int, at: float) -> None:
        rng = self.rng
        origin = {"session": "s1", "request": f"r{number}"}
        self.add(at, "websocket", "receive", "call_tool", data_size_bytes=300, metadata=origin)
        for way in ("append", "query"):
            ms = float(rng.lognormal(-1, 0.6))
            self.add(at + 0.001, "sqlite", "send", way, response_time_ms=ms, metadata=origin)
        if rng.random() < 0.5:
            self.add(at + 0.002, "redis", "receive", "get", response_time_ms=0.3, weight=10)
        wait_ms = self.waits_ms(at) * float(rng.lognormal(0, 0.4))
        told = {"queue_wait_ms": wait_ms, "permit_wait_ms": wait_ms}
        provider = "kimi" if rng.random() < 0.6 else "glm"
        began, done = at, at + wait_ms / 1000
        for attempt in (1, 2, 3):
            metadata = origin | {"attempt": attempt, "model": "m"}
            self.add(done, provider, "send", "complete", data_size_bytes=900, metadata=metadata)
            took_ms = float(rng.lognormal(7.5, 0.6)) * self.slower(done)
            done += took_ms / 1000
            draw = rng.random()
            if draw < self.limits(at):
                limited = metadata | {"status": 429, "retry_after_s": 2.0}
                self.add(done, provider, "rate_limit", "complete", error="rate limited", metadata=limited)
                done += 2
            elif draw < self.limits(at) + self.fails(at):
                self.add(
                    done,
                    provider,
                    "error",
                    "complete",
                    response_time_ms=took_ms,
                    error="answered 500",
                    metadata=metadata,
                )
            else:
                self.add(done, provider, "receive", "complete", response_time_ms=took_ms, metadata=metadata)
                break
        whole_ms = 1000 * (done - began)
        self.add(
            done,
            "websocket",
            "send",
            "chat",
            data_size_bytes=4000,
            response_time_ms=whole_ms,
            metadata=origin | told,
        )


def view(events: Sequence[Event]) -> View:
    """What the rules see of events in their order."""
    cube = Cube()
    for begin in range(0, len(events), 4096):
        assert cube.add([line_of(event) for event in events[begin : begin + 4096]]) == 0
    return View(Traffic(cube), Skipped(), utc_iso)


def judged(events: Sequence[Event]) -> list[Judged]:
    """All that is found."""
    return judge(RULES, view(events))


def codes(events: Sequence[Event]) -> set[str]:
    """The codes of what is found."""
    return {one.finding.code for one in judged(events)}
