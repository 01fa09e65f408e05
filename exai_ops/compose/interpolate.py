"""``${...}`` in the nodes of a compose file: replaced, and recorded with where each stands.

Compose interpolates every value of every file (keys and ``x-`` blocks aside from theirs), before it merges.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from exai_ops.compose.interpolation import (
    Reference,
    RequiredMissingError,
    Template,
    TemplateError,
    parse_template,
)
from exai_ops.compose.model import Interpolation, Place, Problem
from exai_ops.compose.yaml import Node, Scalar, Sequence

Path = tuple[str, ...]


@dataclass(slots=True)
class Interpolator:
    """Interpolates the files of one environment; what it met is in ``references`` and ``problems``."""

    environment: Mapping[str, str]
    references: list[Interpolation] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def node(self, node: Node, path: Path = ()) -> Node:
        """The node with every value interpolated; the same node when there was nothing to do."""
        if isinstance(node, Scalar):
            return self._scalar(node, path) if node.source and isinstance(node.value, str) else node
        if isinstance(node, Sequence):
            items = tuple(self.node(item, (*path, str(index))) for index, item in enumerate(node.items))
            return replace(node, items=items) if _changed(node.items, items) else node
        entries = {key: self.node(value, (*path, key)) for key, value in node.entries.items()}
        changed = _changed(node.entries.values(), entries.values())
        return replace(node, entries=entries) if changed else node

    def _scalar(self, node: Scalar, path: Path) -> Scalar:
        try:
            template = parse_template(node.written)
        except TemplateError:
            message = f"{'.'.join(path)} holds a $ that begins no variable (a literal one is written $$)"
            self.problems.append(Problem(kind="template", message=message, place=_first_dollar(node)))
            return node
        places = _Places(node)
        for reference in template.references():
            self._record(reference, places.of(reference.name), path)
        return replace(node, value=self._resolved(template, node, path))

    def _resolved(self, template: Template, node: Scalar, path: Path) -> str:
        """The text; what ``?`` asks for and nothing gives is a problem, and empty."""
        try:
            return template.resolve(self.environment.get, strict=True)
        except RequiredMissingError as error:
            message = f"{'.'.join(path)} needs {error.name}, which nothing gives"
            self.problems.append(Problem(kind="required", message=message, place=_first_dollar(node)))
            return template.resolve(self.environment.get)

    def _record(self, reference: Reference, place: Place, path: Path) -> None:
        in_service = len(path) > 1 and path[0] == "services"
        self.references.append(
            Interpolation(
                name=reference.name,
                kind=reference.kind,
                operand=reference.operand,
                place=place,
                service=path[1] if in_service else None,
                path=".".join(path[2:] if in_service else path),
                found=reference.name in self.environment,
            )
        )


class _Places:
    """Where in the file each reference of a value stands, in their order."""

    def __init__(self, node: Scalar) -> None:
        self._node = node
        self._next = 0

    def of(self, name: str) -> Place:
        """The next place of a name; ``$$`` is no reference."""
        pattern = re.compile(rf"\$\$|(\$\{{?{re.escape(name)})(?![A-Za-z0-9_])")
        for match in pattern.finditer(self._node.source, self._next):
            if match[1]:
                self._next = match.end()
                return _offset(self._node, match.start())
        return self._node.place


def _offset(node: Scalar, offset: int) -> Place:
    before = node.source[:offset]
    lines = before.count("\n")
    if not lines:
        return Place(file=node.place.file, line=node.place.line, column=node.place.column + offset)
    column = offset - before.rindex("\n")
    return Place(file=node.place.file, line=node.place.line + lines, column=column)


def _first_dollar(node: Scalar) -> Place:
    return _offset(node, max(node.source.find("$"), 0))


def _changed(before: Iterable[Node], after: Iterable[Node]) -> bool:
    return any(one is not other for one, other in zip(before, after, strict=True))
