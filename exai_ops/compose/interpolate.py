"""``${...}`` in the nodes of a compose file: replaced, and recorded with where each stands.

Compose interpolates every value of every file (keys and ``x-`` blocks aside from theirs), before it merges.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from exai_ops.compose.interpolation import Reference, Template, TemplateError, parse_template
from exai_ops.compose.model import Interpolation, Place, Problem
from exai_ops.compose.yaml import Node, Scalar, Sequence
from exai_ops.errors import CouldNotLook

MAX_REFERENCES: Final = 100_000
_REFERENCE: Final = re.compile(r"\$\$|\$\{?([A-Za-z_][A-Za-z0-9_]*)")

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
        template = parse_template(node.written)
        try:
            value = template.resolve(self.environment.get)
        except TemplateError as error:
            message = f"{'.'.join(path)} has {error} (a literal $ is written $$)"
            self.problems.append(Problem(kind="template", message=message, place=node.place))
            return node
        places = _Places(node)
        for reference, used in _each(template, self.environment, used=True):
            place = places.next_of(reference.name)
            if used:
                self._record(reference, place, path, node.written)
        return replace(node, value=value)

    def _record(self, reference: Reference, place: Place, path: Path, written: str) -> None:
        if len(self.references) >= MAX_REFERENCES:
            raise CouldNotLook(f"{place.file}:{place.line}: more than {MAX_REFERENCES} variables are used")
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
                written=written,
            )
        )
        if reference.kind.endswith("?") and not _given(reference, self.environment):
            message = f"${{{reference.name}}} is required, and nothing gives it"
            self.problems.append(Problem(kind="required", message=message, place=place))


def _each(
    template: Template, environment: Mapping[str, str], *, used: bool
) -> Iterator[tuple[Reference, bool]]:
    """Every reference in its order in the text, and whether it is looked up: one in an operand may not be."""
    for part in template.parts:
        if isinstance(part, Reference):
            yield part, used
            if part.default is not None:
                given = _given(part, environment)
                wanted = given if part.kind.endswith("+") else not given
                yield from _each(part.default, environment, used=used and wanted)


def _given(reference: Reference, environment: Mapping[str, str]) -> bool:
    value = environment.get(reference.name)
    return bool(value) if reference.kind.startswith(":") else value is not None


class _Places:
    """Where in the file each reference of a value stands, asked for in their order."""

    def __init__(self, node: Scalar) -> None:
        self._source = node.source
        self._file = node.place.file
        self._at, self._line, self._column = 0, node.place.line, node.place.column

    def next_of(self, name: str) -> Place:
        """The next place of a name; ``$$`` is no reference. The last place, when it stands nowhere."""
        for match in _REFERENCE.finditer(self._source, self._at):
            if match[1] == name:
                self._move(match.start())
                break
        place = Place(file=self._file, line=self._line, column=self._column)
        self._move(min(self._at + 1, len(self._source)))
        return place

    def _move(self, to: int) -> None:
        passed = self._source[self._at : to]
        lines = passed.count("\n")
        self._column = len(passed) - passed.rfind("\n") if lines else self._column + len(passed)
        self._line += lines
        self._at = to


def _changed(before: Iterable[Node], after: Iterable[Node]) -> bool:
    return any(one is not other for one, other in zip(before, after, strict=True))
