"""Code objects of other interpreters, described as a reader of their memory would."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exai_ops.sem.flow import Flow
from exai_ops.sem.flow_twin import CodeRequest, FlowTwin, Unread

DESCRIBE = r"""
import base64, dis, json, sys, types

def const(value):
    if isinstance(value, types.CodeType):
        return {"code": value.co_name}
    if isinstance(value, tuple) and all(isinstance(part, str) for part in value):
        return list(value)
    return value if value is None or isinstance(value, (bool, int, str)) else None

def inner(code):
    yield code
    for value in code.co_consts:
        if isinstance(value, types.CodeType):
            yield from inner(value)

def mark(code):
    # where the frame stands while it waits for, or is in, the first mark()
    found = list(dis.get_instructions(code))
    at = next((at for at, ins in enumerate(found) if ins.argval == "mark"), None)
    if at is None:
        return None
    awaited = next((ins.opname == "GET_AWAITABLE" for ins in found[at + 1:] if ins.opname in
                    ("POP_TOP", "GET_AWAITABLE", "RETURN_VALUE")), False)
    want = {"YIELD_FROM", "YIELD_VALUE"} if awaited else {"CALL", "CALL_FUNCTION"}
    at = next(k for k in range(at, len(found)) if found[k].opname in want)
    if awaited and sys.version_info < (3, 11):
        at -= 1
    if awaited and sys.version_info >= (3, 13):
        at += 1
    return found[at].offset

def describe(code, adaptive):
    raw = code._co_code_adaptive if adaptive else code.co_code
    return dict(
        code_id=getattr(code, "co_qualname", code.co_name), bytecode=base64.b64encode(raw).decode(),
        exceptiontable=base64.b64encode(getattr(code, "co_exceptiontable", b"")).decode(),
        names=code.co_names, varnames=code.co_varnames, cellvars=code.co_cellvars, freevars=code.co_freevars,
        consts=[const(value) for value in code.co_consts], flags=code.co_flags, argcount=code.co_argcount,
        kwonlyargcount=code.co_kwonlyargcount, mark=mark(code),
    )

asked = json.load(sys.stdin)
adaptive = bool(asked["run"]) and sys.version_info >= (3, 11)
namespace = {}
top = compile(asked["source"], "<programs>", "exec")
if asked["run"]:
    exec(top, namespace)
    exec(asked["run"], namespace)
    codes = [value.__code__ for value in namespace.values() if isinstance(value, types.FunctionType)]
else:
    codes = list(inner(top))[1:]
json.dump([describe(code, adaptive) for code in codes] + [namespace.get("told")], sys.stdout)
"""


def interpreters() -> dict[str, str]:
    """One interpreter of each version that can be read, our own among them."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found = {}
    for number in (10, 11, 12, 13):
        for path in sorted(root.glob(f"versions/3.{number}.*/bin/python")):
            found[f"3.{number}"] = str(path)
    return found | {f"3.{sys.version_info.minor}": sys.executable}


INTERPRETERS = interpreters()


@dataclass(frozen=True)
class Program:
    """Functions of one source, by qualified name: their requests and where they stand."""

    requests: dict[str, CodeRequest]
    marks: dict[str, int]
    told: Any


def describe(version: str, source: str, run: str = "") -> Program:
    """Functions of a source as compiled; with ``run``, as they are after that (``told`` comes back)."""
    done = subprocess.run(
        [INTERPRETERS[version], "-I", "-S", "-c", DESCRIBE], input=json.dumps({"source": source, "run": run}),
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    *rows, told = json.loads(done.stdout)
    marks = {row["code_id"]: row.pop("mark") for row in rows}
    for row in rows:
        for key in ("bytecode", "exceptiontable"):
            row[key] = base64.b64decode(row[key])
    requests = {row["code_id"]: CodeRequest(**row) for row in rows}
    return Program(requests, marks, told)


@contextmanager
def twin(version: str) -> Iterator[FlowTwin]:
    """An interpreter of that version that tells flows."""
    with FlowTwin([INTERPRETERS[version]]) as found:
        yield found


def flows(version: str, program: Program) -> dict[str, Flow]:
    """Flows of all functions, each of which must be had."""
    with twin(version) as asked:
        answers = asked.ask(program.requests.values(), deadline_s=60)
    unread = [answer for answer in answers.values() if isinstance(answer, Unread)]
    assert unread == []
    return {str(name): answer for name, answer in answers.items() if isinstance(answer, Flow)}
