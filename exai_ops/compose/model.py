"""A compose project as values, after merge, ``extends``, ``include``, anchors and profiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a value stands: file as shown, line and column from 1."""

    file: str
    line: int
    column: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that Compose refuses, although the rest of the file can be read.

    Attributes:
        kind: ``duplicate`` (the last one is taken here), ``template`` (a ``${...}`` that is none),
            ``required`` (``${X:?...}`` that nothing gives), ``shape`` (another type than it must be) or
            ``env-file`` (the file behind ``${...}`` is refused, so that it gives nothing).
        message: One line, without values.
    """

    kind: Literal["duplicate", "template", "required", "shape", "env-file"]
    message: str
    place: Place


class EnvRefused(Exception):
    """Raised by what reads the file behind ``${...}``: Compose refuses it, at a line (from 1)."""

    def __init__(self, line: int) -> None:
        super().__init__(f"line {line}")
        self.line = line


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvFile:
    """One entry of ``env_file``.

    Attributes:
        path: As written, interpolated, resolved against the compose file's folder.
        raw: Whether ``format: raw`` is set, which reads like ``docker run --env-file``.
        data: The file's bytes, or None when it is not there or cannot be read.
        problem: Why there are no bytes, or None.
    """

    path: str
    place: Place
    required: bool = True
    raw: bool = False
    data: bytes | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """One entry of ``environment``; ``value`` is None for a bare key, which the shell may give."""

    key: str
    value: str | None
    written: str | None
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpolation:
    """One ``${...}`` or ``$NAME`` in a compose file.

    Attributes:
        kind: ``plain``, or the operator ``:-``, ``-``, ``:?``, ``?``, ``:+``, ``+``.
        found: Whether the interpolation environment gives the name.
        written: The whole value that it stands in; it may hold a secret.
    """

    name: str
    kind: str
    operand: str
    place: Place
    service: str | None
    path: str
    found: bool
    written: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service.

    Attributes:
        body: The merged and interpolated mapping, as YAML gave it.
        places: Dotted path within the service (``environment.TZ``, ``ports.0``) to where it stands.
        written: ``body`` before interpolation: what stands in the file, ``${...}`` and ``$$`` included.
    """

    name: str
    place: Place
    body: Mapping[str, Any]
    env_files: tuple[EnvFile, ...] = ()
    environment: tuple[Variable, ...] = ()
    profiles: tuple[str, ...] = ()
    places: Mapping[str, Place] = field(default_factory=dict)
    written: Mapping[str, Any] = field(default_factory=dict)

    def at(self, path: str) -> Place:
        """Where a dotted path stands, or the nearest thing around it."""
        while path:
            if path in self.places:
                return self.places[path]
            path = path.rpartition(".")[0]
        return self.place


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where an interpolated name got its value: ``shell``, ``env-file`` or ``default``."""

    kind: Literal["shell", "env-file", "default"]
    where: Place | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project.

    Attributes:
        files: Paths of the compose files, in merge order, included ones after their includers.
        services: By name, also those whose profiles are not active.
        interpolations: In the order of the files.
        environment: What ``${...}`` is resolved from: the shell over ``--env-file`` or ``.env``.
        sources: Name to where ``environment`` has it from.
        env_file: Path of the file behind ``${...}`` (the last of several ``--env-file``), or None.
        problems: What Compose would refuse, in the order of the files.
    """

    files: tuple[str, ...]
    services: Mapping[str, Service]
    interpolations: tuple[Interpolation, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, Source] = field(default_factory=dict)
    env_file: str | None = None
    active_profiles: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()

    def is_active(self, service: Service) -> bool:
        """Whether ``docker compose up`` starts it with the active profiles."""
        return (
            not service.profiles
            or "*" in self.active_profiles
            or bool(set(service.profiles) & set(self.active_profiles))
        )
