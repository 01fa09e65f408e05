"""Which variables a Python file reads: by its syntax tree, nothing of it is run.

Found are ``os.environ`` and ``os.getenv`` under any name they are imported or assigned to, classes of
pydantic-settings, the callables of django-environ, environs and decouple, exai's own declarations, and
functions that read what an argument names (one hop, also from another file). Names are literals, constants
of the file, and loop variables over literals.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable, Iterator
from typing import Final

from exai_ops.env.code_found import Asked, Seen, Source, Unsure
from exai_ops.env.code_pydantic import fields_read

_ENVIRON: Final = "os.environ"
_METHODS: Final = frozenset({"get", "pop", "setdefault", "__getitem__"})
_WHOLE: Final = frozenset({"items", "keys", "values"})
_GETTERS: Final = frozenset({"os.getenv", *(f"{_ENVIRON}.{name}" for name in _METHODS)})
_FACTORIES: Final = {
    "environ.Env": "django-environ",
    "environs.Env": "environs",
    "environ.FileAwareEnv": "django-environ",
}
_CALLABLES: Final = {"decouple.config": "decouple"}
_DECLARES: Final = frozenset(
    {"_var", "StackVariable", "exai_ops.settings.variable.declare", "exai_ops.settings.stack.StackVariable"}
)
_SAME: Final = {"os.environb": _ENVIRON, "os.getenvb": "os.getenv"}


def read_python(text: str) -> Source:
    """What a file reads. Raises SyntaxError, ValueError, RecursionError or MemoryError as ``ast.parse``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is odd in that file is not ours to say
        tree = ast.parse(text)
    return _File(tree).source()


class _File:
    """One file's tree, with what its names stand for."""

    def __init__(self, tree: ast.Module) -> None:
        self._nodes = list(ast.walk(tree))
        self._top = tree.body
        self._names: dict[str, str] = {}  # local name to what it is imported or assigned from: "os.environ"
        self._imported: dict[str, tuple[str, str]] = {}  # local name to (module's last word, function)
        self._texts: dict[str, frozenset[str]] = {}  # local name to the literals that it may stand for
        self._hidden: set[int] = set()  # reads that are judged at the calls of the function around them
        self._found = Source()

    def source(self) -> Source:
        self._imports()
        self._assignments()
        self._loops()
        helping = self._functions()
        writes = set(self._written())
        for node in self._nodes:
            if isinstance(node, ast.Call):
                self._call(node, helping)
            elif isinstance(node, ast.Subscript) and id(node) not in writes:
                if self._is(node.value, _ENVIRON):
                    self._read(node.slice, node, _ENVIRON)
            elif isinstance(node, ast.Compare):
                self._membership(node)
            elif isinstance(node, ast.For | ast.comprehension) and self._is(node.iter, _ENVIRON):
                self._unsure(node.iter, _ENVIRON)
        self._found.seen += [Seen(*row, "pydantic") for row in fields_read(self._nodes, self._dotted)]
        return self._found

    # --- what names stand for ---

    def _imports(self) -> None:
        for node in self._nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    self._names[alias.asname or alias.name.partition(".")[0]] = (
                        alias.name if alias.asname else alias.name.partition(".")[0]
                    )
            elif isinstance(node, ast.ImportFrom):
                module = node.module or ""
                for alias in node.names:
                    local = alias.asname or alias.name
                    self._names[local] = f"{module}.{alias.name}" if module else alias.name
                    self._imported[local] = (module.rpartition(".")[2], alias.name)

    def _assignments(self) -> None:
        """Aliases (``env = os.environ``), factories (``env = Env()``), constants (``KEY = "NAME"``)."""
        counts: dict[str, int] = {}
        for name, value in self._bound():
            counts[name] = counts.get(name, 0) + 1
            meaning = self._meaning(value)
            if meaning:
                self._names[name] = meaning
            elif literals := _literals(value):
                self._texts[name] = literals
        for name, count in counts.items():
            if count > 1:
                self._texts.pop(name, None)

    def _meaning(self, value: ast.expr) -> str:
        """What a name stands for that is bound to this: the environment, a getter, a factory's."""
        if not isinstance(value, ast.Call):
            dotted = self._dotted(value)
            return dotted if dotted == _ENVIRON or dotted in _GETTERS else ""
        function = self._dotted(value.func)
        if function in _FACTORIES:
            return f"call:{_FACTORIES[function]}"
        of_all = function == "dict" and len(value.args) == 1 and self._is(value.args[0], _ENVIRON)
        return _ENVIRON if of_all or function == f"{_ENVIRON}.copy" else ""

    def _bound(self) -> Iterator[tuple[str, ast.expr]]:
        for node in self._nodes:
            if isinstance(node, ast.Assign):
                targets, value = node.targets, node.value
            elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value is not None:
                targets, value = [node.target], node.value
            else:
                continue
            for target in targets:
                if isinstance(target, ast.Name | ast.Attribute):
                    yield _last(target), value

    def _loops(self) -> None:
        for node in self._nodes:
            if isinstance(node, ast.For | ast.AsyncFor | ast.comprehension) and isinstance(
                node.target, ast.Name
            ):
                literals = self._many(node.iter)
                if literals:
                    self._texts[node.target.id] = self._texts.get(node.target.id, frozenset()) | literals

    def _many(self, node: ast.expr) -> frozenset[str]:
        """The literals of a tuple, list, set or dict, also by a constant's name; none unless all are."""
        if isinstance(node, ast.Name | ast.Attribute):
            return self._texts.get(_last(node), frozenset())
        return _literals(node) if isinstance(node, ast.Tuple | ast.List | ast.Set | ast.Dict) else frozenset()

    def _dotted(self, node: ast.expr) -> str:
        """What an expression is, in full: ``os.environ.get`` of ``e.get``; empty for what is no name."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        if parts and node.id in ("self", "cls") and parts[-1] in self._names:
            first = self._names[parts.pop()]
        else:
            first = self._names.get(node.id, node.id)
        whole = ".".join([first, *reversed(parts)])
        head, _, rest = whole.rpartition(".")
        return _SAME.get(whole) or (f"{_SAME[head]}.{rest}" if head in _SAME else whole)

    def _is(self, node: ast.expr, dotted: str) -> bool:
        return isinstance(node, ast.Name | ast.Attribute) and self._dotted(node) == dotted

    # --- functions that read what an argument names ---

    def _functions(self) -> dict[str, tuple[int, str]]:
        """Name of each such function to the position of the argument, and the argument's name."""
        found: dict[str, tuple[int, str]] = {}
        for node in self._nodes:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                arguments = [a.arg for a in (*node.args.posonlyargs, *node.args.args)]
                named = self._argument_read(node, arguments)
                if named is not None:
                    bound = arguments[:1] in (["self"], ["cls"])
                    found[node.name] = (arguments.index(named) - bound, named)
        self._found.readers = {
            node.name: found[node.name][0]
            for node in self._top
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in found
        }
        return found

    def _argument_read(self, function: ast.AST, arguments: list[str]) -> str | None:
        for node in ast.walk(function):
            name = self._name_read(node)
            if isinstance(name, ast.Name) and name.id in arguments:
                self._hidden.add(id(name))
                return name.id
        return None

    def _name_read(self, node: ast.AST) -> ast.expr | None:
        """The expression that names the variable, where a node reads one."""
        if isinstance(node, ast.Call) and node.args and self._dotted(node.func) in _GETTERS:
            return node.args[0]
        if isinstance(node, ast.Subscript) and self._is(node.value, _ENVIRON):
            return node.slice
        return None

    # --- reads ---

    def _call(self, node: ast.Call, helping: dict[str, tuple[int, str]]) -> None:
        dotted = self._dotted(node.func)
        name = node.args[0] if node.args else next((k.value for k in node.keywords if k.arg == "key"), None)
        if dotted in _GETTERS:
            if name is not None:
                self._read(name, node, "os.getenv" if dotted == "os.getenv" else _ENVIRON)
        elif dotted.startswith(f"{_ENVIRON}.") and dotted.rpartition(".")[2] in _WHOLE:
            self._unsure(node, _ENVIRON)
        elif dotted in _DECLARES:
            self._declared(node)
        elif how := _CALLABLES.get(dotted) or self._factory(node.func):
            if name is not None:
                self._read(name, node, how)
        elif _last(node.func) in helping:
            self._helped(node, *helping[_last(node.func)])
        else:
            self._asked(node)

    def _factory(self, function: ast.expr) -> str:
        """``django-environ`` for ``env`` and ``env.bool`` where ``env = Env()``."""
        first, _, rest = self._dotted(function).partition(".")
        return (
            first.removeprefix("call:")
            if first.startswith("call:") and "." not in rest and rest != "read_env"
            else ""
        )

    def _declared(self, node: ast.Call) -> None:
        """A declaration of a setting: its name, and its ``aliases``."""
        others = [k.value for k in node.keywords if k.arg == "aliases"]
        names = [*(_literals(node.args[0]) if node.args else ()), *(n for o in others for n in _literals(o))]
        self._found.seen += [Seen(name, node.lineno, "settings") for name in names]

    def _helped(self, node: ast.Call, position: int, argument: str) -> None:
        given = [k.value for k in node.keywords if k.arg == argument]
        if given or position < len(node.args):
            self._read(given[0] if given else node.args[position], node, f"{_last(node.func)}()")

    def _asked(self, node: ast.Call) -> None:
        """A call of an imported function, or of one of an imported module, with names among its arguments."""
        function = node.func
        if isinstance(function, ast.Name) and function.id in self._imported:
            module, name = self._imported[function.id]
        elif isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
            module, name = self._names.get(function.value.id, "").rpartition(".")[2], function.attr
        else:
            return
        for position, argument in enumerate(node.args[:3]) if module else ():
            self._found.asked += [
                Asked(module, name, position, n, node.lineno) for n in self._possible(argument)
            ]

    def _membership(self, node: ast.Compare) -> None:
        if (
            len(node.ops) == 1
            and isinstance(node.ops[0], ast.In | ast.NotIn)
            and self._is(node.comparators[0], _ENVIRON)
        ):
            self._read(node.left, node, _ENVIRON)

    def _written(self) -> Iterator[int]:
        """``os.environ["X"] = ...`` and ``del os.environ["X"]``, which read nothing."""
        for node in self._nodes:
            if isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
                yield id(node)

    def _read(self, name: ast.expr, node: ast.expr, how: str) -> None:
        names = self._possible(name)
        if names:
            self._found.seen += [Seen(n, node.lineno, how) for n in names]
        elif id(name) not in self._hidden:
            self._unsure(node, how)

    def _unsure(self, node: ast.expr, how: str) -> None:
        self._found.unsure.append(Unsure(node.lineno, how))

    def _possible(self, node: ast.expr) -> Iterable[str]:
        """The names that an expression may give; none when that cannot be told."""
        if isinstance(node, ast.Constant):
            return sorted(_literals(node))
        if isinstance(node, ast.IfExp):
            parts = [set(self._possible(part)) for part in (node.body, node.orelse)]
            return sorted(parts[0] | parts[1]) if all(parts) else ()
        if isinstance(node, ast.Name | ast.Attribute) and id(node) not in self._hidden:
            return sorted(self._texts.get(_last(node), ()))
        return ()


def _last(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _literals(node: ast.expr) -> frozenset[str]:
    """The text of a literal, or the texts of a literal collection; none when something else is in it."""
    if isinstance(node, ast.Constant):
        value = node.value.decode("ascii", "replace") if isinstance(node.value, bytes) else node.value
        return frozenset({value} if isinstance(value, str) and value else ())
    if isinstance(node, ast.Dict):
        elements = [key for key in node.keys if key is not None]
    elif isinstance(node, ast.Tuple | ast.List | ast.Set):
        elements = list(node.elts)
    else:
        return frozenset()
    texts = [_literals(element) if isinstance(element, ast.Constant) else frozenset() for element in elements]
    return frozenset().union(*texts) if texts and all(texts) else frozenset()
