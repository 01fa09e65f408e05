"""A call's way from its frame to its result, the same for WebSocket, MCP and the shell.

::

    submit -> known? -> attach, replay or refuse
           -> new    -> progress -> permit -> journal -> ack -> tool -> journal -> result

One task runs each call, in the task group of the daemon. A call that was refused for want of capacity
never ran and is forgotten, so that the advised retry runs; every other outcome is kept for the session
and replayed by request_id.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Mapping
from typing import Any, Final

import msgspec

from exai_ops.daemon import events, outcomes, protocol
from exai_ops.daemon.call import ID_SHOWN, Call, Sink, digest
from exai_ops.daemon.context import CallContext, Services
from exai_ops.daemon.permits import Hold, Ledger
from exai_ops.daemon.sessions import Session
from exai_ops.errors import ExaiError, OverCapacity, StorageError, ToolNotFound
from exai_ops.logs import get_logger
from exai_ops.storage.contract import CallRecord
from exai_ops.tools.api import Tool
from exai_ops.tools.registry import Registry

_LOG = get_logger("exai.dispatch")
_LEFT: Final = "the client left"


class Dispatcher:
    """Runs the calls of all sessions."""

    def __init__(
        self,
        *,
        services: Services,
        ledger: Ledger,
        registry: Registry,
        daemon_id: str,
    ) -> None:
        self.registry = registry
        self.draining = False
        self._services = services
        self._ledger = ledger
        self._daemon_id = daemon_id
        self._settings = services.settings
        self._running: dict[int, Call] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._idle = asyncio.Event()
        self._idle.set()

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Run calls in this task group from now on."""
        self._tasks = tasks

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Let work that does not raise go on beside whoever asks for it."""
        if self._tasks is None:
            raise RuntimeError("the dispatcher has not been started")
        return self._tasks.create_task(work)

    @property
    def running(self) -> list[Call]:
        """The calls that have no result yet, queued ones included."""
        return list(self._running.values())

    # --- what clients ask -------------------------------------------------------------------

    def submit(self, session: Session, sink: Sink, message: protocol.CallTool) -> Mapping[str, str]:
        """Start a call, attach to it, or answer from what is kept; never waits.

        Returns what joins the call's events.
        """
        request_id = message.request_id
        try:
            handler = self.registry.resolve(message.name)
        except ToolNotFound as error:
            details = {"hint": error.hint} if error.hint else {}
            frame = protocol.call_error(request_id, protocol.TOOL_NOT_FOUND, str(error), **details)
            self.spawn(sink.send(frame))
            origin = {"session": session.id, "request": request_id[:ID_SHOWN]}
            # Not under the name asked for: a client may make up a new one each time.
            events.refused(
                self._services.record, "(unknown tool)", protocol.TOOL_NOT_FOUND, origin, size=len(frame)
            )
            return origin
        mark, size = digest(handler.name, message.arguments)
        if (running := session.calls.get(request_id)) is not None:
            self.spawn(self._join(running, sink, mark, stream=message.stream))
            return running.origin
        asked_before = session.restored or request_id in session.finished
        return self._begin(session, sink, message, handler, mark, size_bytes=size, asked_before=asked_before)

    def cancel(self, session: Session, sink: Sink, request_id: str) -> None:
        """Abort a running call; its ``call_tool_res`` with CANCELLED is the answer."""
        call = session.calls.get(request_id)
        if call is None:
            self.fetch(session, sink, request_id)
            return
        if all(watcher.sink is not sink for watcher in call.watchers):
            call.watch(sink, stream=False)
        call.cancel(protocol.CANCELLED, "cancelled by the client")

    def fetch(self, session: Session, sink: Sink, request_id: str) -> None:
        """Tell a call's state: its result, INTERRUPTED, RUNNING or NOT_FOUND."""
        self.spawn(self._tell(session, sink, request_id))

    def client_left(self, session: Session, sink: Sink) -> None:
        """Its connection is gone: abort its calls but those that were asked to go on."""
        now = time.monotonic()
        for call in list(session.calls.values()):
            call.unwatch(sink)
            if not call.detach and not call.watchers:
                call.gone_since = now
                call.cancel(protocol.CANCELLED, _LEFT)

    async def attach_all(self, session: Session, sink: Sink) -> None:
        """Let a client that came back have the frames of its running calls."""
        for call in list(session.calls.values()):
            await call.attach(sink, stream=call.streaming, now=time.time())

    # --- the end of the daemon --------------------------------------------------------------

    async def idle(self) -> None:
        """Return once no call is left."""
        await self._idle.wait()

    def cut(self, why: str) -> list[Call]:
        """End every call that still runs, as interrupted; returns them."""
        return [call for call in self.running if call.cancel(protocol.INTERRUPTED, why)]

    # --- known calls ------------------------------------------------------------------------

    async def _join(self, call: Call, sink: Sink, mark: str, *, stream: bool) -> None:
        if call.digest != mark:
            await sink.send(outcomes.duplicate(call.request_id))
        elif call.result is not None:
            await sink.send(call.result)
        else:
            await call.attach(sink, stream=stream, now=time.time())

    async def _tell(self, session: Session, sink: Sink, request_id: str) -> None:
        call = session.calls.get(request_id)
        if call is not None:
            age_s = round(time.monotonic() - call.started_at, 3)
            message = f"{call.tool} is running"
            await sink.send(protocol.call_error(request_id, protocol.RUNNING, message, age_s=age_s))
        elif not await self._replay(session, sink, request_id):
            message = "no such call in this session, or its result is no longer kept"
            await sink.send(protocol.call_error(request_id, protocol.NOT_FOUND, message))

    async def _replay(self, session: Session, sink: Sink, request_id: str) -> bool:
        """Send what the store knows of a call; False when it knows nothing."""
        try:
            known = await self._known(session, request_id)
        except StorageError as error:
            await sink.send(protocol.call_error(request_id, protocol.EXEC_ERROR, str(error)))
            return True
        if known is not None:
            await sink.send(outcomes.kept(known))
        return known is not None

    async def _known(self, session: Session, request_id: str) -> CallRecord | None:
        """The ended call that is kept under this id. Raises StorageError."""
        known = session.unstored.get(request_id)
        if known is None:
            known = await self._services.storage.find_call(session.id, request_id)
        if known is None or known.state == "running" or outcomes.expired(known, self._settings.result_ttl_s):
            return None
        if known.result is not None and outcomes.code_of(known.result) == protocol.OVER_CAPACITY:
            return None
        return known

    # --- a new call -------------------------------------------------------------------------

    def _begin(
        self,
        session: Session,
        sink: Sink,
        message: protocol.CallTool,
        handler: Tool,
        mark: str,
        *,
        size_bytes: int,
        asked_before: bool,
    ) -> Mapping[str, str]:
        call = Call(
            session.id,
            message,
            handler,
            digest=mark,
            started_at=time.monotonic(),
            timeout_s=self._settings.call_timeout_s,
            size_bytes=size_bytes,
        )
        if self.draining and not asked_before:
            frame = self._refusal(message.request_id, "the daemon is stopping")
            self.spawn(sink.send(frame))
            events.refused(
                self._services.record, call.tool, protocol.OVER_CAPACITY, call.origin, size=len(frame)
            )
            return call.origin
        call.asked_before = asked_before
        call.watch(sink, stream=message.stream)
        session.calls[call.request_id] = call
        self._running[id(call)] = call
        self._idle.clear()
        call.task = self.spawn(self._run(session, call))
        return call.origin

    async def _run(self, session: Session, call: Call) -> None:
        """The whole life of one call; the boundary where any failure becomes its result."""
        kept = True
        call.stage = "running"
        try:
            frame = await self._answer(session, call)
        except OverCapacity as refusal:
            kept = False
            call.code = protocol.OVER_CAPACITY
            frame = self._refusal(call.request_id, str(refusal), refusal.retry_after_s)
        except asyncio.CancelledError:
            if call.cancel_code is None and outcomes.being_cancelled():
                raise  # by the end of the daemon's task group
            frame = (
                outcomes.defect(call)
                if call.cancel_code is None
                else outcomes.cancelled(call, call.cancel_code)
            )
        except ExaiError as error:
            frame = outcomes.refused(call, error)
        except (Exception, SystemExit):  # noqa: BLE001  # the task's boundary: a result whatever happens
            frame = outcomes.defect(call)
        call.stage = "ending"
        await self._finish(session, call, frame, kept=kept)

    async def _answer(self, session: Session, call: Call) -> str:
        if call.cancel_code is not None:
            return outcomes.cancelled(call, call.cancel_code)
        if call.asked_before and (frame := await self._remembered(session, call)) is not None:
            return frame
        call.handler.arguments.convert(call.arguments)
        call.announce(protocol.progress(call.request_id, call.tool, time.time(), protocol.ACCEPTED_NOTE))
        if not call.handler.needs_permit:
            return await self._execute(call, None)
        if self._settings.ws_semantic_cache and (frame := await self._cached(session, call)) is not None:
            return frame
        provider = self._first_provider(call)
        waits = not self._ledger.free(call.session_id, provider)
        if waits:
            await call.flush()
        async with self._ledger.hold(call, provider) as hold:
            call.entry = hold.entry
            if waits:
                events.permit(self._services.record, "take", call, provider, hold.entry.queued_s)
            return await self._execute(call, hold)

    async def _remembered(self, session: Session, call: Call) -> str | None:
        """What is kept under the call's id; None when it has to run."""
        known = await self._known(session, call.request_id)
        call.replayed = known is not None
        if known is not None:
            return (
                outcomes.kept(known) if known.digest == call.digest else outcomes.duplicate(call.request_id)
            )
        if self.draining:
            raise OverCapacity("the daemon is stopping", retry_after_s=self._settings.retry_after_s)
        return None

    async def _execute(self, call: Call, hold: Hold | None) -> str:
        """Journal, ack, run."""
        accepted_at = time.time()
        record = CallRecord(
            session_id=call.session_id,
            request_id=call.request_id,
            tool=call.tool,
            digest=call.digest,
            daemon=self._daemon_id,
            accepted_at=accepted_at,
        )
        journaling_at = time.monotonic()
        await self._services.storage.accept_call(record)
        call.journal_ms = (time.monotonic() - journaling_at) * 1000
        call.accepted_at = accepted_at
        await call.publish(protocol.call_ack(call.request_id, call.tool, call.timeout_s))
        context = CallContext(self._services, call, hold)
        call.writes = context.writes
        too_late = f"{call.tool} did not end within {call.timeout_s:g} s"
        loop = asyncio.get_running_loop()
        # A timer costs a fifth of asyncio.timeout, and so TIMEOUT is a cancellation like the others.
        timer = loop.call_later(call.timeout_s, call.cancel, protocol.TIMEOUT, too_late)
        try:
            result = await call.handler.run(context, call.arguments)
        finally:
            timer.cancel()
        if call.cancel_code == protocol.TIMEOUT:  # and the tool took no notice
            return outcomes.cancelled(call, protocol.TIMEOUT)
        return protocol.call_result(call.request_id, result.text, result.structured, result.metadata)

    def _first_provider(self, call: Call) -> str | None:
        if not call.handler.needs_provider:
            return None
        model = call.arguments.get(call.handler.model_argument) if call.handler.model_argument else None
        return self._services.providers.resolve(model).provider

    async def _cached(self, session: Session, call: Call) -> str | None:
        """The good result of an earlier call with the same tool and arguments, under this one's id."""
        if call.tool in self._settings.ws_no_coalesce_tools:
            return None
        earlier = session.answers.setdefault(call.digest, call.request_id)
        if earlier == call.request_id:
            return None
        first = session.calls.get(earlier)
        if first is not None and first.digest == call.digest:
            await call.flush()
            text: str | None = await first.wait()
        else:
            text = await self._stored(session, earlier, call.digest)
        frame = msgspec.json.decode(text) if text else {}
        if "text" not in frame:
            session.answers[call.digest] = call.request_id
            return None
        metadata = frame.get("metadata", {}) | {"cached_from": earlier}
        return protocol.encode(frame | {"request_id": call.request_id, "metadata": metadata})

    async def _stored(self, session: Session, request_id: str, mark: str) -> str | None:
        """The kept result of a call, unless its id has come to stand for another."""
        known = await self._services.storage.find_call(session.id, request_id)
        if known is None or known.digest != mark or outcomes.expired(known, self._settings.result_ttl_s):
            return None
        return known.result

    # --- its end ----------------------------------------------------------------------------

    async def _finish(self, session: Session, call: Call, frame: str, *, kept: bool) -> None:
        """Keep the result, then send it; a store that refuses does not keep it from its client."""
        now, ending_at = time.time(), time.monotonic()
        if call.accepted_at is not None:
            frame = await self._keep(session, call, frame, now)
        if kept and call.accepted_at is not None:
            session.finished[call.request_id] = now
        session.calls.pop(call.request_id, None)
        if call.code is not None and session.answers.get(call.digest) == call.request_id:
            del session.answers[call.digest]
        del self._running[id(call)]
        call.end(frame)
        await call.publish(frame)
        if not call.replayed:
            waited_s = call.entry.waited_s if call.entry is not None else None
            duration_s = time.monotonic() - call.started_at
            self._services.metrics.ended(call.tool, call.code or "ok", duration_s, waited_s)
            events.result(self._services.record, call, size=len(frame), ending_at=ending_at)
        call.entry = None  # it names the call as its owner: a circle that would keep all that the call holds
        if not self._running:
            self._idle.set()

    async def _keep(self, session: Session, call: Call, frame: str, now: float) -> str:
        """Store the result; the frame, with a warning if it or the tool's writes were not stored.

        Writes are applied in order, so when the result is stored the tool's writes are decided.
        """
        session.unstored.pop(call.request_id, None)
        finished = self._services.storage.finish_call(call.session_id, call.request_id, frame, now)
        refused = problem = await outcomes.written(call, finished)
        for write in call.writes:
            problem = await outcomes.decided(call, write) or problem
        if problem is None:
            return frame
        _LOG.warning("not stored", error=problem, session=call.session_id, request=call.request_id)
        frame = outcomes.with_warning(frame, f"this answer was not stored: {problem}")
        if refused is not None and call.code != protocol.OVER_CAPACITY:
            session.keep_unstored(outcomes.unstored(call, frame, self._daemon_id, now))
        return frame

    def _refusal(self, request_id: str, message: str, retry_after_s: float | None = None) -> str:
        seconds = self._settings.retry_after_s if retry_after_s is None else retry_after_s
        whole = int(seconds) if seconds == int(seconds) else seconds
        return protocol.call_error(request_id, protocol.OVER_CAPACITY, message, retry_after=whole)
