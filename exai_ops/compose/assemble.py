"""Compose files put together as nodes: documents, ``include``, ``extends``, several files.

The order is Compose's: a file is interpolated, what it includes comes in beneath it, its services take what
they extend, and the result is merged over the files before it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeAlias

from exai_ops.compose.interpolate import Interpolator
from exai_ops.compose.load import is_file, read_yaml
from exai_ops.compose.merge import Merger
from exai_ops.compose.model import Place
from exai_ops.compose.shape import clean, to_sequence, to_value
from exai_ops.compose.yaml import Mapping as MappingNode
from exai_ops.compose.yaml import Node, Parsed, Scalar
from exai_ops.compose.yaml import Sequence as SequenceNode
from exai_ops.errors import CouldNotLook

ReadEnvironment: TypeAlias = Callable[[Sequence[str], Mapping[str, str]], Mapping[str, str]]

MAX_FILES: Final = 200  # loads of compose files in one project
MAX_NODES: Final = 500_000  # values in all of them
MAX_CHAIN: Final = 30  # of includes in includes, or of services that extend one another
_REMOTE: Final = re.compile(r"[a-z][a-z0-9+.-]+://|git@|github\.com[:/]")
_SECTIONS: Final = ("services", "volumes", "networks", "secrets", "configs", "models")


class Assembler:
    """Loads and merges; what it met is in ``files``, ``merger`` and ``interpolator``.

    ``read_environment`` gives what env files hold (paths, environment beneath which they are read).
    """

    def __init__(self, environment: Mapping[str, str], read_environment: ReadEnvironment) -> None:
        self.files: list[str] = []
        self.merger = Merger()
        self.interpolator = Interpolator(environment)
        self._read_environment = read_environment
        self._parsed: dict[str, Parsed] = {}
        self._loads = self._nodes = 0

    def files_of(self, paths: Iterable[str], folder: str, including: tuple[str, ...] = ()) -> MappingNode:
        """The merge of files whose relative paths start at ``folder``."""
        merged: MappingNode | None = None
        for path in paths:
            for document in self._documents(path, folder):
                whole = self._with_includes(document, path, folder, including)
                whole = _with_services(whole, self._extended(whole, path, folder))
                merged = whole if merged is None else self.merger.mappings(merged, whole, ())
        return merged or MappingNode(entries={}, keys={}, place=Place(file=folder, line=1))

    def _documents(self, path: str, folder: str) -> Iterable[MappingNode]:
        """Each document of a file, interpolated, its ``env_file`` paths resolved."""
        for document in self._read(path).documents:
            self._nodes += document.size
            if self._nodes > MAX_NODES:
                raise CouldNotLook(f"{path}: the project has more than {MAX_NODES} values")
            node = self.interpolator.node(document)
            if isinstance(node, MappingNode):
                yield _with_services(node, {k: _rebased(v, folder) for k, v in _services(node).items()})
            elif to_value(node) is not None:
                raise _refuse(node.place, "the top of a compose file must be a mapping")

    def _read(self, path: str) -> Parsed:
        self._loads += 1
        if self._loads > MAX_FILES:
            raise CouldNotLook(f"{path}: more than {MAX_FILES} files are included or extended")
        if path not in self._parsed:
            self._parsed[path] = read_yaml(path)
            self.files.append(path)
            self.merger.problems.extend(self._parsed[path].problems)
        return self._parsed[path]

    # --- include -------------------------------------------------------------------------------

    def _with_includes(
        self, node: MappingNode, path: str, folder: str, including: tuple[str, ...]
    ) -> MappingNode:
        includes = node.get("include")
        if includes is None:
            return node
        for item in to_sequence(includes).items:
            node = self._over(self._included(item, folder, (*including, path)), node)
        return replace(node, entries={key: value for key, value in node.entries.items() if key != "include"})

    def _over(self, included: MappingNode, node: MappingNode) -> MappingNode:
        """The sections of what is included beneath those of the file that includes it."""
        for section in _SECTIONS:
            below, above = included.get(section), node.get(section)
            if below is not None:
                merged = below if above is None else self.merger.merge(below, above, (section,))
                keys = {**node.keys, section: node.keys.get(section, included.keys[section])}
                node = replace(node, entries={**node.entries, section: merged}, keys=keys)
        return node

    def _included(self, item: Node, folder: str, including: tuple[str, ...]) -> MappingNode:
        value = to_value(item)
        spec = value if isinstance(value, dict) else {"path": value}
        written = _texts(spec.get("path"), item.place)
        _check_local(written, item.place)
        paths = [join(folder, part) for part in written]
        if not paths:
            raise _refuse(item.place, "include names no path")
        if paths[0] in including or len(including) > MAX_CHAIN:
            raise _refuse(item.place, f"{paths[0]} includes itself, or sits too deep")
        directory = spec.get("project_directory")
        own = join(folder, str(directory)) if directory else folder_of(paths[0])
        env_files = [join(folder, part) for part in _texts(spec.get("env_file"), item.place)]
        return self._in_environment(env_files or _default_env(own), paths, own, including)

    def _in_environment(
        self, env_files: Sequence[str], paths: Sequence[str], folder: str, including: tuple[str, ...]
    ) -> MappingNode:
        """Files interpolated from their own env files too, beneath what holds already."""
        outer = self.interpolator.environment
        own = self._read_environment([path for path in env_files if path != os.devnull], outer)
        self.interpolator.environment = {**own, **outer}
        try:
            return self.files_of(paths, folder, including)
        finally:
            self.interpolator.environment = outer

    # --- extends -------------------------------------------------------------------------------

    def _extended(self, node: MappingNode, path: str, folder: str) -> dict[str, Node]:
        services = _services(node)
        for name in services:
            services[name] = self._service(name, services, path, folder, ())
        return services

    def _service(
        self, name: str, services: dict[str, Node], path: str, folder: str, chain: tuple[tuple[str, str], ...]
    ) -> Node:
        """A service with what it extends beneath it; ``services`` are those of its own file."""
        service = services[name]
        extends = service.get("extends") if isinstance(service, MappingNode) else None
        if extends is None or _is_null(extends) or not isinstance(service, MappingNode):
            return service
        if (path, name) in chain or len(chain) > MAX_CHAIN:
            raise _refuse(extends.place, f"the service {name!r} extends itself, or a chain that is too long")
        base = self._base(extends, services, path, folder, (*chain, (path, name)))
        own = replace(service, entries={k: v for k, v in service.entries.items() if k != "extends"})
        return self.merger.merge(base, own, ("services", name))

    def _base(
        self,
        extends: Node,
        services: dict[str, Node],
        path: str,
        folder: str,
        chain: tuple[tuple[str, str], ...],
    ) -> Node:
        value = to_value(extends)
        spec = value if isinstance(value, dict) else {"service": value}
        name, file = str(spec.get("service")), spec.get("file")
        if file:
            path = join(folder, str(file))
            _check_local([str(file)], extends.place)
            folder = folder_of(path)
            services = self._services_in(path, folder)
        if name not in services:
            raise _refuse(extends.place, f"extends {name!r}, which {path} does not have")
        services[name] = self._service(name, services, path, folder, chain)
        return clean(services[name])

    def _services_in(self, path: str, folder: str) -> dict[str, Node]:
        services: dict[str, Node] = {}
        for document in self._documents(path, folder):
            services.update(_services(document))
        return services


def join(folder: str, path: str) -> str:
    """A path as seen from where the folder's own path starts; ``~`` is the home folder."""
    if path.startswith("~"):
        path = os.path.expanduser(path)  # noqa: PTH111 - which refuses what has no home
    return os.path.normpath(Path(folder, path))


def folder_of(path: str) -> str:
    """The folder that a file is in, ``.`` for one without."""
    return str(Path(path).parent)


def _default_env(folder: str) -> list[str]:
    path = join(folder, ".env")
    return [path] if is_file(path) else []


def _check_local(paths: Iterable[str], place: Place) -> None:
    if any(_REMOTE.match(path) for path in paths):
        raise _refuse(place, "refers to something remote, which is not fetched")


def _texts(value: object, place: Place) -> list[str]:
    if value is None or isinstance(value, str):
        return [value] if value else []
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    raise _refuse(place, "a path must be a text or a list of texts")


def _services(node: MappingNode) -> dict[str, Node]:
    services = node.get("services")
    if services is None or _is_null(services):
        return {}
    if not isinstance(services, MappingNode):
        raise _refuse(services.place, "services must be a mapping")
    for name, service in services.entries.items():
        if not isinstance(service, MappingNode) and not service.tag and not _is_null(service):
            raise _refuse(services.keys[name], f"the service {name!r} must be a mapping")
    return dict(services.entries)


def _is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.value is None


def _with_services(node: MappingNode, services: dict[str, Node]) -> MappingNode:
    old = node.get("services")
    if not isinstance(old, MappingNode):
        return node
    return replace(node, entries={**node.entries, "services": replace(old, entries=services)})


def _rebased(service: Node, folder: str) -> Node:
    """A service whose ``env_file`` paths start where the folder's own path does."""
    files = service.get("env_file") if isinstance(service, MappingNode) else None
    if files is None or not isinstance(service, MappingNode) or files.tag == "!reset":
        return service
    items = tuple(_rebased_item(item, folder) for item in _env_file_list(files).items)
    node = SequenceNode(items=items, place=files.place, tag=files.tag)
    return replace(service, entries={**service.entries, "env_file": node})


def _env_file_list(node: Node) -> SequenceNode:
    return (
        SequenceNode(items=(node,), place=node.place) if isinstance(node, MappingNode) else to_sequence(node)
    )


def _rebased_item(item: Node, folder: str) -> Node:
    if isinstance(item, Scalar):
        return replace(item, value=join(folder, item.value)) if isinstance(item.value, str) else item
    path = item.get("path") if isinstance(item, MappingNode) else None
    if isinstance(item, MappingNode) and isinstance(path, Scalar) and isinstance(path.value, str):
        return replace(item, entries={**item.entries, "path": replace(path, value=join(folder, path.value))})
    return item


def _refuse(place: Place, reason: str) -> CouldNotLook:
    return CouldNotLook(f"{place.file}:{place.line}: {reason}")
