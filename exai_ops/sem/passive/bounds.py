"""The bound of a plain semaphore, which does not keep it: read from the call that made it, in the source.

The name that its home keeps it under leads to the assignments in the source, each with the call of a
semaphore class; the argument there is a constant, a parameter's value that the home keeps too, a default,
a constant of the module, or what the callers pass. Candidates that disagree say nothing.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

from exai_ops.sem.codes import CodeInfo
from exai_ops.sem.model import Site
from exai_ops.sem.objects import Objects
from exai_ops.sem.passive.homes import Home
from exai_ops.sem.passive.resolve import Resolver

_BIG: Final = 4 << 20
_DEPTH: Final = 5
_NAMED: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


class Bound(NamedTuple):
    """A bound and where it is from; ``counts`` when the semaphore begins at zero and has none."""

    value: int | None
    built: Site | None
    counts: bool = False


class Made(NamedTuple):
    """A call that makes a semaphore, and what is around it."""

    call: ast.Call
    within: tuple[ast.AST, ...]


@dataclass(frozen=True)
class Source:
    """A file of the program, read and parsed."""

    file: str
    tree: ast.Module
    made: tuple[tuple[str, Made], ...]
    """(name it is kept under, the call); the name is empty when it is not kept under one."""


class Bounds:
    """Finds bounds for the semaphores of one process.

    Args:
        objects: Its objects.
        resolver: Its names.
        root: What to put before absolute paths; the folder that relative ones start from.
    """

    def __init__(self, objects: Objects, resolver: Resolver, *, root: str, cwd: str) -> None:
        self._objects = objects
        self._resolver = resolver
        self._root = root
        self._cwd = cwd

    def of(self, home: Home, classes: frozenset[str]) -> Bound | None:
        """The bound by one home of a semaphore, None when the source does not say it.

        Args:
            home: A place that keeps it.
            classes: Names of its class and the classes above it.
        """
        if self._objects.kind(home.owner) == "function":
            return self._default_of(home, classes)
        near, every = self._files(home), self._all_files()
        found, made = self._said_in(near, home, classes)
        if not made:
            found, made = self._said_in([file for file in every if file not in near], home, classes)
        return next(iter(found.values())) if len(found) == 1 and None not in found else None

    def _said_in(
        self, files: Iterable[str], home: Home, classes: frozenset[str]
    ) -> tuple[dict[int | None, Bound], int]:
        """Bounds that the calls in these files say, None for one that says none, and how many calls."""
        name = home.name or _key_home(home.text)
        answers: dict[int | None, Bound] = {}
        number = 0
        for file in files:
            source = _source(self._place(file), file)
            if source is None:
                continue
            fitting = [made for made in _candidates(source, name, classes) if self._fits(home, made)]
            within = [made for made in fitting if any(isinstance(one, ast.ClassDef) for one in made.within)]
            for made in (within if self._has_class(home) else []) or fitting:
                value = self._argument(source, made, home)
                line = Site(file, made.call.lineno, _function_name(made.within))
                answers.setdefault(value, Bound(value or None, line, counts=value == 0))
                number += 1
        return answers, number

    def _default_of(self, home: Home, classes: frozenset[str]) -> Bound | None:
        """The bound of one that a parameter has by default: made where the function is defined."""
        function = self._objects.function(home.owner)
        info = self._objects.code(function.code) if function else None
        source = _source(self._place(info.filename), info.filename) if info else None
        if info is None or source is None:
            return None
        values = {}
        for name, made in source.made:
            if name in info.varnames and _called(made.call) in classes and _is_default(source, made, info):
                value = self._argument(source, made, home)
                values[value] = Bound(value or None, Site(info.filename, made.call.lineno), counts=value == 0)
        return next(iter(values.values())) if len(values) == 1 and None not in values else None

    # Which files

    def _files(self, home: Home) -> list[str]:
        """Files of the code around a home: of its class, of its module, of the functions that see it."""
        objects = self._objects
        found: list[str] = []
        if home.owner and objects.kind(home.owner) == "instance":
            for one in objects.mro(objects.type_of(home.owner))[:-1]:
                found += self._files_of(self._resolver.class_dict(one).values())
        if home.owner and objects.kind(home.owner) == "type":
            found += self._files_of(self._resolver.class_dict(home.owner).values())
        return list(dict.fromkeys(found))

    def _files_of(self, values: Iterable[int]) -> Iterator[str]:
        objects = self._objects
        for value in values:
            function = objects.function(value)
            info = objects.code(function.code) if function else None
            if info is not None and not info.filename.startswith("<"):
                yield info.filename

    def _all_files(self) -> list[str]:
        """Files that the program's own functions are from."""
        return sorted(self.known)

    known: frozenset[str] = frozenset()

    def _place(self, file: str) -> str:
        if not file.startswith("/"):
            file = f"{self._cwd}/{file}"
        return self._root + file

    # Whether a call is the one

    def _fits(self, home: Home, made: Made) -> bool:
        """Whether the call can have made what this home keeps."""
        chain = [node.name for node in made.within if isinstance(node, _NAMED)]
        if home.owner and self._objects.kind(home.owner) in {"instance", "type"}:
            names = self._class_names(home.owner)
            around = [node.name for node in made.within if isinstance(node, ast.ClassDef)]
            if not around:
                return True
            known = self._class_chains(home.owner)
            end = len(chain) - chain[::-1].index(around[-1])
            return around[-1] in names and (not known or chain[:end] in known)
        if home.scope:
            parts = [part for part in home.scope.split(".") if part != "<locals>"]
            return not chain or chain == parts[: len(chain)] or chain[-1:] == parts
        return True

    def _has_class(self, home: Home) -> bool:
        """Whether a home is an object or a class, whose own code is likelier than any other."""
        return self._objects.kind(home.owner) in {"instance", "type"}

    def _class_chains(self, owner: int) -> list[list[str]]:
        """Names of what is around the methods of an object's classes, outermost first."""
        objects = self._objects
        found: list[list[str]] = []
        for one in objects.mro(owner if objects.kind(owner) == "type" else objects.type_of(owner))[:-1]:
            for value in self._resolver.class_dict(one).values():
                function = objects.function(value)
                parts = (
                    [part for part in function.qualname.split(".") if part != "<locals>"] if function else []
                )
                if len(parts) > 1 and parts[-2] == objects.type_name(one).rpartition(".")[2]:
                    found.append(parts[:-1])
                    break
        return found

    def _class_names(self, owner: int) -> set[str]:
        objects = self._objects
        kind = owner if objects.kind(owner) == "type" else objects.type_of(owner)
        return {objects.type_name(one).rpartition(".")[2] for one in objects.mro(kind)}

    # What its argument is

    def _argument(self, source: Source, made: Made, home: Home) -> int | None:
        call = made.call
        node: ast.expr | None = call.args[0] if call.args else None
        for keyword in call.keywords:
            if keyword.arg in {"value", "initial_value"}:
                node = keyword.value
        if node is None:
            return 1 if not call.keywords and not call.args else None
        return self._number(source, node, made.within, home, _DEPTH)

    def _number(  # noqa: PLR0911 - a case for each kind of expression
        self, source: Source, node: ast.expr, within: tuple[ast.AST, ...], home: Home, depth: int
    ) -> int | None:
        """The value of an expression, where it can be told."""
        if depth <= 0:
            return None
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, int) and not isinstance(node.value, bool) else None
        if isinstance(node, ast.Attribute):
            return self._attribute(source, node, within, home, depth)
        if isinstance(node, ast.Name):
            return self._name(source, node.id, within, home, depth)
        if isinstance(node, ast.BinOp):
            left = self._number(source, node.left, within, home, depth - 1)
            right = self._number(source, node.right, within, home, depth - 1)
            return None if left is None or right is None else _computed(node.op, left, right)
        if isinstance(node, ast.Call) and _called(node) == "len" and len(node.args) == 1:
            return self._length(source, node.args[0], within, depth)
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in {"int", "max", "min"}
        ):
            parts = [self._number(source, arg, within, home, depth - 1) for arg in node.args]
            known = [part for part in parts if part is not None]
            if not known or len(known) != len(parts):
                return None
            return {"int": known[0], "max": max(known), "min": min(known)}[node.func.id]
        if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
            return self._number(source, node.values[0], within, home, depth - 1)
        return None

    def _length(self, source: Source, node: ast.expr, within: tuple[ast.AST, ...], depth: int) -> int | None:
        """How many items a display has that an expression stands for."""
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            return None if any(isinstance(one, ast.Starred) for one in node.elts) else len(node.elts)
        if isinstance(node, ast.Dict):
            return None if None in node.keys else len(node.keys)
        if not isinstance(node, ast.Name) or depth <= 0:
            return None
        lengths = {
            self._length(source, one, around, depth - 1) for one, around in _given_to(source, node.id, within)
        }
        return lengths.pop() if len(lengths) == 1 else None

    def _attribute(
        self, source: Source, node: ast.Attribute, within: tuple[ast.AST, ...], home: Home, depth: int
    ) -> int | None:
        """``self.limit`` or ``Class.LIMIT``: as it is now, or as it is assigned."""
        objects = self._objects
        path = _dotted(node)
        if path and path[0] in {"self", "cls"} and home.owner:
            at = home.owner
            for name in path[1:]:
                value = self._resolver.attribute(at, name)
                if value is None:
                    return None
                at = value.address
            return objects.integer(at)
        values = [
            self._number(source, one.value, within, home, depth - 1)
            for one in ast.walk(source.tree)
            if isinstance(one, ast.Assign)
            for target in one.targets
            if isinstance(target, ast.Name | ast.Attribute) and _last(target) == node.attr
        ]
        known = {value for value in values if value is not None}
        return known.pop() if len(known) == 1 and len(values) == 1 else None

    def _name(
        self, source: Source, name: str, within: tuple[ast.AST, ...], home: Home, depth: int
    ) -> int | None:
        """A variable: a parameter, one that is assigned here, or a constant of the module."""
        for at in range(len(within) - 1, -1, -1):
            scope = within[at]
            if not isinstance(scope, Function):
                continue
            if name in _parameters(scope):
                return self._parameter(source, scope, name, within[:at], home, depth)
            assigned = _assigned(scope, name)
            if assigned:
                return self._agreed(source, assigned, within[: at + 1], home, depth)
        found = _assigned(source.tree, name)
        if found:
            return self._agreed(source, found, (), home, depth)
        return None

    def _agreed(
        self,
        source: Source,
        nodes: list[ast.expr],
        within: tuple[ast.AST, ...],
        home: Home,
        depth: int,
    ) -> int | None:
        values = [self._number(source, node, within, home, depth - 1) for node in nodes]
        known = {value for value in values if value is not None}
        return known.pop() if len(known) == 1 and None not in values else None

    def _parameter(  # noqa: PLR0917 - what is around a name is all of it
        self,
        source: Source,
        function: Function,
        name: str,
        within: tuple[ast.AST, ...],
        home: Home,
        depth: int,
    ) -> int | None:
        """What a parameter was: kept by the home too, or passed alike by all callers, or its default."""
        kept = self._kept(function, name, home)
        if kept is not None:
            return kept
        passed = [
            given
            for call in ast.walk(source.tree)
            if isinstance(call, ast.Call) and _calls(call, function, within)
            for given in [_given(call, function, name)]
        ]
        default = _default(function, name)
        nodes = [given if given is not None else default for given in passed] or [default]
        if any(node is None for node in nodes):
            return None
        around, elsewhere = _scopes(source.tree), Home("", 0, "", 0)  # its self is another
        values = {
            self._number(source, node, around.get(id(node), ()), elsewhere, depth - 1)
            for node in nodes
            if node is not None
        }
        return values.pop() if len(values) == 1 else None

    def _kept(self, function: Function, name: str, home: Home) -> int | None:
        """The value of an attribute that the same function gives the parameter to."""
        if not home.owner or self._objects.kind(home.owner) != "instance":
            return None
        for node in ast.walk(function):
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name) and node.value.id == name:
                for target in node.targets:
                    path = _dotted(target) if isinstance(target, ast.Attribute) else ()
                    if len(path) == 2 and path[0] == "self":
                        value = self._resolver.attribute(home.owner, path[1])
                        return None if value is None else self._objects.integer(value.address)
        return None


# --- the source, without a process ---


@lru_cache(maxsize=256)
def _source(place: str, file: str) -> Source | None:
    """A file parsed, None when it cannot be read or is of a newer grammar."""
    path = Path(place)
    try:
        if not path.is_file() or path.stat().st_size > _BIG:
            return None
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None
    return Source(file, tree, tuple(_made(tree, (), "")))


def _candidates(source: Source, name: str, classes: frozenset[str]) -> Iterator[Made]:
    """Calls of the classes whose value is kept under a name, also by way of a variable or a function."""
    names = {name}
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name):
            names.update(node.value.id for target in node.targets if _last(target) == name)
    called = {_called(made.call) for kept, made in source.made if kept in names}
    for kept, made in source.made:
        if (kept in names or kept in called) and _called(made.call) in classes:
            yield made


def _made(node: ast.AST, within: tuple[ast.AST, ...], name: str) -> Iterator[tuple[str, Made]]:
    """Each call below a node, with the name that its value is kept under."""
    if isinstance(node, ast.Call):
        yield name, Made(node, within)
        keyed = isinstance(node.func, ast.Attribute) and node.func.attr in {
            "setdefault",
            "append",
            "put",
            "add",
        }
        inner = _last(node.func.value) if keyed and isinstance(node.func, ast.Attribute) else name
        parts: tuple[ast.expr, ...] = (node.func, *node.args)
        for part in parts:
            yield from _made(part, within, inner)
        for keyword in node.keywords:
            given = name if keyword.arg in {"default", "default_factory"} else (keyword.arg or "")
            yield from _made(keyword.value, within, given)
        return
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr) and node.value is not None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            yield from _stored(target, node.value, within)
        return
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        yield from _defaults_made(node, within)
        within, name = (*within, node), node.name
        for statement in node.body:
            yield from _made(statement, within, "")
        return
    if isinstance(node, ast.ClassDef):
        within = (*within, node)
    if isinstance(node, ast.Return):
        name = _function_name(within)
    for child in ast.iter_child_nodes(node):
        yield from _made(child, within, name)


def _stored(target: ast.expr, value: ast.expr, within: tuple[ast.AST, ...]) -> Iterator[tuple[str, Made]]:
    """Calls in what a target is given; tuples are taken apart."""
    if isinstance(target, ast.Tuple | ast.List) and isinstance(value, ast.Tuple | ast.List):
        for one, part in zip(target.elts, value.elts, strict=False):
            yield from _stored(one, part, within)
        return
    yield from _made(value, within, _last(target))


def _defaults_made(
    node: ast.FunctionDef | ast.AsyncFunctionDef, within: tuple[ast.AST, ...]
) -> Iterator[tuple[str, Made]]:
    """Calls in the defaults of parameters."""
    names = [one.arg for one in (*node.args.posonlyargs, *node.args.args)]
    pairs = list(zip(names[len(names) - len(node.args.defaults) :], node.args.defaults, strict=True))
    pairs += [(one.arg, d) for one, d in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True) if d]
    for name, default in pairs:
        yield from _made(default, within, name)
    for decorator in node.decorator_list:
        yield from _made(decorator, within, "")


def _last(node: ast.expr) -> str:
    """The last name of a target: of ``self.a``, ``a``, ``a[k]``."""
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Subscript):
        return _last(node.value)
    return ""


def _called(call: ast.Call) -> str:
    return _last(call.func)


def _dotted(node: ast.expr) -> tuple[str, ...]:
    """``a.b.c`` as its names, empty for anything else."""
    if isinstance(node, ast.Name):
        return (node.id,)
    if isinstance(node, ast.Attribute):
        inner = _dotted(node.value)
        return (*inner, node.attr) if inner else ()
    return ()


def _function_name(within: tuple[ast.AST, ...]) -> str:
    names = [
        node.name
        for node in within
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    ]
    return ".".join(names)


def _parameters(function: Function) -> list[str]:
    arguments = function.args
    return [one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]


def _assigned(scope: ast.AST, name: str) -> list[ast.expr]:
    """What a variable is given in a scope."""
    found = []
    for node in ast.walk(scope):
        if isinstance(node, ast.Assign):
            found += [
                node.value for target in node.targets if isinstance(target, ast.Name) and target.id == name
            ]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == name:
            found += [node.value] if node.value else []
    return found


def _default(function: Function, name: str) -> ast.expr | None:
    arguments = function.args
    names = [one.arg for one in (*arguments.posonlyargs, *arguments.args)]
    pairs = dict(zip(names[len(names) - len(arguments.defaults) :], arguments.defaults, strict=True))
    for one, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        if default is not None:
            pairs[one.arg] = default
    return pairs.get(name)


def _calls(call: ast.Call, function: Function, within: tuple[ast.AST, ...]) -> bool:
    """Whether a call is of this function, or of the class that it initializes."""
    if isinstance(function, ast.Lambda):
        return False
    name = function.name
    if name in {"__init__", "__new__"}:
        classes = [node.name for node in within if isinstance(node, ast.ClassDef)]
        if not classes:
            return False
        if _is_super_init(call):
            return False
        name = classes[-1]
    return _called(call) == name


def _is_super_init(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Call)


def _given(call: ast.Call, function: Function, name: str) -> ast.expr | None:
    """What a call passes for a parameter, None when it leaves it."""
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    names = [one.arg for one in (*function.args.posonlyargs, *function.args.args)]
    if names[:1] in (["self"], ["cls"]):
        names = names[1:]
    if name in names and names.index(name) < len(call.args):
        return call.args[names.index(name)]
    return None


def _computed(operator: ast.operator, left: int, right: int) -> int | None:
    if isinstance(operator, ast.Add):
        return left + right
    if isinstance(operator, ast.Sub):
        return left - right
    if isinstance(operator, ast.Mult):
        return left * right
    if isinstance(operator, ast.FloorDiv):
        return left // right if right else None
    return None


def _given_to(
    source: Source, name: str, within: tuple[ast.AST, ...]
) -> list[tuple[ast.expr, tuple[ast.AST, ...]]]:
    """What a variable is given, by assignments or by all that call its function, and what is around that."""
    scopes = _scopes(source.tree)
    for at in range(len(within) - 1, -1, -1):
        scope = within[at]
        if not isinstance(scope, Function):
            continue
        if name in _parameters(scope):
            nodes = [
                _given(call, scope, name) or _default(scope, name)
                for call in ast.walk(source.tree)
                if isinstance(call, ast.Call) and _calls(call, scope, within[:at])
            ]
            return [(node, scopes.get(id(node), ())) for node in nodes if node is not None]
        assigned = _assigned(scope, name)
        if assigned:
            return [(node, scopes.get(id(node), ())) for node in assigned]
    return [(node, ()) for node in _assigned(source.tree, name)]


def _is_default(source: Source, made: Made, info: CodeInfo) -> bool:
    """Whether a call is in the parameters of the function that a code object is of."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == info.name:
            lines = [node.lineno, *(one.lineno for one in node.decorator_list)]
            defaults = [*node.args.defaults, *node.args.kw_defaults]
            inside = {id(part) for one in defaults if one is not None for part in ast.walk(one)}
            if info.firstlineno in lines and id(made.call) in inside:
                return True
    return False


def _scopes(tree: ast.AST) -> Mapping[int, tuple[ast.AST, ...]]:
    """Node -> the functions and classes around it."""
    found: dict[int, tuple[ast.AST, ...]] = {}

    def visit(node: ast.AST, within: tuple[ast.AST, ...]) -> None:
        found[id(node)] = within
        inner = (*within, node) if isinstance(node, Function | ast.ClassDef) else within
        for child in ast.iter_child_nodes(node):
            visit(child, inner)

    visit(tree, ())
    return found


def _key_home(text: str) -> str:
    """The name of the container in ``app.Pool._by_host['a']``."""
    return text.partition("[")[0].rpartition(".")[2].rpartition(" ")[2]
