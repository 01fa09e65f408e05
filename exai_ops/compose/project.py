"""A compose project from its files, as ``docker compose -f ... --env-file ... --profile ...`` reads it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from exai_ops.compose.assemble import Assembler, folder_of, join
from exai_ops.compose.load import is_file, read_bytes
from exai_ops.compose.model import EnvFile, EnvRefused, Place, Problem, Project, Service, Source, Variable
from exai_ops.compose.scalars import as_text
from exai_ops.compose.shape import clean, to_value
from exai_ops.compose.unique import unique
from exai_ops.compose.yaml import Mapping as MappingNode
from exai_ops.compose.yaml import Node, Scalar
from exai_ops.compose.yaml import Sequence as SequenceNode
from exai_ops.errors import CouldNotLook, UsageError

PathText: TypeAlias = str | os.PathLike[str]
ReadEnv: TypeAlias = Callable[[bytes, Mapping[str, str]], Mapping[str, str]]


def load_project(
    files: Sequence[PathText],
    *,
    env_file: PathText | Sequence[PathText] | None = None,
    environ: Mapping[str, str],
    profiles: Sequence[str] = (),
    read_env: ReadEnv,
) -> Project:
    """The project of compose files, relative paths from the first one's folder.

    Args:
        env_file: What ``--env-file`` gives, one or several; None takes ``.env`` beside the first file.
        environ: The shell's environment; ``COMPOSE_PROFILES``, ``COMPOSE_ENV_FILES`` and
            ``COMPOSE_DISABLE_ENV_FILE`` are heeded as Compose does.
        profiles: The active ones; without them ``COMPOSE_PROFILES`` says.
        read_env: What Compose reads from the bytes of a dotenv file, ``${X}`` in it from the mapping given;
            raises EnvRefused where Compose refuses the file, which is kept as a problem.

    Raises CouldNotLook, in one line, when something cannot be read or put together.

    """
    if not files:
        raise UsageError("no compose file is given")
    paths = [os.path.normpath(file) for file in files]
    folder = folder_of(paths[0])
    env_files = _env_files(env_file, environ, folder)
    reader = _EnvironmentReader(read_env)
    from_files = reader(env_files, environ)
    sources = _sources(from_files, reader.places, environ)  # before included files add theirs
    assembler = Assembler({**from_files, **environ}, reader)
    whole = clean(assembler.files_of(paths, folder))
    if not isinstance(whole, MappingNode) or not whole.entries:
        raise CouldNotLook(f"{paths[0]}: holds nothing")
    interpolator = assembler.interpolator
    return Project(
        files=tuple(dict.fromkeys([*paths, *assembler.files])),
        services=_services(whole),
        interpolations=tuple(dict.fromkeys(interpolator.references)),
        environment={**from_files, **environ},
        sources=sources,
        env_file=env_files[-1] if env_files else None,
        active_profiles=_profiles(profiles, interpolator.environment),
        problems=tuple(dict.fromkeys([*reader.problems, *assembler.merger.problems, *interpolator.problems])),
    )


# --- what ${...} is resolved from --------------------------------------------------------------


def _env_files(
    given: PathText | Sequence[PathText] | None, environ: Mapping[str, str], folder: str
) -> list[str]:
    if isinstance(given, str | os.PathLike):
        given = [given]
    if given:
        return [os.path.normpath(path) for path in given]
    if environ.get("COMPOSE_ENV_FILES"):
        return [os.path.normpath(path) for path in environ["COMPOSE_ENV_FILES"].split(",")]
    if environ.get("COMPOSE_DISABLE_ENV_FILE", "").lower() in ("1", "t", "true"):
        return []
    path = join(folder, ".env")
    return [path] if is_file(path) else []


class _EnvironmentReader:
    """Reads env files in order, later ones over earlier ones; remembers where each name stands.

    A file that Compose refuses gives nothing and is kept in ``problems``.
    """

    def __init__(self, read_env: ReadEnv) -> None:
        self.places: dict[str, Place] = {}
        self.problems: list[Problem] = []
        self._read_env = read_env

    def __call__(self, paths: Sequence[str], environ: Mapping[str, str]) -> Mapping[str, str]:
        values: dict[str, str] = {}
        for path in paths:
            data = read_bytes(path)
            try:
                found = self._read_env(data, {**values, **environ})
            except EnvRefused as error:
                place = Place(file=path, line=error.line)
                message = f"Compose refuses {path}: line {error.line}"
                self.problems.append(Problem(kind="env-file", message=message, place=place))
                continue
            lines = _lines_of(data)
            for name in found:
                self.places[name] = Place(file=path, line=lines.get(name, 1))
            values.update(found)
        return values


_ASSIGNMENT = re.compile(rb"^(?:\xef\xbb\xbf)?[ \t]*(?:export[ \t]+)?([^\s=:#'\"]+)[ \t]*[=:]?", re.MULTILINE)


def _lines_of(data: bytes) -> dict[str, int]:
    """Line of the last assignment of each name; a line within a value may be taken for one."""
    lines: dict[str, int] = {}
    for number, line in enumerate(data.split(b"\n"), start=1):
        match = _ASSIGNMENT.match(line)
        if match:
            lines[match[1].decode("utf-8", "replace")] = number
    return lines


def _sources(
    from_files: Mapping[str, str], places: Mapping[str, Place], environ: Mapping[str, str]
) -> dict[str, Source]:
    files = {name: Source(kind="env-file", where=places[name]) for name in from_files}
    return {**files, **{name: Source(kind="shell") for name in environ}}


def _profiles(given: Sequence[str], environment: Mapping[str, str]) -> tuple[str, ...]:
    names = given or environment.get("COMPOSE_PROFILES", "").split(",")
    return tuple(name.strip() for name in names if name.strip())


# --- services ----------------------------------------------------------------------------------


def _services(whole: MappingNode) -> dict[str, Service]:
    services = whole.get("services")
    if not isinstance(services, MappingNode):
        return {}
    return {
        name: _service(name, services.keys[name], unique(node))
        for name, node in services.entries.items()
        if isinstance(node, MappingNode)
    }


def _service(name: str, place: Place, node: MappingNode) -> Service:
    body = to_value(node)
    profiles = body.get("profiles")
    return Service(
        name=name,
        place=place,
        body=body,
        env_files=tuple(_env_file_entries(node.get("env_file"))),
        environment=tuple(_environment(node.get("environment"))),
        profiles=tuple(str(p) for p in profiles) if isinstance(profiles, list) else (),
        places=dict(_places(node, "")),
        written=to_value(node, written=True),
    )


def _places(node: Node, path: str) -> Iterable[tuple[str, Place]]:
    if isinstance(node, MappingNode):
        for key, value in node.entries.items():
            yield path + key, node.keys[key]
            yield from _places(value, f"{path}{key}.")
    elif isinstance(node, SequenceNode):
        for index, item in enumerate(node.items):
            yield f"{path}{index}", item.place
            yield from _places(item, f"{path}{index}.")


def _env_file_entries(node: Node | None) -> Iterable[EnvFile]:
    items = node.items if isinstance(node, SequenceNode) else ()
    for item in items:
        value: Any = to_value(item)
        entry = value if isinstance(value, dict) else {"path": value}
        if isinstance(entry.get("path"), str):
            yield _env_file(entry, item.place)


def _env_file(entry: Mapping[str, Any], place: Place) -> EnvFile:
    path = entry["path"]
    data, problem = None, None
    try:
        data = read_bytes(path)
    except CouldNotLook as error:
        problem = error.message.removeprefix(f"{path}: ")
    return EnvFile(
        path=path,
        place=place,
        required=str(entry.get("required", True)).lower() != "false",
        raw=entry.get("format") == "raw",
        data=data,
        problem=problem,
    )


def _environment(node: Node | None) -> Iterable[Variable]:
    if isinstance(node, MappingNode):
        for key, value in node.entries.items():
            yield _variable_of(key, value, node.keys[key])
    elif isinstance(node, SequenceNode):
        for item in node.items:
            if isinstance(item, Scalar):
                yield _variable_in(item)


def _variable_of(key: str, node: Node, place: Place) -> Variable:
    if not isinstance(node, Scalar) or node.value is None:
        return Variable(key=key, value=None, written=None, place=place)
    return Variable(key=key, value=as_text(node.value), written=node.written, place=place)


def _variable_in(item: Scalar) -> Variable:
    key, equals, value = as_text(item.value).partition("=")
    if not equals:
        return Variable(key=key, value=None, written=None, place=item.place)
    return Variable(key=key, value=value, written=item.written.partition("=")[2], place=item.place)
