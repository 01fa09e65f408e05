"""What the container of each service gets: every candidate for a key, in the order of precedence.

Compose: ``environment`` wins over ``env_file``, a later env file over an earlier one; a bare key in
``environment`` takes what ``${...}`` is resolved from, and when that has nothing the key is unset, whatever
the env files say. ``${X}`` in an env file: from there too, then from ``environment``, then from the files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple, TypeAlias

from exai_ops.compose.model import EnvFile, Place, Project, Service, Variable
from exai_ops.env.model import Reading

ReadFile: TypeAlias = Callable[[bytes, Mapping[str, str]], Reading]
Readers: TypeAlias = Mapping[str, ReadFile]

COMPOSE = "compose"
RAW = "compose-raw"


class Candidate(NamedTuple):
    """One place that has a say about a key of a service.

    Attributes:
        kind: ``environment``, ``env_file``, or ``bare`` for a key of ``environment`` without a value.
        value: What it gives; None when it makes the key unset.
        reader: Who read the env file, or empty.
        written: The value in ``environment`` before interpolation, or None.
    """

    kind: Literal["environment", "bare", "env_file"]
    value: str | None
    place: Place
    reader: str = ""
    written: str | None = None


class FileReading(NamedTuple):
    """What a service reads from one of its env files."""

    file: EnvFile
    reading: Reading


def readings_of(project: Project, service: Service, readers: Readers) -> tuple[FileReading, ...]:
    """Each env file of a service that is there, as Compose reads it, in order."""
    given = {v.key: value for v in service.environment if (value := own_value(project, v)) is not None}
    environment = {**given, **project.environment}
    found = []
    for file in service.env_files:
        if file.data is not None:
            reading = readers[RAW if file.raw else COMPOSE](file.data, environment)
            environment = {**reading.values, **environment}
            found.append(FileReading(file=file, reading=reading))
    return tuple(found)


def own_value(project: Project, variable: Variable) -> str | None:
    """What an entry of ``environment`` gives: its value, or for a bare key the shell's or ``.env``'s."""
    return project.environment.get(variable.key) if variable.value is None else variable.value


def candidates(
    project: Project, service: Service, files: tuple[FileReading, ...], key: str
) -> tuple[Candidate, ...]:
    """Every candidate for a key, the one that wins first."""
    own = [_own(project, variable) for variable in service.environment if variable.key == key]
    return (*own, *(_from_file(entry, key) for entry in reversed(files) if key in entry.reading.values))


def winners(project: Project, service: Service, files: tuple[FileReading, ...]) -> dict[str, Candidate]:
    """The candidate that wins, of every key that a service has."""
    found: dict[str, Candidate] = {}
    for entry in files:
        found.update((key, _from_file(entry, key)) for key in entry.reading.values)
    found.update((variable.key, _own(project, variable)) for variable in service.environment)
    return found


def _own(project: Project, variable: Variable) -> Candidate:
    return Candidate(
        kind="environment" if variable.value is not None else "bare",
        value=own_value(project, variable),
        place=variable.place,
        written=variable.written,
    )


def _from_file(entry: FileReading, key: str) -> Candidate:
    reading = entry.reading
    return Candidate(
        kind="env_file",
        value=reading.values[key],
        place=Place(file=entry.file.path, line=reading.lines.get(key, 1)),
        reader=reading.reader,
    )


def value_of(
    project: Project, service: Service, files: tuple[FileReading, ...], key: str
) -> Candidate | None:
    """The candidate that wins, or None when nothing has a say."""
    found = candidates(project, service, files, key)
    return found[0] if found else None
