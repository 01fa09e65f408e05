"""One session with the daemon that outlives its connections, for many calls at once.

One socket at a time carries all calls; frames find theirs by request_id. Calls are detached, so that a lost
connection leaves them running, and therefore cancelled by name when nobody wants them any more.

A call is sent once. After a lost connection the session is taken up again and each call is asked for::

    its result      -> delivered
    RUNNING         -> attached: its frames go on, pieces that came before are dropped
    INTERRUPTED     -> delivered: the daemon died with the provider at work
    NOT_FOUND       -> never acknowledged: the daemon never began it (it journals first), so it is sent
                       again under its id; acknowledged: delivered as INTERRUPTED

For that, ``away_s`` must be less than the daemon keeps a result: a call whose result is gone is NOT_FOUND.
A session that cannot be taken up again, or a daemon that stays away, leaves its calls INTERRUPTED.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Final

from exai_ops.client.connection import OPEN_S, Connection, ConnectionLost, Frame, NotReachable, connect
from exai_ops.client.shape import tools_in
from exai_ops.client.target import Target
from exai_ops.errors import ExaiError, SettingsError
from exai_ops.logs import get_logger
from exai_ops.settings import Secret

_LOG: Final = get_logger("exai.link")

PATIENCE_S: Final = 2.0
"""How long a question waits for a connection before it fails."""
AWAY_S: Final = 60.0
"""How long running calls wait for a daemon that is away."""
FIRST_PAUSE_S: Final = 0.05
LAST_PAUSE_S: Final = 2.0


class LinkedCall:
    """A call that was sent.

    Attributes:
        acked: Whether the daemon has journaled it.
        next_seq: Of the next piece of the stream.
        cancelled: Whether nobody waits for it any more.
    """

    __slots__ = ("_frames", "acked", "cancelled", "message", "next_seq", "request_id")

    def __init__(self, name: str, arguments: Mapping[str, Any] | None, *, stream: bool) -> None:
        self.request_id = uuid.uuid4().hex
        self.message: Frame = {
            "op": "call_tool",
            "request_id": self.request_id,
            "name": name,
            "arguments": dict(arguments or {}),
            "stream": stream,
            "detach": True,
        }
        self.acked = False
        self.next_seq = 0
        self.cancelled = False
        self._frames: asyncio.Queue[Frame] = asyncio.Queue()

    def take(self, frame: Frame) -> None:
        """One of its frames; a piece that came before is dropped."""
        if frame.get("op") == "call_tool_ack":
            self.acked = True
        if frame.get("op") == "stream":
            seq = frame.get("seq")
            if not isinstance(seq, int) or seq < self.next_seq:
                return
            self.next_seq = seq + 1
        self._frames.put_nowait(frame)

    async def receive(self) -> Frame:
        """The next frame, once there is one; the last is a ``call_tool_res`` or ``error``."""
        return await self._frames.get()


class Link:
    """The session; ``run`` keeps it connected."""

    def __init__(self, target: Target, *, patience_s: float = PATIENCE_S, away_s: float = AWAY_S) -> None:
        self._target = target
        self._patience_s = patience_s
        self._away_s = away_s
        self._up = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._out: asyncio.Queue[Frame] = asyncio.Queue()
        self._calls: dict[str, LinkedCall] = {}
        self._asking: list[asyncio.Future[list[Frame]]] = []
        self._when_up: list[Callable[[], None]] = []
        self._session_id = ""
        self._resume = Secret()
        self._why: ExaiError | None = None
        self._lost_at: float | None = None

    # --- what is asked of it ----------------------------------------------------------------

    async def tools(self) -> list[Frame]:
        """The daemon's tools. Raises NotReachable with what to do."""
        await self._connected()
        answer: asyncio.Future[list[Frame]] = asyncio.get_running_loop().create_future()
        self._asking.append(answer)
        self._out.put_nowait({"op": "list_tools"})
        try:
            async with asyncio.timeout(OPEN_S):
                return await answer
        except TimeoutError:
            raise NotReachable(f"{self._target.url} did not list its tools within {OPEN_S:g} s") from None

    @asynccontextmanager
    async def call(
        self, name: str, arguments: Mapping[str, Any] | None, *, stream: bool
    ) -> AsyncIterator[LinkedCall]:
        """A call, cancelled when the block is left before its last frame came. Raises NotReachable."""
        await self._connected()
        call = LinkedCall(name, arguments, stream=stream)
        self._calls[call.request_id] = call
        self._idle.clear()
        self._out.put_nowait(call.message)
        try:
            yield call
        finally:
            self._cancel(call)

    def when_up(self, callback: Callable[[], None]) -> None:
        """Call it once, when the next connection stands."""
        self._when_up.append(callback)

    async def close(self, timeout_s: float) -> None:
        """Cancel what runs and wait until the daemon has said so, if it is there to hear it."""
        for call in list(self._calls.values()):
            self._cancel(call)
        if self._up.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._idle.wait()

    def _cancel(self, call: LinkedCall) -> None:
        if call.request_id in self._calls and not call.cancelled:
            call.cancelled = True
            self._out.put_nowait({"op": "cancel", "request_id": call.request_id})

    async def _connected(self) -> None:
        try:
            async with asyncio.timeout(self._patience_s):
                await self._up.wait()
        except TimeoutError:
            raise self._unreachable() from None

    def _unreachable(self) -> NotReachable:
        if self._why is None:
            return NotReachable(f"no daemon at {self._target.url} yet", hint="start one with: exai serve")
        return NotReachable(self._why.message, hint=self._why.hint)

    # --- the connection ---------------------------------------------------------------------

    async def run(self) -> None:
        """Keep it connected until cancelled, with a pause that grows between attempts."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                async with self._opened() as connection:
                    pause_s = FIRST_PAUSE_S
                    await self._converse(connection)
            except ExaiError as error:
                self._lost(error)
            await asyncio.sleep(random.uniform(0.5, 1.0) * pause_s)  # noqa: S311 - jitter, no secret
            pause_s = min(2 * pause_s, LAST_PAUSE_S)

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Connection]:
        """The session taken up again, or a new one where the daemon does not know it any more."""
        async with AsyncExitStack() as stack:
            try:
                again = connect(self._target, session_id=self._session_id, resume=self._resume)
                connection = await stack.enter_async_context(again)
            except SettingsError:
                if not self._resume:
                    raise
                self._session_id, self._resume = "", Secret()
                self._give_up("the daemon no longer knows the session")
                connection = await stack.enter_async_context(connect(self._target))
            self._session_id = connection.session_id
            self._resume = connection.resume or self._resume
            yield connection

    async def _converse(self, connection: Connection) -> None:
        """Send and receive until the connection is lost, which is raised."""
        self._out = asyncio.Queue()
        for call in self._calls.values():
            op = "cancel" if call.cancelled else "result"
            self._out.put_nowait({"op": op, "request_id": call.request_id})
        self._why, self._lost_at = None, None
        self._up.set()
        while self._when_up:
            self._when_up.pop()()
        writing = asyncio.create_task(self._write(connection))
        try:
            while True:
                self._take(await connection.receive())
        finally:
            self._up.clear()
            writing.cancel()
            await asyncio.wait({writing})

    async def _write(self, connection: Connection) -> None:
        with suppress(ConnectionLost, NotReachable):  # the one that receives says it
            while True:
                message = await self._out.get()
                try:
                    await connection.send(message)
                except ValueError as error:  # what JSON or UTF-8 cannot say
                    invalid = {"op": "error", "message": f"arguments: {error}"}
                    self._take(invalid | {"request_id": message.get("request_id")})

    def _lost(self, error: ExaiError) -> None:
        now = asyncio.get_running_loop().time()
        if self._why is None or str(error) != str(self._why):
            _LOG.warning("not connected", why=error.message, hint=error.hint)
        self._why = error
        self._lost_at = now if self._lost_at is None else self._lost_at
        for answer in self._asking:
            if not answer.done():
                answer.set_exception(self._unreachable())
        self._asking.clear()
        if now - self._lost_at > self._away_s:
            self._give_up("the daemon was lost and has not come back")

    # --- what comes back --------------------------------------------------------------------

    def _take(self, frame: Frame) -> None:
        if frame.get("op") == "list_tools_res":
            self._listed(frame)
            return
        call = self._calls.get(str(frame.get("request_id", "")))
        if call is None:
            if frame.get("op") == "error":
                _LOG.warning("refused by the daemon", message=str(frame.get("message"))[:200])
        elif frame.get("op") in ("call_tool_res", "error"):
            self._ended(call, frame)
        else:
            call.take(frame)

    def _listed(self, frame: Frame) -> None:
        tools = tools_in(frame)
        for answer in self._asking:
            if answer.done():
                continue
            if tools is None:
                answer.set_exception(NotReachable(f"{self._target.url} lists its tools in no known form"))
            else:
                answer.set_result(tools)
        self._asking.clear()

    def _ended(self, call: LinkedCall, frame: Frame) -> None:
        """Deliver a call's end, unless it is none."""
        error = frame.get("error")
        match error.get("code") if isinstance(error, dict) else None:
            case "RUNNING":
                return
            case "NOT_FOUND" if not call.acked and not call.cancelled:
                self._out.put_nowait(call.message)
                return
            case "NOT_FOUND":
                frame = _interrupted(call, "the daemon no longer knows the call")
        del self._calls[call.request_id]
        call.take(frame)
        if not self._calls:
            self._idle.set()

    def _give_up(self, why: str) -> None:
        for call in list(self._calls.values()):
            self._ended(call, _interrupted(call, why))


def _interrupted(call: LinkedCall, why: str) -> Frame:
    message = f"{why}; whether the provider answered is not known, and it was not asked again"
    error = {"code": "INTERRUPTED", "message": message}
    return {"op": "call_tool_res", "request_id": call.request_id, "error": error}
