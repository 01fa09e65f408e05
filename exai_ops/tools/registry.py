"""The tools that are served: the built-in ones, and those that installed packages offer.

Built-in tools are named here too, so that they work in a checkout whose package metadata is absent or old.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from exai_ops.errors import ToolNotFound
from exai_ops.tools.api import Tool

GROUP: Final = "exai_ops.tools"
BUILT_IN: Final[Mapping[str, str]] = {
    "chat": "exai_ops.tools.chat:chat",
    "consult": "exai_ops.tools.consult:consult",
    "listmodels": "exai_ops.tools.info:listmodels",
    "status": "exai_ops.tools.info:status",
    "version": "exai_ops.tools.info:version",
}
SUFFIXES: Final = ("_EXAI-WS", "-EXAI-WS", "_EXAI_WS", "-EXAI_WS")
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class ToolProblem(msgspec.Struct, frozen=True, kw_only=True):
    """A tool that is not served, and why.

    Attributes:
        distribution: The package that offers it, ``unknown`` when its metadata does not say.
    """

    name: str
    distribution: str
    error: str

    def __str__(self) -> str:
        """One line, whatever a foreign package's error holds."""
        return " ".join(f"{self.name}, of {self.distribution}: {self.error}".split())


class Registry:
    """Tools by name; ``problems`` are those that could not be served."""

    def __init__(self, tools: Iterable[Tool], problems: Iterable[ToolProblem] = ()) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self.problems = tuple(problems)
        self._described = [_describe(tool) for tool in self._tools.values()]
        self._described_json: bytes | None = None

    def __iter__(self) -> Iterator[Tool]:
        return iter(self._tools.values())

    def __len__(self) -> int:
        return len(self._tools)

    def resolve(self, name: str) -> Tool:
        """The tool of this name, with or without a client's suffix. Raises ToolNotFound."""
        tool = self._tools.get(name) or self._tools.get(strip_suffix(name))
        if tool is None:
            raise ToolNotFound(f"no tool is named {_shown(name)}; {self._near(strip_suffix(name))}")
        return tool

    def describe(self) -> list[dict[str, Any]]:
        """``[{"name", "description", "inputSchema"}]``; one list for all callers, not to be changed."""
        return self._described

    def describe_json(self) -> bytes:
        """The same as JSON, encoded once."""
        if self._described_json is None:
            self._described_json = msgspec.json.encode(self._described)
        return self._described_json

    def _near(self, name: str) -> str:
        from difflib import get_close_matches

        near = get_close_matches(name[:64], self._tools, n=1)
        return f"did you mean {near[0]}?" if near else "there are " + ", ".join(self._tools)


def load_tools() -> Registry:
    """Every tool that can be served. A broken one is a problem of the registry, never an error."""
    tools = {name: _import(target) for name, target in BUILT_IN.items()}
    problems: list[ToolProblem] = []
    for entry in importlib.metadata.entry_points(group=GROUP):
        if BUILT_IN.get(entry.name) == entry.value:
            continue
        found = _load(entry, tools)
        if isinstance(found, Tool):
            tools[found.name] = found
        else:
            problems.append(found)
    return Registry(tools.values(), problems)


def strip_suffix(name: str) -> str:
    """A tool's name as clients of old know it, without their suffix."""
    for suffix in SUFFIXES:
        if name.endswith(suffix):
            return name[: -len(suffix)]
    return name


def _import(target: str) -> Tool:
    module, _, attribute = target.partition(":")
    tool = getattr(importlib.import_module(module), attribute)
    assert isinstance(tool, Tool)  # noqa: S101 - our own tools, held by a test
    return tool


def _load(entry: importlib.metadata.EntryPoint, taken: Mapping[str, Tool]) -> Tool | ToolProblem:
    """The entry point's tool under the entry point's name."""

    def problem(error: str) -> ToolProblem:
        distribution = entry.dist.name if entry.dist is not None else "unknown"
        return ToolProblem(name=entry.name, distribution=distribution, error=error)

    if entry.name in taken:
        owner = "a built-in tool" if entry.name in BUILT_IN else "another package's tool"
        return problem(f"the name belongs to {owner}, which is served")
    if not _NAME.fullmatch(entry.name):
        return problem("the name must be 1 to 64 of A-Z, a-z, 0-9, _ and -")
    try:
        tool = entry.load()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - other people's code, at the daemon's boundary
        return problem(f"{type(error).__name__}: {error}")
    if not isinstance(tool, Tool):
        return problem(f"{entry.value} is a {type(tool).__name__}, not a tool; decorate it with @tool")
    return msgspec.structs.replace(tool, name=entry.name)


def _describe(tool: Tool) -> dict[str, Any]:
    return {"name": tool.name, "description": tool.description, "inputSchema": tool.input_schema}


def _shown(name: str) -> str:
    return name if len(name) <= 80 else name[:80] + "..."
