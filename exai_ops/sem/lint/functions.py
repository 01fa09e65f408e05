"""One function, read for how it takes permits and gives them back.

Only acquires whose release stands in the same function are judged: that a permit is taken here and given back
elsewhere is how a lease works, and whether it comes back cannot be told from here. What is followed is where
statements stand, not what conditions mean.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from exai_ops.sem.lint.receivers import Receivers, last_name

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Block: TypeAlias = Sequence[ast.stmt]

_APART: Final = frozenset({
    "as_completed", "create_task", "ensure_future", "gather", "run_in_executor", "shield", "start_soon",
    "to_thread", "wait",
})  # fmt: skip
"""Calls that run what they are given apart from the caller, who may be cancelled while it goes on."""


class Problem(NamedTuple):
    """Something about one acquire: its code, its line, and the receiver as written."""

    code: str
    line: int
    receiver: str


@dataclass(frozen=True, slots=True)
class Acquire:
    """A call of ``acquire`` in a function.

    Attributes:
        blocks: The statement lists that it stands in with its place in each, the innermost first, each with
            the statement that the list belongs to; None for the function.
        awaited: Whether it waits in the event loop.
        may_fail: Whether it may give up: a timeout, or not to block.
    """

    call: ast.Call
    receiver: str
    blocks: tuple[tuple[Block, int, ast.AST | None], ...]
    awaited: bool
    may_fail: bool


def problems(function: Function, receivers: Receivers) -> Iterator[Problem]:
    """What is wrong with its acquires, in their order; at most one for each."""
    parents = _parents(function)
    for node in _own(function):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "acquire"
        ):
            code = _judged(node, function, receivers, parents)
            if code is not None:
                yield Problem(code, node.lineno, ast.unparse(node.func.value))


def _judged(
    call: ast.Call, function: Function, receivers: Receivers, parents: dict[ast.AST, ast.AST]
) -> str | None:
    assert isinstance(call.func, ast.Attribute)  # noqa: S101 - by the caller
    if not receivers.knows(call.func.value):
        return None
    around = _around(call, parents)
    if "wait_for" in around:
        return "SEM104"
    if any(name in _APART for name in around):
        return "SEM105"
    acquire = _acquire(call, function, parents)
    if acquire is None:
        return None
    if acquire.may_fail and isinstance(_statement(call, parents), ast.Expr):
        return "SEM107"
    return _placed(acquire, function)


def _around(call: ast.Call, parents: dict[ast.AST, ast.AST]) -> list[str]:
    """Names of the calls that this one is an argument of, within its statement."""
    names, node = [], parents.get(call)
    while node is not None and not isinstance(node, ast.stmt | ast.Lambda):
        if isinstance(node, ast.Call):
            names.append(last_name(node.func) or "")
        node = parents.get(node)
    return names


def _acquire(call: ast.Call, function: Function, parents: dict[ast.AST, ast.AST]) -> Acquire | None:
    assert isinstance(call.func, ast.Attribute)  # noqa: S101 - by the caller
    blocks: list[tuple[Block, int, ast.AST | None]] = []
    node: ast.AST | None = _statement(call, parents)
    while node is not None and node is not function:
        owner = parents[node]
        block = next((b for b in _blocks(owner) if any(one is node for one in b)), None)
        if block is not None and isinstance(node, ast.stmt):
            place = next(n for n, one in enumerate(block) if one is node)
            blocks.append((block, place, None if owner is function else owner))
        node = owner
    if not blocks:
        return None
    return Acquire(
        call=call,
        receiver=ast.unparse(call.func.value),
        blocks=tuple(blocks),
        awaited=isinstance(parents.get(call), ast.Await),
        may_fail=_may_fail(call),
    )


def _may_fail(call: ast.Call) -> bool:
    named = {keyword.arg: keyword.value for keyword in call.keywords}
    values = [*call.args, *named.values()]
    if len(call.args) == 1 and not named:
        return isinstance(call.args[0], ast.Constant) and call.args[0].value is False
    return any(
        not (isinstance(value, ast.Constant) and value.value in (None, True, -1)) for value in values
    ) and bool({"timeout", "blocking", "block"} & named.keys() or len(call.args) == 2)


def _placed(acquire: Acquire, function: Function) -> str | None:
    """What its place says, by the first that fits."""
    receiver = acquire.receiver
    if not _releases(function.body, receiver) or _hands_over(function, receiver):
        return None
    for block, _, owner in acquire.blocks:
        # Within a try that releases in the end, whatever happened to the acquire.
        if isinstance(owner, ast.Try) and block is owner.body and _releases(owner.finalbody, receiver):
            sure = any(_is_release(statement, receiver) for statement in owner.finalbody)
            return "SEM106" if sure and acquire.awaited else None
    return _followed(acquire)


def _followed(acquire: Acquire) -> str | None:
    """What comes after the acquire in its block, or in those around it up to a loop: a loop of acquires is
    how many are taken at once, and given back elsewhere.
    """
    receiver, awaits = acquire.receiver, acquire.awaited
    calls = waits = False
    for block, place, owner in acquire.blocks:
        following = block[place + 1 :]
        for statement in following[1:] if following and _is_guard(following[0]) else following:
            covers = _covering(statement, receiver, awaits=awaits)
            if covers is not None:
                return {"part": "SEM103", "whole": "SEM102" if waits else None}[covers]
            if _is_release(statement, receiver):
                return "SEM101" if calls or waits else None
            if _releases([statement], receiver):
                return "SEM103" if calls or waits or not _both_ways(statement, receiver) else None
            calls, waits = calls or _holds(statement, _CALLS), waits or _holds(statement, _WAITS)
        if isinstance(owner, ast.For | ast.AsyncFor | ast.While):
            return None
    return None


def _covering(statement: ast.stmt, receiver: str, *, awaits: bool) -> str | None:
    """``whole`` of a try that gives back whatever happens in it, ``part`` of one that does for some only."""
    if isinstance(statement, ast.With | ast.AsyncWith) and len(statement.body) == 1:
        return _covering(statement.body[0], receiver, awaits=awaits)
    if not isinstance(statement, ast.Try):
        return None
    if _releases(statement.finalbody, receiver):
        return "whole"
    handling = [handler for handler in statement.handlers if _releases(handler.body, receiver)]
    if not handling:
        return None
    if any(_catches_all(handler, awaits=awaits) for handler in handling):
        return "whole"
    after = _releases(statement.body, receiver) or _releases(statement.orelse, receiver)
    return "part" if awaits or after else None


def _catches_all(handler: ast.ExceptHandler, *, awaits: bool) -> bool:
    """Whether it catches all that may come; ``except Exception`` lets a cancellation pass."""
    if handler.type is None:
        return True
    types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    names = {last_name(one) for one in types}
    return "BaseException" in names or ("Exception" in names and (not awaits or "CancelledError" in names))


def _both_ways(statement: ast.stmt, receiver: str) -> bool:
    """Whether an ``if`` gives back in both of its branches."""
    return (
        isinstance(statement, ast.If)
        and _releases(statement.body, receiver)
        and _releases(statement.orelse, receiver)
    )


def _releases(block: Sequence[ast.AST], receiver: str) -> bool:
    return any(_is_call(node, receiver, "release") for one in block for node in _walk(one))


def _is_release(statement: ast.stmt, receiver: str) -> bool:
    return isinstance(statement, ast.Expr) and _is_call(statement.value, receiver, "release")


def _is_call(node: ast.AST, receiver: str, method: str) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == method
        and ast.unparse(node.func.value) == receiver
    )


def _hands_over(function: Function, receiver: str) -> bool:
    """Whether somebody else may release: ``stack.callback(sem.release)``, ``Lease(sem)``, a closure."""
    called = {id(node.func) for node in ast.walk(function) if isinstance(node, ast.Call)}
    named = [
        node
        for node in ast.walk(function)
        if isinstance(node, ast.Attribute) and node.attr == "release" and id(node) not in called
    ]
    if any(ast.unparse(node.value) == receiver for node in named):
        return True
    if any(ast.unparse(given) == receiver for node in ast.walk(function) for given in _given(node)):
        return True
    nested = [one for one in ast.walk(function) if isinstance(one, _SCOPES) and one is not function]
    return any(_is_call(node, receiver, "release") for one in nested for node in ast.walk(one))


def _given(node: ast.AST) -> list[ast.expr]:
    """What a node gives to somebody else."""
    if isinstance(node, ast.Call):
        return [*node.args, *(keyword.value for keyword in node.keywords)]
    return [node.value] if isinstance(node, ast.Return) and node.value is not None else []


_SCOPES: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


_CALLS: Final = (ast.Call, ast.Raise, ast.Return, ast.Continue, ast.Break, ast.Assert)
_WAITS: Final = (ast.Await, ast.AsyncFor, ast.AsyncWith, ast.Yield, ast.YieldFrom)
"""Where a task may be cancelled, or a generator closed."""


def _holds(statement: ast.stmt, kinds: tuple[type[ast.AST], ...]) -> bool:
    return any(isinstance(node, kinds) for node in _walk(statement))


def _is_guard(statement: ast.stmt) -> bool:
    """``if not got: return``: what follows an acquire that may give up."""
    return (
        isinstance(statement, ast.If)
        and not statement.orelse
        and isinstance(statement.test, ast.UnaryOp | ast.Name | ast.Compare)
        and isinstance(statement.body[-1], ast.Return | ast.Raise | ast.Continue | ast.Break)
    )


def _own(function: Function) -> Iterator[ast.AST]:
    """The nodes of a function without those of the functions in it."""
    for statement in function.body:
        yield from _walk(statement)


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, (*_SCOPES, ast.ClassDef)):
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _walk(child)


def _blocks(owner: ast.AST) -> Iterator[Block]:
    for name in ("body", "orelse", "finalbody"):
        block = getattr(owner, name, None)
        if isinstance(block, list):
            yield block


def _parents(function: Function) -> dict[ast.AST, ast.AST]:
    return {child: node for node in ast.walk(function) for child in ast.iter_child_nodes(node)}


def _statement(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> ast.stmt | None:
    found: ast.AST | None = node
    while found is not None and not isinstance(found, ast.stmt):
        found = parents.get(found)
    return found
