"""How late an event loop runs what is due: the time that something blocked it."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from exai_ops.monitor.histogram import Histogram

WINDOW_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LagStats:
    """Lag in seconds, None before the first sample.

    Attributes:
        last_s: Of the latest sample.
        max_60s_s: The worst of the last 60 s.
        p50_s, p99_s: Over all samples, within ``histogram.RELATIVE_ERROR``.
    """

    samples: int
    last_s: float | None
    max_60s_s: float | None
    p50_s: float | None
    p99_s: float | None


class LoopLag:
    """Samples the lag of the loop that runs ``run``, every ``interval_s`` seconds.

    A loop blocked for ``d`` seconds shows a lag between ``d - interval_s`` and ``d``. ``clock`` is monotonic,
    in seconds; the loop's own would not do, uvloop's is rounded to milliseconds. So are its timers: below a
    millisecond the lag says nothing there.
    """

    def __init__(self, interval_s: float = 0.25, *, clock: Callable[[], float] = time.perf_counter) -> None:
        if not interval_s > 0:
            raise ValueError("interval_s must be above 0")
        self._interval_s = interval_s
        self._clock = clock
        self._window: deque[tuple[float, float]] = deque()
        self._stopped = asyncio.Event()
        self.histogram = Histogram()

    async def run(self) -> None:
        """Sample until ``stop`` is called or the task is cancelled; meant for the caller's TaskGroup."""
        stopped = asyncio.ensure_future(self._stopped.wait())
        try:
            while not stopped.done():
                due = self._clock() + self._interval_s
                await asyncio.wait((stopped,), timeout=self._interval_s)
                if not stopped.done():
                    self.observe(max(0.0, self._clock() - due))
        finally:
            stopped.cancel()
            self._stopped.clear()

    def stop(self) -> None:
        """Make ``run`` return; it can be run again. Call it on the loop's thread."""
        self._stopped.set()

    def observe(self, lag_s: float) -> None:
        """Count one sample, taken now."""
        now = self._clock()
        self._expire(now)
        while self._window and self._window[-1][1] <= lag_s:
            self._window.pop()  # it can never again be the worst
        self._window.append((now, lag_s))
        self.histogram.add(lag_s)

    def stats(self) -> LagStats:
        """What was measured so far. Call it on the loop's thread."""
        self._expire(self._clock())
        p50, p99 = self.histogram.percentiles((50, 99))
        return LagStats(
            samples=self.histogram.count,
            last_s=self._window[-1][1] if self._window else None,
            max_60s_s=self._window[0][1] if self._window else None,
            p50_s=p50,
            p99_s=p99,
        )

    def _expire(self, now: float) -> None:
        while self._window and self._window[0][0] < now - WINDOW_S:
            self._window.popleft()
