from __future__ import annotations

import asyncio
import time

import pytest

from exai_ops.monitor.looplag import LagStats, LoopLag

DEADLINE_S = 20.0


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_before_the_first_sample() -> None:
    assert LoopLag().stats() == LagStats(samples=0, last_s=None, max_60s_s=None, p50_s=None, p99_s=None)


def test_the_worst_leaves_with_its_minute() -> None:
    clock = Clock()
    lag = LoopLag(clock=clock)
    worst = []
    for now, sample in ((0, 0.5), (10, 0.9), (20, 0.2), (69, 0.1), (71, 0.05), (81, 0.01)):
        clock.now = float(now)
        lag.observe(sample)
        worst.append(lag.stats().max_60s_s)
        assert lag.stats().last_s == sample
    assert worst == [0.5, 0.9, 0.9, 0.9, 0.2, 0.1]


def test_percentiles_are_over_all_samples() -> None:
    lag = LoopLag(clock=Clock())
    for ms in range(1, 101):
        lag.observe(ms / 1000)
    stats = lag.stats()
    assert stats.samples == 100
    assert (stats.p50_s, stats.p99_s) == pytest.approx((0.05, 0.099), rel=0.02)


class Watched(LoopLag):
    """Tells of each sample."""

    def __init__(self, interval_s: float) -> None:
        super().__init__(interval_s)
        self.sampled = asyncio.Event()

    def observe(self, lag_s: float) -> None:
        super().observe(lag_s)
        self.sampled.set()


async def test_a_blocked_loop_shows() -> None:
    lag = Watched(0.001)
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        group.create_task(lag.run())
        await lag.sampled.wait()
        until = time.perf_counter() + 0.05
        while time.perf_counter() < until:
            pass
        lag.sampled.clear()
        await lag.sampled.wait()
        lag.stop()
    worst = lag.stats().max_60s_s
    assert worst is not None
    assert worst >= 0.045


async def test_stop_ends_a_run_at_once_and_it_can_run_again() -> None:
    lag = LoopLag(3600)
    for _ in range(2):
        async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
            group.create_task(lag.run())
            await asyncio.sleep(0)
            lag.stop()
    assert lag.stats().samples == 0


async def test_cancelled() -> None:
    task = asyncio.create_task(LoopLag(3600).run())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait((task,), timeout=DEADLINE_S)
    assert task.cancelled()


@pytest.mark.parametrize("interval_s", [0, -1, float("nan")])
def test_an_interval_of_nothing_is_refused(interval_s: float) -> None:
    with pytest.raises(ValueError, match="interval_s"):
        LoopLag(interval_s)
