"""The variables of pydantic-settings classes: field names with their prefix, and aliases in their stead."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from typing import Final

_BASE: Final = "BaseSettings"
_ALIASES: Final = ("validation_alias", "alias", "env")


def fields_read(nodes: Iterable[ast.AST], dotted: Callable[[ast.expr], str]) -> Iterator[tuple[str, int]]:
    """Name and line of each variable of the classes of a file that descend from ``BaseSettings``.

    ``dotted`` gives the full name of an expression. Names are in capitals: pydantic minds no case.
    """
    classes = {node.name: node for node in nodes if isinstance(node, ast.ClassDef)}
    known: dict[str, bool] = {}
    for node in classes.values():
        if _descends(node, classes, dotted, known):
            prefix = _option(node, classes, "env_prefix")
            delimiter = _option(node, classes, "env_nested_delimiter")
            for field in _fields(node):
                for name in _names(field, prefix):
                    for nested in _nested(name, field, classes, delimiter):
                        yield nested.upper(), field.lineno


def _nested(
    name: str,
    field: ast.AnnAssign,
    classes: dict[str, ast.ClassDef],
    delimiter: str,
    above: frozenset[str] = frozenset(),
) -> Iterator[str]:
    """The name itself, or with a delimiter those of the fields of the model of this file that it holds."""
    words = {part.id for part in ast.walk(field.annotation) if isinstance(part, ast.Name)}
    models = [classes[word] for word in sorted(words - above) if word in classes and delimiter]
    inner = [(model, one) for model in models for one in _fields(model)]
    if not inner:
        yield name
    for model, one in inner:
        for own in _names(one, f"{name}{delimiter}"):
            yield from _nested(own, one, classes, delimiter, above | {model.name})


def _descends(
    node: ast.ClassDef,
    classes: dict[str, ast.ClassDef],
    dotted: Callable[[ast.expr], str],
    known: dict[str, bool],
) -> bool:
    if node.name not in known:
        known[node.name] = False  # a class that descends from itself is not one
        bases = [dotted(base).rpartition(".")[2] for base in node.bases]
        known[node.name] = any(
            base == _BASE or (base in classes and _descends(classes[base], classes, dotted, known))
            for base in bases
        )
    return known[node.name]


def _fields(node: ast.ClassDef) -> Iterator[ast.AnnAssign]:
    for statement in node.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            name, annotation = statement.target.id, ast.dump(statement.annotation)
            if not name.startswith("_") and name != "model_config" and "ClassVar" not in annotation:
                yield statement


def _names(field: ast.AnnAssign, prefix: str) -> list[str]:
    """The names that are read for a field: its aliases, else prefix and name."""
    own = field.target.id if isinstance(field.target, ast.Name) else ""
    calls = [part for part in ast.walk(field) if isinstance(part, ast.Call) and _is_field(part)]
    for option in _ALIASES:
        given = [k.value for call in calls for k in call.keywords if k.arg == option]
        texts = [text for value in given for text in _texts(value)]
        if texts:
            return texts
    return [f"{prefix}{own}"]


def _is_field(call: ast.Call) -> bool:
    function = call.func
    return (function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")) == "Field"


def _texts(node: ast.expr) -> list[str]:
    """The texts in an alias: itself, those of ``AliasChoices`` or of a list."""
    return [
        part.value
        for part in ast.walk(node)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    ]


def _option(node: ast.ClassDef, classes: dict[str, ast.ClassDef], name: str) -> str:
    """An option of ``model_config``, ``class Config`` or the class line, else of a base here, or empty."""
    seen: set[str] = set()
    left = [node]
    while left:
        current = left.pop(0)
        if current.name in seen:
            continue
        seen.add(current.name)
        found = _own_option(current, name)
        if found is not None:
            return found
        left += [
            classes[base.id] for base in current.bases if isinstance(base, ast.Name) and base.id in classes
        ]
    return ""


def _own_option(node: ast.ClassDef, name: str) -> str | None:
    for part in [*node.keywords, *_configs(node)]:
        value = part.value
        if part.arg == name and isinstance(value, ast.Constant) and isinstance(value.value, str):
            return value.value
    return None


def _configs(node: ast.ClassDef) -> Iterator[ast.keyword]:
    """What ``model_config = SettingsConfigDict(...)`` or a dict, or ``class Config``, sets."""
    for statement in node.body:
        if isinstance(statement, ast.Assign | ast.AnnAssign):
            target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
            if getattr(target, "id", "") == "model_config" and statement.value is not None:
                yield from _pairs(statement.value)
        elif isinstance(statement, ast.ClassDef) and statement.name == "Config":
            for inner in statement.body:
                if isinstance(inner, ast.Assign) and isinstance(inner.targets[0], ast.Name):
                    yield ast.keyword(arg=inner.targets[0].id, value=inner.value)


def _pairs(node: ast.expr) -> Iterator[ast.keyword]:
    if isinstance(node, ast.Call):
        yield from node.keywords
    elif isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant):
                yield ast.keyword(arg=str(key.value), value=value)
