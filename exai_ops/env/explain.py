"""Who gets what for one key, from where, and why: the table behind ``exai env explain``."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from exai_ops.compose.model import Place, Project, Service
from exai_ops.env.effective import Candidate, Readers, candidates, readings_of
from exai_ops.env.model import Reading
from exai_ops.env.shown import MASK, shown

_NAMES: Final = re.compile(r"\$\$|\$\{?([A-Za-z_][A-Za-z0-9_]*)")
_KEEPS_SHELL: Final = ("python-dotenv", "node")  # they leave alone what the process has already


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one reader of the key gets.

    Attributes:
        who: ``service web``, ``${KEY} in the compose file``, ``bash of .env`` or ``exai's default``.
        value: None when it gets nothing.
        source: ``environment``, ``env_file``, ``shell``, ``env-file``, ``file``, ``default`` or ``unset``.
        place: Where the value stands, or None.
        over: Places that have the key as well and lose, the next best first.
        why: Sentences.
    """

    who: str
    value: str | None
    source: str
    place: Place | None = None
    over: tuple[Place, ...] = ()
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The rows of one key.

    Attributes:
        secret: Whether its values are never shown.
        known: Whether some file, service or setting has the key, asked for here or not.
        nearest: A name like it that is known, when the key itself is not.
        refused: The files that might set the key and that no reader takes, when nothing sets it; or empty.
    """

    key: str
    secret: bool
    rows: tuple[Row, ...]
    known: bool = True
    nearest: str | None = None
    refused: str = ""

    @property
    def found(self) -> bool:
        """Whether anything has a say about the key."""
        return any(_says(row) for row in self.rows)

    def masked(self, row: Row) -> bool:
        """Whether a row's value must not be shown."""
        return bool(row.value) and (self.secret or shown(self.key, row.value or "") == MASK)

    def shown(self, row: Row) -> str:
        """A row's value as it may be printed: masked values are told apart by a number, nothing else."""
        if not row.value:
            return "unset" if row.value is None else "empty"
        if not self.masked(row):
            return shown(self.key, row.value)
        values = list(dict.fromkeys(r.value for r in self.rows if r.value))
        return MASK if len(values) == 1 else f"{MASK} ({values.index(row.value) + 1})"


def _says(row: Row) -> bool:
    return row.place is not None or row.value is not None or row.source == "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What there is to explain from.

    Attributes:
        files: Path and bytes of each dotenv file in use.
        readers: Every reader by name.
        use: Names of the readers in use.
        environ: The shell's environment.
        variables: Known variables by name and alias (``settings.VARIABLES``).
    """

    project: Project | None
    files: Sequence[tuple[str, bytes]]
    readers: Readers
    use: Sequence[str]
    environ: Mapping[str, str]
    variables: Mapping[str, Any] = field(default_factory=dict)


def explain(
    key: str, sources: Sources, *, service: str | None = None, reader: str | None = None
) -> Explanation:
    """What each service and reader gets for a key; one service or one reader alone when it is named."""
    project = sources.project
    rows: list[Row] = []
    if project is not None and reader is None:
        rows.append(_interpolated(project, key))
        chosen = [project.services[service]] if service else project.services.values()
        rows += [_in_service(project, one, key, sources) for one in chosen]
    refused: list[str] = []
    if service is None:
        rows += _in_files(key, sources, [reader] if reader else sources.use, refused)
    variable = sources.variables.get(key)
    if variable is not None and service is None and reader is None:
        rows.append(_default(key, variable))
    names = set() if any(_says(row) for row in rows) else _known(sources)
    known = not names or key in names
    near = [] if known else difflib.get_close_matches(key, sorted(names), n=1, cutoff=0.6)
    secret = getattr(variable, "kind", "") == "secret"
    return Explanation(
        key=key,
        secret=secret,
        rows=tuple(rows),
        known=known,
        nearest=near[0] if near else None,
        refused=" and ".join(refused) if names else "",
    )


# --- ${KEY} ------------------------------------------------------------------------------------


def _interpolated(project: Project, key: str) -> Row:
    who = f"${{{key}}} in the compose file"
    source = project.sources.get(key)
    file = project.env_file or ".env"
    if source is None:
        why = [f"neither the shell nor {file} has it, and env_file never feeds ${{...}}"]
        return Row(who=who, value=None, source="unset", why=tuple(why))
    text = (
        "the shell wins over --env-file and .env" if source.kind == "shell" else "the shell does not have it"
    )
    return Row(
        who=who, value=project.environment.get(key), source=source.kind, place=source.where, why=(text,)
    )


# --- services ----------------------------------------------------------------------------------


def _in_service(project: Project, service: Service, key: str, sources: Sources) -> Row:
    files = readings_of(project, service, sources.readers)
    found = candidates(project, service, files, key)
    notes = [*_missing_files(service), *_asleep(project, service)]
    who = f"service {service.name}"
    if not found:
        why = "no ENV of its image is known here, which would hold now"
        return Row(who=who, value=None, source="unset", why=(why, *notes))
    winner = found[0]
    return Row(
        who=who,
        value=winner.value,
        source="environment" if winner.kind == "bare" else winner.kind,
        place=winner.place,
        over=tuple(loser.place for loser in found[1:]),
        why=(*_why(project, winner, found[1:]), *notes),
    )


def _why(project: Project, winner: Candidate, losers: Sequence[Candidate]) -> Iterator[str]:
    kinds = {loser.kind for loser in losers}
    if winner.kind == "bare":
        yield from _why_bare(winner, losing=bool(losers))
    elif winner.kind == "environment" and "env_file" in kinds:
        yield "environment wins over env_file"
    elif winner.kind == "env_file" and losers:
        yield "a later env_file wins over an earlier one"
    if winner.value == "":
        yield f"an empty value in {winner.kind} still sets it"
    yield from _references(project, winner)


def _why_bare(winner: Candidate, *, losing: bool) -> Iterator[str]:
    if winner.value is None:
        yield "a key without a value in environment, which neither the shell nor .env has, is unset"
        if losing:
            yield "environment wins over env_file, also when it unsets"
    else:
        yield "a key without a value in environment takes that of the shell, then of .env or --env-file"


def _references(project: Project, winner: Candidate) -> Iterator[str]:
    """Where each ``${X}`` of a value in the compose file got its value."""
    for name in dict.fromkeys(_NAMES.findall(winner.written or "")):
        if name:
            source = project.sources.get(name)
            place = source.where if source else None
            where = f"{place.file}:{place.line}" if place else source.kind if source else "nowhere"
            yield f"${{{name}}} here comes from {where}"


def _missing_files(service: Service) -> Iterator[str]:
    for file in service.env_files:
        if file.data is None:
            yield f"{file.path} {file.problem or 'does not exist'}, which may have it"


def _asleep(project: Project, service: Service) -> Iterator[str]:
    if not project.is_active(service):
        yield f"not started without --profile {' or '.join(service.profiles)}"


# --- dotenv files, and the program's own default -----------------------------------------------


def _in_files(key: str, sources: Sources, use: Sequence[str], refused: list[str]) -> Iterator[Row]:
    """The rows of every file and reader; ``refused`` gets the files that no reader takes."""
    for path, data in sources.files:
        readings = {name: sources.readers[name](data, sources.environ) for name in use}
        if all(reading.refused is not None for reading in readings.values()):
            refused.append(path)
        for name, reading in readings.items():
            yield _in_file(key, path, name, reading, sources.environ)


def _in_file(key: str, path: str, name: str, reading: Reading, environ: Mapping[str, str]) -> Row:
    who = f"{name} of {path}"
    place = Place(file=path, line=reading.lines.get(key, 1)) if key in reading.values else None
    if reading.refused is not None:
        return Row(who=who, value=None, source="unset", why=("it refuses the whole file",))
    if key in environ and name in _KEEPS_SHELL:
        over = (place,) if place else ()
        return Row(
            who=who, value=environ[key], source="shell", over=over, why=("the shell wins over the file",)
        )
    if place is None:
        return Row(who=who, value=None, source="unset")
    why = ("an empty value still sets it",) if reading.values[key] == "" else ()
    return Row(who=who, value=reading.values[key], source="file", place=place, why=why)


def _default(key: str, variable: Any) -> Row:
    names = [name for name in variable.names if name != key]
    why = ["exai takes it where the key is unset or empty"]
    if names:
        why.append(
            f"it also reads {', '.join(names)}; the first of {', '.join(variable.names)} that is set wins"
        )
    text = variable.show(variable.default)
    return Row(who="exai's own default", value=text or None, source="default", why=tuple(why))


def _known(sources: Sources) -> set[str]:
    """Every name that some file, service or setting has."""
    names = set(sources.variables)
    for _, data in sources.files:
        for name in sources.use:
            names |= set(sources.readers[name](data, sources.environ).values)
    for service in sources.project.services.values() if sources.project else ():
        names |= {variable.key for variable in service.environment}
        for entry in readings_of(sources.project, service, sources.readers) if sources.project else ():
            names |= set(entry.reading.values)
    return names
