"""One call from hello to exit code."""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from exai_ops.client import Connection, ConnectionLost, Frame, Target, connect
from exai_ops.commands.call import detached, options
from exai_ops.commands.call.detached import Ticket
from exai_ops.commands.call.output import Output, Progress, Stdin, failure, going_on, output
from exai_ops.commands.program import program
from exai_ops.errors import ExaiError, TimeRanOut, UsageError
from exai_ops.settings import Settings

CANCEL_S: Final = 2.0
"""How long a cancelled call may take to say so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the command line asks for.

    Attributes:
        tool: Its name, or None with ``fetch``.
        words: What follows the tool's name: its options, and ours too.
        timeout_s: For the whole call, None for no limit but the daemon's.
        retries: How often OVER_CAPACITY is tried again.
        fetch: Id of a detached call to fetch instead.
    """

    tool: str | None
    words: Sequence[str]
    url: str | None = None
    format: str | None = None
    document: str | None = None
    timeout_s: float | None = None
    retries: int = 0
    detach: bool = False
    fetch: str | None = None


ParseOwn: TypeAlias = Callable[[Request, Mapping[str, Any]], Request]


class ToolFailed(ExaiError):
    """The tool's call ended with an error.

    Attributes:
        code: As the daemon gave it.
    """

    def __init__(self, message: str, *, code: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.code = code


async def run(request: Request, settings: Settings, own: Mapping[str, Any], merge: ParseOwn) -> int:
    """Do it, and return the exit code. Raises ExaiError.

    ``own`` are the annotations of our own options, which may stand among the tool's; ``merge`` joins
    what they give to the request. Cancelling this cancels the call at the daemon first, for at most
    ``CANCEL_S``.
    """
    if request.fetch is not None:
        return await _fetch(request, settings)
    stdin = Stdin(wanted=_wants_stdin(request))
    async with connect(Target.of(settings, request.url)) as connection:
        tool = options.resolve(str(request.tool), await connection.tools())
        made = options.options_of(tool, own)
        ours, given = options.parse(tool, made, own, request.words)
        request = merge(request, ours)
        arguments = options.arguments(tool, made, given, request.document, stdin)
        call = Conversation(connection, request, str(tool["name"]), output(request.format, sys.stdout))
        call.flags = [option.flag for option in made if option.required]
        work = call.detach(arguments, settings) if request.detach else call.call(arguments)
        return await _attended(call, work, settings)


async def _attended(call: Conversation, work: Coroutine[Any, Any, int], settings: Settings) -> int:
    """A call to its end; when its connection is lost, keep what its result can still be fetched with."""
    try:
        return await work
    except ConnectionLost as lost:
        if call.keep_ticket(settings):
            fetch = f"exai call --fetch {call.request_id} tells what became of it"
            lost.hint = f"{lost.hint}; {fetch}" if lost.hint else fetch
        raise


def _wants_stdin(request: Request) -> bool:
    words = (*request.words, request.document or "")
    return any(word == "-" or word.endswith("=-") for word in words)


async def _fetch(request: Request, settings: Settings) -> int:
    ticket = detached.find(settings, str(request.fetch))
    target = Target.of(settings, request.url or ticket.url)
    async with connect(target, session_id=ticket.session_id, resume=ticket.resume) as connection:
        call = Conversation(connection, request, ticket.tool, output(request.format, sys.stdout))
        try:
            return await call.fetch(ticket.request_id)
        except ToolFailed as failed:
            if failed.code == "NOT_FOUND":  # and will not be found later
                detached.drop(settings, ticket.request_id)
            raise


class Conversation:
    """One call on an open connection.

    Attributes:
        flags: Options that every call of the tool must give.
    """

    def __init__(self, connection: Connection, request: Request, tool: str, out: Output) -> None:
        self.request_id = secrets.token_hex(8)
        self.flags: Sequence[str] = ()
        self._connection = connection
        self._request = request
        self._tool = tool
        self._out = out
        self._progress = Progress(sys.stderr)

    async def call(self, arguments: Mapping[str, Any]) -> int:
        """Call, and call again after OVER_CAPACITY as often as was asked for."""
        return await self._bounded(self._attempts(arguments), on_end=self._cancel)

    async def fetch(self, request_id: str) -> int:
        """Show what comes of a call that was started before; leaving does not cancel it."""
        self.request_id = request_id
        return await self._bounded(self._fetched())

    async def detach(self, arguments: Mapping[str, Any], settings: Settings) -> int:
        """Start the call and leave once it is accepted."""
        return await self._bounded(self._accepted(arguments, settings))

    async def _bounded(
        self, work: Coroutine[Any, Any, int], on_end: Callable[[], Awaitable[None]] | None = None
    ) -> int:
        """Do the work within ``--timeout``; when that or Ctrl-C ends it, ``on_end`` is done first."""
        try:
            async with asyncio.timeout(self._request.timeout_s), self._progress.shown():
                return await work
        except TimeoutError:
            if on_end is not None:
                await on_end()
            raise TimeRanOut(f"no result within {self._request.timeout_s:g} s") from None
        except asyncio.CancelledError:
            if on_end is not None:
                await on_end()
            raise
        finally:
            self._out.end()

    async def _attempts(self, arguments: Mapping[str, Any]) -> int:
        for retries_left in range(self._request.retries, -1, -1):
            await self._connection.start(self.request_id, self._tool, arguments, stream=True)
            last = await self._show(retrying=retries_left > 0)
            error = failure(last)
            if error is None or error["code"] != "OVER_CAPACITY" or not retries_left:
                return self._end(last)
            self._progress.note = "no capacity, trying again"
            await asyncio.sleep(_retry_after_s(error))
        raise AssertionError("the last attempt returns")

    async def _fetched(self) -> int:
        await self._connection.fetch(self.request_id)
        last = await self._show()
        if _code(last) == "RUNNING":  # its frames come by themselves: the session was taken up again
            last = await self._show()
        return self._end(last)

    async def _show(self, *, retrying: bool = False) -> Frame:
        """Show the frames up to the last one, which is returned; what will be asked again is not shown."""
        last: Frame = {}
        async for last in self._connection.frames(self.request_id):
            if _code(last) == "RUNNING" or (retrying and _code(last) == "OVER_CAPACITY"):
                continue
            self._progress.frame(last)
            self._out.frame(last)
        return last

    def _end(self, last: Frame) -> int:
        self._progress.stop()
        self._out.end()
        error = failure(last)
        if error is not None:
            raise _failed(self._tool, error)
        line = going_on(last, f"{program()} call {self._tool}", self.flags)
        if line is not None and sys.stdout.isatty() and sys.stderr.isatty():
            print(line, file=sys.stderr)
        return 0

    def keep_ticket(self, settings: Settings) -> bool:
        """Keep what ``--fetch`` needs; False where the session or the folder does not allow it."""
        if not self._connection.resume:
            return False
        try:
            detached.keep(settings, self._ticket())
        except ExaiError:
            return False
        return True

    def _ticket(self) -> Ticket:
        at = self._connection
        return Ticket(self.request_id, at.session_id, at.resume, at.url, self._tool)

    async def _cancel(self) -> None:
        """Tell the daemon, and wait until the call says that it ended; silence is not waited for."""
        try:
            async with asyncio.timeout(CANCEL_S):
                await self._connection.cancel(self.request_id)
                async for frame in self._connection.frames(self.request_id):
                    if frame.get("op") == "call_tool_res":
                        self._out.frame(frame)
        except (TimeoutError, ExaiError):
            return

    async def _accepted(self, arguments: Mapping[str, Any], settings: Settings) -> int:
        at = self._connection
        if not at.resume:
            raise ExaiError("this daemon cannot resume a session, so the result could not be fetched")
        detached.keep(settings, self._ticket())
        await at.start(self.request_id, self._tool, arguments, stream=True, detach=True)
        async for frame in at.frames(self.request_id):
            if (error := failure(frame)) is not None:
                detached.drop(settings, self.request_id)
                raise _failed(self._tool, error)
            if frame.get("op") == "call_tool_ack":
                break
        self._progress.stop()
        print(self.request_id)
        if sys.stderr.isatty():
            fetch = f"{program()} call --fetch {self.request_id}"
            print(f"accepted; fetch its result with: {fetch}", file=sys.stderr)
        return 0


def _code(frame: Frame) -> str | None:
    error = failure(frame)
    return None if error is None else str(error["code"])


def _retry_after_s(error: Mapping[str, Any]) -> float:
    value = error.get("retry_after", 1)
    return float(min(max(value, 0.05), 60.0)) if isinstance(value, int | float) and value >= 0 else 1.0


def _failed(tool: str, error: Mapping[str, Any]) -> ExaiError:
    """The error of a call as ours: a wrong name or wrong arguments are the caller's, the rest the tool's."""
    message = f"{tool}: {error['code']}: {error['message']}"
    hint = str(error["hint"]) if error.get("hint") else _HINTS.get(str(error["code"]))
    if error["code"] == "TOOL_NOT_FOUND" or error.get("kind") == "InvalidArguments":
        return UsageError(message, hint=hint)
    return ToolFailed(message, code=str(error["code"]), hint=hint)


_HINTS: Final = {
    "OVER_CAPACITY": "try again later, or let --retry N do it",
    "TIMEOUT": "EXAI_WS_CALL_TIMEOUT is the daemon's limit",
}
