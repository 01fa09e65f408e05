"""How the frames of a call are shown: text as it arrives, NDJSON, or one object at the end."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from io import TextIOWrapper
from typing import Any, Final, Protocol, TextIO

from exai_ops.client import Frame
from exai_ops.commands.terminal import visible
from exai_ops.errors import UsageError

_TICK_S: Final = 1.0


class Output(Protocol):
    """Takes every frame of a call, the last one included."""

    def frame(self, frame: Frame) -> None: ...
    def end(self) -> None:
        """No frame comes any more, be it that the connection was lost."""


def output(name: str | None, stdout: TextIO) -> Output:
    """The output of a format; None chooses text for a terminal and NDJSON for a pipe."""
    if isinstance(stdout, TextIOWrapper):
        stdout.reconfigure(errors="backslashreplace")  # a locale without the answer's letters is no failure
    if name is None:
        name = "text" if stdout.isatty() else "ndjson"
    if name not in _OUTPUTS:
        raise UsageError(f"--format: {name!r} is not known", hint=f"one of {', '.join(_OUTPUTS)}")
    return _OUTPUTS[name](stdout)


class TextOutput:
    """The answer's text: pieces as they arrive, then what the result holds beyond them.

    On a terminal control characters are shown instead of sent: the text is a model's, and could drive it.
    """

    def __init__(self, stdout: TextIO) -> None:
        self._stdout = stdout
        self._plain = stdout.isatty()
        self._shown = ""

    def frame(self, frame: Frame) -> None:
        if frame.get("op") == "stream":
            self._write(str(frame.get("delta", "")))
        elif frame.get("op") == "call_tool_res" and "error" not in frame:
            text = str(frame.get("text", ""))
            rest = text.removeprefix(self._shown) if text.startswith(self._shown) else f"\n{text}"
            self._write(rest)

    def end(self) -> None:
        if self._shown and not self._shown.endswith("\n"):
            self._write("\n")

    def _write(self, text: str) -> None:
        self._shown += text
        self._stdout.write(visible(text) if self._plain else text)
        self._stdout.flush()


class NdjsonOutput:
    """Each frame as one line of JSON."""

    def __init__(self, stdout: TextIO) -> None:
        self._stdout = stdout

    def frame(self, frame: Frame) -> None:
        self._stdout.write(json.dumps(frame, ensure_ascii=False) + "\n")
        self._stdout.flush()

    def end(self) -> None:
        self._stdout.flush()


class JsonOutput:
    """One object for the whole call."""

    def __init__(self, stdout: TextIO) -> None:
        self._stdout = stdout

    def frame(self, frame: Frame) -> None:
        if frame.get("op") in ("call_tool_res", "error"):
            self._stdout.write(json.dumps(reply(frame), ensure_ascii=False, indent=2) + "\n")

    def end(self) -> None:
        self._stdout.flush()


_OUTPUTS: Final[Mapping[str, Callable[[TextIO], Output]]] = {
    "text": TextOutput,
    "ndjson": NdjsonOutput,
    "json": JsonOutput,
}


def reply(frame: Frame) -> dict[str, Any]:
    """The last frame as ``--format json`` shows it; keys that say nothing are null."""
    error = failure(frame)
    return {
        "ok": error is None,
        "request_id": frame.get("request_id"),
        "text": frame.get("text"),
        "metadata": _metadata(frame),
        "structured": frame.get("structured"),
        "error": error,
    }


def _metadata(frame: Frame) -> dict[str, Any]:
    metadata = frame.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def failure(frame: Frame) -> dict[str, Any] | None:
    """The error of a last frame, with a code and a message whatever was sent; None for a good result."""
    if frame.get("op") == "error":
        return {"code": "EXEC_ERROR", "message": str(frame.get("message", ""))}
    error = frame.get("error")
    if error is None:
        return None
    if not isinstance(error, dict):
        return {"code": "EXEC_ERROR", "message": str(error)}
    return {"code": "EXEC_ERROR", "message": "", **error}


class Progress:
    """A line on a terminal's stderr that says how long the wait is; nothing elsewhere."""

    def __init__(self, stderr: TextIO) -> None:
        self._stderr = stderr
        self._on = stderr.isatty()
        self._drawn = False
        self._since = time.monotonic()
        self.note = ""

    def frame(self, frame: Frame) -> None:
        """Learn from a frame; the first piece of text ends the line."""
        if frame.get("op") == "progress":
            self.note = str(frame.get("note", ""))
        elif frame.get("op") == "call_tool_ack":
            self.note = "accepted, waiting for the answer"
        else:
            self.stop()

    def stop(self) -> None:
        """Take the line away, for good."""
        if self._drawn:
            self._stderr.write("\r\x1b[K")
            self._stderr.flush()
        self._on = self._drawn = False

    @asynccontextmanager
    async def shown(self) -> AsyncIterator[None]:
        """Keep the line current while entered."""
        ticking = asyncio.create_task(self._tick())
        try:
            yield
        finally:
            ticking.cancel()
            await asyncio.gather(ticking, return_exceptions=True)
            self.stop()

    async def _tick(self) -> None:
        while self._on:
            await asyncio.sleep(_TICK_S)
            if self._on:
                waited_s = time.monotonic() - self._since
                self._stderr.write(f"\r\x1b[K{waited_s:.0f} s  {visible(self.note)[:60]}")
                self._stderr.flush()
                self._drawn = True


def going_on(frame: Frame, command: str, flags: Sequence[str]) -> str | None:
    """How to continue the conversation that a result belongs to, or None when there is none.

    ``flags`` are the options that the next call must give too.
    """
    metadata = _metadata(frame)
    continuation_id = metadata.get("continuation_id")
    if not continuation_id or failure(frame) is not None:
        return None
    turns = metadata.get("turns_remaining")
    left = f", {turns} turns remain" if isinstance(turns, int) else ""
    words = [command, "--continuation-id", str(continuation_id), *(f"{flag} ..." for flag in flags)]
    return visible(f"[{continuation_id}{left}] go on: {' '.join(words)}")


class Stdin:
    """All of stdin as text, without the line end that a shell adds; it can be had once. Raises UsageError."""

    def __init__(self, *, wanted: bool) -> None:
        """Read it now if it is ``wanted``: a connection would not wait for someone who types."""
        self._data = sys.stdin.buffer.read() if wanted else b""
        self._read = False

    def __call__(self) -> str:
        if self._read:
            raise UsageError("stdin was asked for twice: one - is all it can fill")
        self._read = True
        try:
            return self._data.decode("utf-8-sig").removesuffix("\n")
        except UnicodeDecodeError as error:
            raise UsageError("stdin is not UTF-8 text") from error
