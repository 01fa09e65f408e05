"""What the SQLite store costs: CPU of the whole process (loop and thread) and latency.

The CPU includes what the benchmark itself spends to make records and switch tasks, shown beside it as
the cost with a store that does nothing.

``python benchmarks/storage.py`` prints a table; ``measure()`` returns its numbers.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

from exai_ops.storage.contract import CallRecord, StoredMessage
from exai_ops.storage.sqlite import SQLiteStorage

_QUESTION = "What does this change do, and what could go wrong with it? " * 8
_RESULT = '{"op":"call_tool_res","text":"' + "An answer of some length. " * 30 + '"}'
_TURNS = 10  # of one conversation


class _Nothing:
    """A store that does nothing, at the end of the turn."""

    def _done(self, *_: object) -> Awaitable[None]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        loop.call_soon(future.set_result, None)
        return future

    accept_call = append_messages = finish_call = _done


_Store: TypeAlias = SQLiteStorage | _Nothing


async def _one_call(store: _Store, session: int, number: int) -> None:
    """The three writes of one tool call, each awaited, as the daemon does."""
    ids = (f"session-{session:032x}", f"request-{number}")
    call = CallRecord(
        session_id=ids[0], request_id=ids[1], tool="chat", digest="d" * 64, daemon="a" * 32,
        accepted_at=time.time(),
    )  # fmt: skip
    await store.accept_call(call)
    now = time.time()
    turn = [
        StoredMessage(role="user", content=_QUESTION, created_at=now, tokens=120),
        StoredMessage(
            role="assistant",
            content=_QUESTION,
            created_at=now,
            tokens=120,
            metadata={"model": "kimi-k2-0905-preview", "provider": "kimi"},
        ),
    ]
    appended = store.append_messages(f"conversation-{session:032x}-{number // _TURNS}", turn)
    finished = store.finish_call(*ids, _RESULT, now)
    await appended
    await finished


async def _timed(work: Callable[[], Awaitable[object]], times: list[float]) -> None:
    started = time.perf_counter()
    await work()
    times.append(time.perf_counter() - started)


async def _calls(store: _Store, sessions: int, each: int, first: int = 0) -> dict[str, float]:
    times: list[float] = []

    async def session(index: int) -> None:
        for number in range(first, first + each):
            await _timed(lambda n=number: _one_call(store, index, n), times)  # type: ignore[misc]

    cpu, wall = time.process_time(), time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for index in range(sessions):
            group.create_task(session(index))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {
        "cpu_us": cpu / (sessions * each) * 1e6,
        "calls_per_s": sessions * each / wall,
        "p50_ms": statistics.quantiles(times, n=100)[49] * 1e3,
        "p99_ms": statistics.quantiles(times, n=100)[98] * 1e3,
    }


async def _journal(store: SQLiteStorage, times: int = 500) -> dict[str, float]:
    """One append alone, as a client waits for it before its ack."""
    taken: list[float] = []
    for number in range(times):
        call = CallRecord(
            session_id="journal", request_id=str(number), tool="chat", digest="d", daemon="a", accepted_at=1.0
        )
        await _timed(lambda c=call: store.accept_call(c), taken)  # type: ignore[misc]
    cuts = statistics.quantiles(taken, n=100)
    return {"journal_p50_ms": cuts[49] * 1e3, "journal_p99_ms": cuts[98] * 1e3}


async def _saturated(store: SQLiteStorage, sessions: int = 32, each: int = 10) -> dict[str, float]:
    """Latency while the loop never pauses and polls every 0.3 ms."""
    times: list[float] = []

    async def session(index: int) -> None:
        for number in range(each):
            await _timed(lambda n=number: _one_call(store, index, n), times)  # type: ignore[misc]
            await asyncio.sleep(0.01)

    work = asyncio.gather(*(session(index) for index in range(sessions)))
    while not work.done():
        until = time.perf_counter() + 0.0003
        while time.perf_counter() < until:
            pass
        await asyncio.sleep(0)
    cuts = statistics.quantiles(times, n=100)
    return {"saturated_p50_ms": cuts[49] * 1e3, "saturated_p99_ms": cuts[98] * 1e3}


async def _rows(store: SQLiteStorage, count: int = 20_000) -> dict[str, float]:
    """Rows a second when one thing after another is written without waiting."""
    started = time.perf_counter()
    turn = [StoredMessage(role="user", content="short", created_at=1.0)] * 2
    await asyncio.gather(*(store.append_messages(f"c{n % 100}", turn) for n in range(count // 2)))
    return {"rows_per_s": count / (time.perf_counter() - started)}


async def _measure(folder: Path) -> dict[str, float]:
    numbers: dict[str, float] = {}
    started = time.perf_counter()
    store = SQLiteStorage(folder / "fresh.sqlite3")
    await store.open()
    numbers["open_new_ms"] = (time.perf_counter() - started) * 1e3
    await store.close()
    started = time.perf_counter()
    await store.open()
    numbers["open_again_ms"] = (time.perf_counter() - started) * 1e3
    numbers |= await _journal(store)
    numbers |= await _rows(store)
    await store.close()
    for sessions, each in ((1, 1500), (32, 200), (256, 25)):
        store = SQLiteStorage(folder / f"calls-{sessions}.sqlite3")
        await store.open()
        await _calls(store, sessions, max(2, each // 10))
        result = await _calls(store, sessions, each, first=1_000_000)
        numbers |= {f"{name}_{sessions}": value for name, value in result.items()}
        numbers[f"cpu_us_nothing_{sessions}"] = (await _calls(_Nothing(), sessions, each))["cpu_us"]
        if sessions == 32:
            numbers |= await _saturated(store)
        await store.close()
    return numbers


def measure() -> dict[str, float]:
    """All numbers, on uvloop as the daemon runs; the file lies in the system's temporary folder."""
    import uvloop

    with (
        tempfile.TemporaryDirectory() as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        return runner.run(_measure(Path(folder)))


def main() -> None:
    """Print the table."""
    n = measure()
    print(f"open, new file          {n['open_new_ms']:8.1f} ms")
    print(f"open, existing file     {n['open_again_ms']:8.1f} ms")
    print(f"journal append          {n['journal_p50_ms']:8.2f} ms p50 {n['journal_p99_ms']:8.2f} ms p99")
    print(f"rows in batches         {n['rows_per_s']:8.0f} rows/s")
    print(f"32 sessions, busy loop  {n['saturated_p50_ms']:8.2f} ms p50 {n['saturated_p99_ms']:8.2f} ms p99")
    print("\nsessions   CPU us/call   without store   calls/s   p50 ms   p99 ms   (3 writes of a call)")
    for s in (1, 32, 256):
        cells = (
            n[f"cpu_us_{s}"],
            n[f"cpu_us_nothing_{s}"],
            n[f"calls_per_s_{s}"],
            n[f"p50_ms_{s}"],
            n[f"p99_ms_{s}"],
        )
        print("{:8d}   {:11.1f}   {:13.1f}   {:7.0f}   {:6.2f}   {:6.2f}".format(s, *cells))


if __name__ == "__main__":
    main()
