"""Compares a scan of the twin, by the code that targets are read with, with what the twin knows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from exai_ops.sem.frames import Frames
from exai_ops.sem.layout import Layout
from exai_ops.sem.memory import Memory
from exai_ops.sem.objects import Objects

Answer = Callable[[Frames, int], Any]


def differences(memory: Memory, layout: Layout, truth: list[Any]) -> list[str]:
    """What a scan says otherwise than the twin, one line each; none when they agree.

    Args:
        truth: ``[question, address, answer]`` rows of ``twin_script.py``.
    """
    frames = Frames(Objects(memory, layout))
    wrong = []
    for question, address, answer in truth:
        said = ANSWERS[question](frames, address)
        good = CONTAINS[question](said, answer) if question in CONTAINS else said == answer
        if not good:
            wrong.append(f"{question}: the twin has {_short(answer)}, the scan {_short(said)}")
    return wrong


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else text[:117] + "..."


def _code(frames: Frames, address: int) -> Any:
    info = frames.objects.code(address)
    if info is None:
        return None
    return {
        "name": info.name, "qualname": info.qualname, "filename": info.filename,
        "firstlineno": info.firstlineno,
        "names": list(info.names), "consts": list(info.consts), "varnames": list(info.varnames),
        "cellvars": list(info.cellvars), "freevars": list(info.freevars), "flags": info.flags,
        "stacksize": info.stacksize,
        "bytecode": info.bytecode.hex(), "lines": _lines(info),
        "handlers": [list(row) for row in info.handlers()],
    }  # fmt: skip


def _lines(info: Any) -> list[list[int]]:
    from exai_ops.sem.codes import lines

    return [[o, line] for start, end, line in lines(info) for o in range(start, end, 2) if line is not None]


def _frame(frames: Frames, address: int) -> Any:
    frame = frames.coroutine_frame(address)
    return None if frame is None else [frame.code, frame.locals, frame.lasti, frame.line]


def _held(frames: Frames, address: int) -> Any:
    """Bound methods on a frame's stack: [self, name]."""
    frame = frames.coroutine_frame(address)
    found = []
    for one in frame.stack if frame else []:
        bound = frames.objects.method(one)
        function = frames.objects.function(bound[1]) if bound else None
        info = frames.objects.code(function.code) if function else None
        if bound and info:
            found.append([bound[0], info.name])
    return found


def _task(frames: Frames, address: int) -> Any:
    task = frames.task(address)
    return task and [task.name, task.coroutine, task.state, task.waits_for, task.callbacks, task.loop]


def _future(frames: Frames, address: int) -> Any:
    future = frames.future(address)
    return future and [future.state, future.callbacks]


def _function(frames: Frames, address: int) -> Any:
    found = frames.objects.function(address)
    return found and [found.code, list(found.closure), found.globals, found.qualname]


def _instances(frames: Frames, address: int) -> Any:
    kind = frames.objects.type_of(address)
    return frames.objects.instances({kind})[kind]


def _names(frames: Frames, native: int) -> list[str]:
    return [f.info.qualname for thread in frames.threads() if thread.native == native for f in thread.frames]


def _locals(frames: Frames, native: int) -> list[list[Any]]:
    found = [f for thread in frames.threads() if thread.native == native for f in thread.frames]
    return [[f.info.name, name, value] for f in found for name, value in f.locals.items()]


ANSWERS: Final[dict[str, Answer]] = {
    "text": lambda f, a: f.objects.text(a),
    "integer": lambda f, a: str(f.objects.integer(a)),
    "floating": lambda f, a: repr(f.objects.floating(a)),
    "attributes": lambda f, a: f.objects.attributes(a),
    "items": lambda f, a: [list(pair) for pair in f.objects.dict_items(a)],
    "sequence": lambda f, a: f.objects.sequence(a),
    "members": lambda f, a: sorted(f.objects.sequence(a)),
    "type": lambda f, a: f.objects.types().get(f.objects.type_of(a)),
    "cell": lambda f, a: f.objects.cell(a),
    "method": lambda f, a: list(f.objects.method(a) or ()),
    "partial": lambda f, a: list(f.objects.partial(a) or ()),
    "weak": lambda f, a: f.objects.weak_reference(a),
    "function": _function,
    "code": _code,
    "frame": _frame,
    "held": _held,
    "stack": lambda f, a: getattr(f.coroutine_frame(a), "stack", []),
    "awaits": lambda f, a: f.awaits(a),
    "task": _task,
    "name": lambda f, a: getattr(f.task(a), "name", None),
    "future": _future,
    "chain": lambda f, a: [frame.info.name for frame in f.chain(a)],
    "instances": _instances,
    "refs": lambda f, a: [list(ref) for ref in f.objects.referrers([a])[a]],
    "thread": _names,
    "local": _locals,
}
CONTAINS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "refs": lambda said, answer: all(row in said for row in answer),
    "held": lambda said, answer: answer in said,
    "stack": lambda said, answer: answer in said,
    "local": lambda said, answer: answer in said,
    "thread": lambda said, answer: [n for n in said if n in answer] == answer,
}
