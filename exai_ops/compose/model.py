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
class EnvFile:
    """One entry of ``env_file``.

    Attributes:
        path: As written, interpolated, resolved against the compose file's folder.
        raw: Whether ``format: raw`` is set, which reads like ``docker run --env-file``.
        data: The file's bytes, or None when it is not there.
    """

    path: str
    place: Place
    required: bool = True
    raw: bool = False
    data: bytes | None = None


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
    """

    name: str
    kind: str
    operand: str
    place: Place
    service: str | None
    path: str
    found: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service.

    Attributes:
        body: The merged and interpolated mapping, as YAML gave it.
        places: Dotted path within the service (``environment.TZ``, ``ports.0``) to where it stands.
    """

    name: str
    place: Place
    body: Mapping[str, Any]
    env_files: tuple[EnvFile, ...] = ()
    environment: tuple[Variable, ...] = ()
    profiles: tuple[str, ...] = ()
    places: Mapping[str, Place] = field(default_factory=dict)


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
        env_file: Path of the file behind ``${...}``, or None.
    """

    files: tuple[str, ...]
    services: Mapping[str, Service]
    interpolations: tuple[Interpolation, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, Source] = field(default_factory=dict)
    env_file: str | None = None
    active_profiles: tuple[str, ...] = ()
