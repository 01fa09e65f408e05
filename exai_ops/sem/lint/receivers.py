"""Which expressions of a module are semaphores, locks or limiters: those that it makes, or names as such."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

LIBRARIES: Final = ("asyncio", "threading", "multiprocessing", "anyio", "trio")
CLASSES: Final = frozenset({
    "Semaphore", "BoundedSemaphore", "Lock", "RLock", "Condition", "CapacityLimiter", "TrackedSemaphore",
})  # fmt: skip
_NAMED: Final = re.compile(r"(?:^|_)(?:sem|semaphore|lock|rlock|mutex|limiter)\d*$", re.IGNORECASE)


class Receivers:
    """Of one module. One is known by the last name of its expression: ``self.pool.slots`` by ``slots``."""

    def __init__(self, tree: ast.Module) -> None:
        self._modules, self._classes = _imported(tree)
        self._made = {name for node in ast.walk(tree) for name in self._names(node)}

    def knows(self, expression: ast.expr) -> bool:
        """Whether it is one of them."""
        name = last_name(expression)
        return name is not None and (name in self._made or _NAMED.search(name) is not None)

    def _names(self, node: ast.AST) -> Iterator[str]:
        """What a statement calls a new one: targets of an assignment, annotated names, entries of a table."""
        if isinstance(node, ast.Assign) and self._makes(node.value):
            yield from filter(None, map(last_name, node.targets))
        elif isinstance(node, ast.AnnAssign | ast.arg):
            target = node.target if isinstance(node, ast.AnnAssign) else None
            name = node.arg if isinstance(node, ast.arg) else last_name(target)
            value = node.value if isinstance(node, ast.AnnAssign) else None
            if name and (self._annotates(node.annotation) or (value is not None and self._makes(value))):
                yield name
        elif isinstance(node, ast.NamedExpr) and self._makes(node.value):
            yield node.target.id

    def _makes(self, value: ast.expr) -> bool:
        """Whether an expression makes one, or a table of them."""
        return any(
            isinstance(node, ast.Call) and self._is_class(node.func) for node in ast.walk(value)
        ) or any(
            isinstance(node, ast.Call)
            and last_name(node.func) in ("defaultdict", "field", "setdefault")
            and any(self._is_class(argument) for argument in _arguments(node))
            for node in ast.walk(value)
        )

    def _annotates(self, annotation: ast.expr | None) -> bool:
        if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
            try:
                annotation = ast.parse(annotation.value, mode="eval").body
            except SyntaxError:
                return False
        if annotation is None:
            return False
        return any(self._is_class(node) for node in ast.walk(annotation) if isinstance(node, ast.expr))

    def _is_class(self, expression: ast.expr) -> bool:
        if isinstance(expression, ast.Name):
            return expression.id in self._classes
        if not (isinstance(expression, ast.Attribute) and expression.attr in CLASSES):
            return False
        return isinstance(expression.value, ast.Name) and expression.value.id in self._modules


def last_name(expression: ast.expr | None) -> str | None:
    """``slots`` of ``self.slots``, ``slots[key]`` and ``self.slots[key]``; None of what has no name."""
    while isinstance(expression, ast.Subscript | ast.Starred):
        expression = expression.value
    if isinstance(expression, ast.Attribute):
        return expression.attr
    return expression.id if isinstance(expression, ast.Name) else None


def _arguments(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(keyword.value for keyword in call.keywords)]


def _imported(tree: ast.Module) -> tuple[set[str], set[str]]:
    """Names under which the module knows the libraries, and their classes."""
    modules, classes = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] in LIBRARIES:
                    modules.add(alias.asname or alias.name.split(".")[0])
        elif isinstance(node, ast.ImportFrom) and node.module:
            root = node.module.split(".")[0]
            for alias in node.names:
                if alias.name in CLASSES and (root in LIBRARIES or alias.name == "TrackedSemaphore"):
                    classes.add(alias.asname or alias.name)
                elif root in LIBRARIES:
                    modules.add(alias.asname or alias.name)
    return modules, classes
