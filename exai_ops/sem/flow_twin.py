"""Flows of code objects, from an interpreter of the version that they were compiled for."""

from __future__ import annotations

import base64
import json
import os
import selectors
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final, Self

from exai_ops.errors import CouldNotLook
from exai_ops.sem.flow import Flow
from exai_ops.sem.flow_model import Closure, Event, Node

SCRIPT: Final = Path(__file__).with_name("flow_script.py")
ANSWER_LIMIT_BYTES: Final = 64_000_000
_STARTS: Final = 4  # of the interpreter within one batch


@dataclass(frozen=True, slots=True)
class CodeRequest:
    """A code object as it is in memory.

    Attributes:
        code_id: Any name for it, given back with the answer; no two the same in a batch.
        bytecode: As it is run, specialized instructions and filled caches included.
        consts: None, bool, int, str, tuples of str as they are; ``{"code": name}`` for a code object; None
            for others.
        exceptiontable: Empty before 3.11.
        argcount: Positional parameters; None when it is not known, and no local counts as one.
        original: Offset -> (opcode, argument) of instructions that a tracer or an executor has replaced.
    """

    code_id: int | str
    bytecode: bytes
    names: Sequence[str]
    varnames: Sequence[str]
    cellvars: Sequence[str]
    freevars: Sequence[str]
    consts: Sequence[Any]
    exceptiontable: bytes = b""
    flags: int = 0
    name: str = ""
    qualname: str = ""
    filename: str = ""
    firstlineno: int = 0
    stacksize: int = 0
    argcount: int | None = None
    kwonlyargcount: int = 0
    original: Mapping[int, tuple[int, int]] = field(default_factory=dict)

    def line(self) -> bytes:
        """The request as the script reads it."""
        fields: dict[str, Any] = {
            "code_id": self.code_id,
            "bytecode": base64.b64encode(self.bytecode).decode(),
            "exceptiontable": base64.b64encode(self.exceptiontable).decode(),
            "names": list(self.names),
            "varnames": list(self.varnames),
            "cellvars": list(self.cellvars),
            "freevars": list(self.freevars),
            "consts": list(self.consts),
            "flags": self.flags,
            "kwonlyargcount": self.kwonlyargcount,
            "original": {str(offset): list(pair) for offset, pair in self.original.items()},
        }
        if self.argcount is not None:
            fields["argcount"] = self.argcount
        return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class Unread:
    """A code object whose flow could not be had, and why."""

    code_id: int | str
    why: str


class FlowTwin:
    """Asks one interpreter. A context manager; the interpreter starts with the first question.

    Args:
        command: The interpreter, with what must come before its own arguments: ``["/proc/7/exe"]``.
        env: Its environment; none of ours by default.
    """

    def __init__(self, command: Sequence[str], *, env: Mapping[str, str] | None = None) -> None:
        self._name = command[0]
        self._command = [*command, "-I", "-S", "-c", SCRIPT.read_text(encoding="utf-8")]
        self._env = dict(env or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the twin
        self._version = (0, 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the interpreter."""
        self._stop()
        self._errors.close()

    def version(self, *, deadline_s: float = 10.0) -> tuple[int, int]:
        """Of the interpreter, which is started for it.

        Raises:
            CouldNotLook: It does not start.
        """
        self._start(time.monotonic() + deadline_s)
        return self._version

    def ask(
        self, requests: Iterable[CodeRequest], *, deadline_s: float = 10.0
    ) -> dict[int | str, Flow | Unread]:
        """Flows by code_id. A code object that ends the interpreter is unread; the others are asked again.

        Raises:
            CouldNotLook: The interpreter does not start.
        """
        todo = list(requests)
        found: dict[int | str, Flow | Unread] = {}
        until = time.monotonic() + deadline_s
        why = ""
        for _ in range(_STARTS):
            if not todo:
                return found
            self._start(until)
            lines, why = self._exchange(b"".join(request.line() for request in todo), len(todo), until)
            for request, line in zip(todo, lines, strict=False):
                found[request.code_id] = read(request.code_id, line)
            todo = todo[len(lines) :]
            if todo:
                self._stop()
                guilty = todo.pop(0)
                found[guilty.code_id] = Unread(guilty.code_id, why)
            if time.monotonic() >= until:
                break
        return found | {request.code_id: Unread(request.code_id, why) for request in todo}

    def _start(self, until: float) -> None:
        if self._process is not None and self._process.poll() is None:
            return
        self._stop()
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the caller's choice
                self._command, stdin=-1, stdout=-1, stderr=self._errors, env=self._env, bufsize=0
            )
        except OSError as error:
            raise self._no_start(error.strerror or str(error)) from error
        lines, why = self._exchange(b"", 1, until)
        try:
            major, minor = json.loads(lines[0])["ready"]
        except (IndexError, ValueError, KeyError, TypeError) as error:
            self._stop()
            raise self._no_start(why or "it says something else") from error
        self._version = (major, minor)

    def _no_start(self, why: str) -> CouldNotLook:
        return CouldNotLook(
            f"cannot read code by {self._name}: {why}",
            hint="it must be CPython 3.10 to 3.13, the target's own",
        )

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()

    def _exchange(self, out: bytes, count: int, until: float) -> tuple[list[bytes], str]:
        """Send, and read that many lines. With fewer comes the reason."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            return [], "it does not run"
        pending, got, lines = memoryview(out), bytearray(), 0
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            if pending:
                os.set_blocking(process.stdin.fileno(), False)
                selector.register(process.stdin, selectors.EVENT_WRITE)
            while lines < count:
                ready = {key.fileobj for key, _ in selector.select(max(until - time.monotonic(), 0))}
                if not ready:
                    return _lines(got), "no answer in time"
                if process.stdin in ready:
                    pending = pending[_write(process.stdin.fileno(), pending) :]
                    if not pending:
                        selector.unregister(process.stdin)
                if process.stdout in ready:
                    more = os.read(process.stdout.fileno(), 1 << 20)
                    if not more:
                        return _lines(got), self._last_words(process)
                    got += more
                    lines += more.count(b"\n")
                if len(got) > ANSWER_LIMIT_BYTES * (lines + 1):
                    return _lines(got), f"its answer is over {ANSWER_LIMIT_BYTES} bytes"
        return _lines(got), ""

    def _last_words(self, process: subprocess.Popen[bytes]) -> str:
        """Why the interpreter ended, by its last line on stderr."""
        code = process.wait()
        self._errors.seek(max(self._errors.seek(0, os.SEEK_END) - 4096, 0))
        words = self._errors.read().decode(errors="replace").strip().splitlines()
        self._errors.truncate(0)
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return f"the interpreter ended with {how}" + (f": {words[-1]}" if words else "")


def _lines(got: bytearray) -> list[bytes]:
    """The whole lines."""
    return bytes(got).split(b"\n")[:-1]


def _write(fd: int, data: memoryview) -> int:
    """Write what goes, none when the reader has gone: its output tells."""
    try:
        return os.write(fd, data[: 1 << 16])
    except BlockingIOError:
        return 0
    except BrokenPipeError:
        return len(data)


def read(code_id: int | str, line: bytes) -> Flow | Unread:
    """A flow from a line of the script."""
    try:
        answer = json.loads(line)
        return Unread(code_id, answer["error"]) if "error" in answer else _flow(code_id, answer)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        return Unread(code_id, f"an answer that cannot be read: {error}")


def _flow(code_id: int | str, answer: dict[str, Any]) -> Flow:
    return Flow(
        code_id,
        tuple(map(_event, answer["events"])),
        tuple(
            Node(start, end, tuple(events), tuple(ways), handler, tuple(parts))
            for start, end, events, ways, handler, parts in answer["nodes"]
        ),
        tuple(
            Closure(offset, const, tuple(captured), tuple(map(tuple, defaults)))
            for offset, const, captured, defaults in answer["closures"]
        ),
        answer["instructions"],
        dict(answer["resumed"]),
    )


def _event(given: dict[str, Any]) -> Event:
    first, *others = map(tuple, given["paths"])
    return Event(
        given["offset"],
        given["kind"],
        first,
        tuple(others),
        tuple(map(tuple, given["args"])),
        tuple(given.get("keywords", ())),
        tuple(map(tuple, given.get("callees", ()))),
        given.get("may", False),
    )
