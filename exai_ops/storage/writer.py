"""One thread that owns a store, fed in batches by an event loop.

The loop collects operations; while the thread is at work they wait, and then all go as one batch, so
that many sessions share a transaction. At most one batch is under way, all state but the backend
belongs to the loop, and the results of a batch come back by one callback.

A thread that waits for the interpreter lock may demand it after 5 ms, but each time the loop gives it
up and takes it again, as it does for every poll, the wait begins anew. A saturated loop that polled
every 0.3 ms kept a batch of one call waiting for 3.3 s. So while a batch is under way for long, the
loop sleeps for a moment.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Final, Protocol, TypeAlias

from exai_ops.errors import StorageError

DEADLINE_S: Final = 10.0
IDLE_S: Final = 1.0

# A loop without a pause lends the interpreter lock to a batch that takes long: so much, so often, and
# less often after so many times, because then it is the disk that is slow.
_LEND_S: Final = 0.0002
_LEND_EVERY_S: Final = 0.002
_LEND_SELDOM_S: Final = 0.05
_LEND_OFTEN: Final = 20


class Operation:
    """One thing to do in the thread.

    Attributes:
        name: What the monitor calls it.
        rows: Parameters to write, or None when ``work`` is to be called.
        work: What to call with the backend's connection; its value resolves the future.
        barrier: Whether it must see exactly the writes before it; a plain read may see later ones too.
        size_bytes: Of the content, for the monitor.
    """

    __slots__ = ("barrier", "future", "name", "rows", "size_bytes", "work")

    def __init__(
        self,
        future: asyncio.Future[Any],
        *,
        name: str,
        rows: tuple[Any, ...] | None = None,
        work: Callable[[Any], Any] | None = None,
        barrier: bool = False,
        size_bytes: int = 0,
    ) -> None:
        self.future = future
        self.name = name
        self.rows = rows
        self.work = work
        self.barrier = barrier
        self.size_bytes = size_bytes


Outcome: TypeAlias = tuple[Operation, Any, BaseException | None]


class Backend(Protocol):
    """What the thread drives; every method runs in the thread."""

    def open(self) -> None: ...

    def apply(self, batch: Sequence[Operation]) -> list[Outcome]:
        """Do all of it; an operation that fails is an outcome, and no other operation's."""

    def idle(self) -> None:
        """Called once when nothing came for a second after work."""

    def close(self) -> None: ...


class Writer:
    """Batches for a backend, from one event loop.

    Every future is resolved within twice ``deadline_s``, also when the thread hangs; a write that ran
    into the deadline may still be applied later.
    """

    def __init__(self, backend: Backend, *, name: str, deadline_s: float = DEADLINE_S) -> None:
        self._backend = backend
        self._name = name
        self._deadline_s = deadline_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._inbox: SimpleQueue[list[Operation] | None] = SimpleQueue()
        self._pending: list[Operation] = []
        self._under_way: list[Operation] = []
        self._scheduled = False
        self._closing: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._lent = 0
        self._overdue_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether operations are taken."""
        return self._loop is not None and self._closing is None

    async def open(self) -> None:
        """Start the thread and open the backend in it; when cancelled, the thread closes it again."""
        if self.is_open:
            return
        if self._thread is not None and self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, self._deadline_s)
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        inbox: SimpleQueue[list[Operation] | None] = SimpleQueue()
        self._thread = threading.Thread(
            target=self._run, args=(inbox, loop, ready), name=self._name, daemon=True
        )
        self._thread.start()
        try:
            await asyncio.wait_for(ready, self._deadline_s)
        except TimeoutError:
            inbox.put(None)
            raise StorageError(f"{self._name}: not open after {self._deadline_s:g} s") from None
        except asyncio.CancelledError:
            inbox.put(None)
            raise
        self._inbox, self._loop, self._closing = inbox, loop, None

    async def close(self) -> None:
        """Do what is queued, close the backend, end the thread. Safe to call twice and to cancel."""
        if self._loop is None:
            return
        if self._closing is None:
            self._closing = self._loop.create_future()
            self._send_when_free()
        await asyncio.wait({self._closing}, timeout=2 * self._deadline_s)
        if not self._closing.done():
            raise StorageError(f"{self._name}: not closed after {2 * self._deadline_s:g} s")
        self._closing.result()

    def submit(self, operation: Operation) -> None:
        """Queue it; its future tells the outcome. Cancelling the future leaves the operation alone."""
        if not self.is_open:
            operation.future.set_exception(StorageError(f"{self._name}: the store is not open"))
            return
        self._pending.append(operation)
        if not self._scheduled and not self._under_way:
            self._send_when_free()

    def _send_when_free(self) -> None:
        """Send at the end of this turn of the loop, so that its tasks share the batch."""
        if self._loop is not None and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._send)

    def _send(self) -> None:
        self._scheduled = False
        if self._loop is None or self._under_way:
            return
        if self._pending:
            self._under_way, self._pending = self._pending, []
            self._lent, self._overdue_at = 0, self._loop.time() + self._deadline_s
            self._timer = self._loop.call_later(_LEND_EVERY_S, self._tend)
            self._inbox.put(self._under_way)
        elif self._closing is not None:
            self._inbox.put(None)

    def _deliver(self, outcomes: list[Outcome]) -> None:
        self._under_way = []
        if self._timer is not None:
            self._timer.cancel()
        for operation, value, error in outcomes:
            future = operation.future
            if future.done():
                continue
            if error is None:
                future.set_result(value)
            else:
                future.set_exception(error)
        if self._pending or self._closing is not None:
            self._send_when_free()

    def _tend(self) -> None:
        """Lend the lock to the batch under way, or give up on it; goes on until the thread answers."""
        if self._loop is None:
            return
        if self._loop.time() >= self._overdue_at:
            self._give_up()
            self._overdue_at = self._loop.time() + self._deadline_s
        else:
            time.sleep(_LEND_S)
            self._lent += 1
        pause = _LEND_EVERY_S if self._lent < _LEND_OFTEN else _LEND_SELDOM_S
        self._timer = self._loop.call_later(pause, self._tend)

    def _give_up(self) -> None:
        waiting = [*self._under_way, *self._pending]
        self._pending = []
        for operation in waiting:
            if not operation.future.done():
                operation.future.set_exception(
                    StorageError(
                        f"{self._name}: no answer within {self._deadline_s:g} s", hint="look at the disk"
                    )
                )

    def _closed(self, inbox: SimpleQueue[list[Operation] | None], error: BaseException | None) -> None:
        if inbox is not self._inbox:
            return  # the thread of an opening that was given up
        closing, self._loop = self._closing, None
        if closing is None or closing.done():
            return
        if error is None:
            closing.set_result(None)
        else:
            closing.set_exception(error)

    # --- in the thread ---

    def _run(
        self,
        inbox: SimpleQueue[list[Operation] | None],
        loop: asyncio.AbstractEventLoop,
        ready: asyncio.Future[None],
    ) -> None:
        error = _failure(self._backend.open)
        told = _call(loop, _resolve, ready, error)
        if error is None:
            if told:
                self._serve(inbox, loop)
            _call(loop, self._closed, inbox, _failure(self._backend.close))

    def _serve(self, inbox: SimpleQueue[list[Operation] | None], loop: asyncio.AbstractEventLoop) -> None:
        worked = False
        while True:
            try:
                batch = inbox.get(timeout=IDLE_S if worked else None)
            except Empty:
                worked = False
                _failure(self._backend.idle)
                continue
            if batch is None or not _call(loop, self._deliver, self._apply(batch)):
                return
            worked = True

    def _apply(self, batch: list[Operation]) -> list[Outcome]:
        try:
            return self._backend.apply(batch)
        except Exception as error:  # noqa: BLE001 - the thread's boundary: a bug reaches those who wait
            return [(operation, None, error) for operation in batch]


def _failure(work: Callable[[], None]) -> Exception | None:
    try:
        work()
    except Exception as error:  # noqa: BLE001 - the thread's boundary: whoever waits gets it
        return error
    return None


def _call(loop: asyncio.AbstractEventLoop, callback: Callable[..., None], *args: Any) -> bool:
    """Whether the loop still takes callbacks."""
    try:
        loop.call_soon_threadsafe(callback, *args)
    except RuntimeError:
        return False
    return True


def _resolve(future: asyncio.Future[None], error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
