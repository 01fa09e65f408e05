"""Who gets what for one key, from where, and why: the table behind ``exai env explain``."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from exai_ops.compose.interpolation import parse_template
from exai_ops.compose.model import Place, Project, Service
from exai_ops.env.document import parse
from exai_ops.env.effective import Candidate, FileReading, Readers, candidates, readings_of
from exai_ops.env.lines import has_tail, whole
from exai_ops.env.masking import Mask
from exai_ops.env.model import Assignment, Reading, Unparsable
from exai_ops.env.shown import MASK, is_secret_key, may_name, shown

_DEFAULT: Final = "${{{}}} here is given by nothing: its default applies"
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
        dropped: Where a file has the key, when no reader takes it from there.
        nearest: A name like it that is known, when the key itself is not.
        refused: The files that might set the key and that no reader takes, when nothing sets it; or empty.
    """

    key: str
    secret: bool
    rows: tuple[Row, ...]
    known: bool = True
    dropped: tuple[Place, ...] = ()
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
    """What each service and reader gets for a key; of services or readers the named one alone."""
    project = sources.project
    rows: list[Row] = []
    if project is not None and reader is None and any(r.name == key for r in project.interpolations):
        rows.append(_interpolated(project, key))
    if project is not None and (service is not None or reader is None):
        chosen = [project.services[service]] if service else project.services.values()
        rows += [_in_service(project, one, key, sources) for one in chosen]
    refused: list[str] = []
    if service is None or reader is not None:
        rows += _in_files(key, sources, [reader] if reader else sources.use, refused)
    variable = sources.variables.get(key)
    if variable is not None and service is None and reader is None:
        rows.append(_default(key, variable))
    names = set() if any(_says(row) for row in rows) else _known(sources)
    dropped = tuple(_standing(key, sources)) if key not in names and names else ()
    known = not names or key in names or bool(dropped)
    near = [] if known else difflib.get_close_matches(key, sorted(names), n=1, cutoff=0.6)
    told = getattr(variable, "kind", "") == "secret" or is_secret_key(key) or _is_broken(key, sources)
    secret = told or _holds_another(key, rows, sources)
    return Explanation(
        key=key,
        secret=secret,
        rows=tuple(rows),
        known=known,
        dropped=dropped,
        nearest=near[0] if near else None,
        refused=" and ".join(refused) if names else "",
    )


def _standing(key: str, sources: Sources) -> Iterator[Place]:
    """Where the files have a key that is in no reading of them."""
    start = re.compile(rf"[ \t]*(?:export[ \t]+)?{re.escape(key)}[ \t]*(?:[=:]|$)")
    for path, data in sources.files:
        for node in parse(data, path).nodes:
            here = isinstance(node, Assignment) and node.key == key
            if here or (isinstance(node, Unparsable) and start.match(node.raw)):
                yield Place(file=path, line=node.line)


def _is_broken(key: str, sources: Sources) -> bool:
    """Whether a file gives the key a value that is broken in two, of which readers may see a piece."""
    services = sources.project.services.values() if sources.project else ()
    used = [data for _, data in sources.files]
    used += [file.data for service in services for file in service.env_files if file.data is not None]
    return any(has_tail(a) for data in dict.fromkeys(used) for a in parse(data).all_of(key))


def _holds_another(key: str, rows: Sequence[Row], sources: Sources) -> bool:
    """Whether a value of the key holds the secret of another one."""
    documents = [parse(data) for _, data in sources.files]
    mask = Mask(*documents, environ=sources.environ)
    for service in sources.project.services.values() if sources.project else ():
        documents += [parse(file.data) for file in service.env_files if file.data is not None]
        for variable in service.environment:
            mask.learn(variable.key, variable.value or "")
            mask.learn(variable.key, variable.written or "")
    own = [whole(a) for document in documents for a in document.all_of(key)]
    for document in documents:
        for a in document.assignments:
            mask.learn(a.key, whole(a))
    return any(mask.holds(value) for value in (*own, *(row.value or "" for row in rows)))


# --- ${KEY} ------------------------------------------------------------------------------------


def _interpolated(project: Project, key: str) -> Row:
    who = f"${{{key}}} in the compose file"
    source = project.sources.get(key)
    file = project.env_file or ".env"
    if source is None:
        refused = [problem.message for problem in project.problems if problem.kind == "env-file"]
        why = refused or [f"neither the shell nor {file} has it, and env_file never feeds ${{...}}"]
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
    notes = [*_missing_files(service), *_refused_files(files), *_asleep(project, service)]
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
        why=(*_why(project, key, winner, found[1:]), *notes),
    )


def _why(project: Project, key: str, winner: Candidate, losers: Sequence[Candidate]) -> Iterator[str]:
    kinds = {loser.kind for loser in losers}
    if winner.kind == "bare":
        yield from _why_bare(winner, losing=bool(losers))
    elif winner.kind == "environment" and "env_file" in kinds:
        yield "environment wins over env_file"
    elif winner.kind == "env_file" and losers:
        yield "a later env_file wins over an earlier one"
    if winner.value == "":
        yield f"an empty value in {winner.kind} still sets it"
    yield from _references(project, winner, secret=is_secret_key(key))


def _why_bare(winner: Candidate, *, losing: bool) -> Iterator[str]:
    if winner.value is None:
        yield "a key without a value in environment, which neither the shell nor .env has, is unset"
        if losing:
            yield "environment wins over env_file, also when it unsets"
    else:
        yield "a key without a value in environment takes that of the shell, then of .env or --env-file"


def _references(project: Project, winner: Candidate, *, secret: bool) -> Iterator[str]:
    """Where each ``${X}`` of a value in the compose file got its value."""
    for reference in dict.fromkeys(parse_template(winner.written or "").references()):
        name, kind = reference.name, reference.kind
        source = project.sources.get(name)
        place = source.where if source else None
        where = f"{place.file}:{place.line}" if place else source.kind if source else "nowhere"
        named = source is not None or may_name(name, winner.written or "", secret=secret)
        if not named:
            yield f"what a $ here names comes from {where}"
            continue
        said = f"${{{name}}} here comes from {where}"
        given = project.environment.get(name)
        if kind.endswith("-") and (given is None or (not given and kind == ":-")):
            said = f"{said}, where it is empty: its default applies" if source else _DEFAULT.format(name)
        elif kind.endswith("+") and source is None:
            said = f"${{{name}}} here is given by nothing, so what stands for it when it is set is left out"
        yield said


def _missing_files(service: Service) -> Iterator[str]:
    for file in service.env_files:
        if file.data is None:
            yield f"{file.path} {file.problem or 'does not exist'}, which may have it"


def _refused_files(files: Sequence[FileReading]) -> Iterator[str]:
    for entry in files:
        if entry.reading.refused is not None:
            where = f"{entry.file.path}{_line_of(entry.reading)}"
            yield f"Compose refuses {where}, so it does not start the service"


def _line_of(refused: Reading) -> str:
    return f": line {refused.problems[-1].line}" if refused.problems else ""


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
        refusal = f"it refuses the whole file{_line_of(reading)}"
        return Row(who=who, value=None, source="unset", why=(refusal,))
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
            names |= sources.readers[name](data, sources.environ).values.keys() & parse(data).index.keys()
    for service in sources.project.services.values() if sources.project else ():
        names |= {variable.key for variable in service.environment}
        for entry in readings_of(sources.project, service, sources.readers) if sources.project else ():
            names |= entry.reading.values.keys() & parse(entry.file.data or b"").index.keys()
    return names
