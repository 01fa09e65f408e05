"""CMP002: what ``${...}`` of the compose files gets, or does not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from exai_ops.compose.model import Interpolation, Place, Problem, Project, Source
from exai_ops.env.find import quoted
from exai_ops.env.rules.compose_environment import at, files_read
from exai_ops.env.rules.table import Context
from exai_ops.env.shown import MASK, is_secret_key, may_name
from exai_ops.env.weak import MAKE_ONE, is_chosen
from exai_ops.findings import Finding, Location, Status


def unresolved(context: Context, project: Project) -> Iterator[Finding]:
    """References that nothing in the interpolation environment gives."""
    refused = [problem for problem in project.problems if problem.kind == "env-file"]
    yield from (_refused_file(project, problem) for problem in refused)
    said: set[str] = set()
    for reference in _each_once(project.interpolations):
        required = reference.kind in (":?", "?")
        empty = project.environment.get(reference.name) == "" and (
            reference.kind == ":?" or _is_password_of_url(project, reference)
        )
        if empty and reference.name in said:  # one empty line, however many places wait for it
            continue
        said.update([reference.name] if empty else ())
        missing = not refused and not reference.found and (required or reference.kind == "plain")
        if empty or missing:
            yield _unresolved(context, project, reference, required=required)


def _is_password_of_url(project: Project, reference: Interpolation) -> bool:
    """Whether a plain reference is all that stands for a password: ``postgres://user:${X}@host``."""
    service = project.services.get(reference.service or "")
    if service is None or reference.kind != "plain" or not is_secret_key(reference.name):
        return False
    name = re.escape(reference.name)
    pattern = rf"://[^\s/:@]+:\$(?:\{{{name}\}}|{name})@"
    return any(re.search(pattern, variable.written or "") for variable in service.environment)


def _refused_file(project: Project, problem: Problem) -> Finding:
    """The one finding for a file that gives nothing, whatever it should have given."""
    waiting = dict.fromkeys(f"${{{r.name}}}" for r in project.interpolations if not r.found and _may_name(r))
    many = f" and {len(waiting) - 3} more" if len(waiting) > 3 else ""
    lost = f", so {', '.join([*waiting][:3])}{many} can get nothing from it" if waiting else ""
    hint = f"mend line {problem.place.line} of {problem.place.file}: close its quotes, or write KEY=value"
    return Finding(
        "CMP002", Status.ERROR, problem.message + lost, hint, Location(problem.place.file, problem.place.line)
    )


def _each_once(references: Iterable[Interpolation]) -> Iterable[Interpolation]:
    """One of those that an anchor brings to several services, the one in a service first."""
    found: dict[tuple[str, Place], Interpolation] = {}
    for reference in references:
        key = (reference.name, reference.place)
        if key not in found or found[key].service is None:
            found[key] = reference
    return found.values()


def _unresolved(context: Context, project: Project, reference: Interpolation, *, required: bool) -> Finding:
    name, env = reference.name, project.env_file or ".env"
    file, read = _file_with(context, project, reference)
    if not reference.found and not file and not _may_name(reference):
        message = "a $ here begins the name of a variable that nothing sets, so it is empty"
        hint = "write $$ for a $ that is meant as it is"
        return Finding("CMP002", Status.ERROR, message, hint, at(reference.place, MASK))
    if reference.found:
        message, hint = _empty(name, project.sources.get(name))
    elif file is not None:
        why = "what env_file names never feeds ${...}" if read else f"Compose takes {env} for ${{...}}"
        message = f"${{{name}}} gets nothing: {file} has it, but {why}"
        hint = f"run docker compose --env-file {quoted(file)} {_options(project)} up"
    else:
        message = f"${{{name}}} gets nothing: neither the shell nor {env} has it"
        hint = f"add to {env}: {name}=..."
        hint += "" if is_secret_key(name) else f" or write ${{{name}:-default}}"
    message += ", so Compose refuses to start" if required else ", so it is empty"
    serious = required or file is not None or is_secret_key(name)
    status = Status.ERROR if serious else Status.WARNING
    return Finding("CMP002", status, message, hint, at(reference.place, name))


_NO_SECRETS_IN: Final = (
    "image", "ports", "volumes", "build", "container_name", "hostname", "labels", "networks"
)  # fmt: skip


def _may_name(reference: Interpolation) -> bool:
    """Whether a finding may say the name: it may be a piece of a password that has a $ in it."""
    first, _, rest = reference.path.partition(".")
    if first in _NO_SECRETS_IN:
        return True
    return may_name(reference.name, reference.written, secret=is_secret_key(rest))


def _empty(name: str, source: Source | None) -> tuple[str, str]:
    """Message and hint for a name that is there, without a value; an included file has sources of its own."""
    if source is not None and source.where is None:
        return f"${{{name}}} is empty in the shell", f"give it a value, or take it out: unset {name}"
    where = source.where if source is not None else None
    file = where.file if where is not None else "the file that --env-file names"
    message = f"${{{name}}} is empty in {file}" + (f" (line {where.line})" if where is not None else "")
    return message, f"fill in {name}= in {file}" + (
        f"; this makes one: {MAKE_ONE}" if is_chosen(name) else ""
    )


def _options(project: Project) -> str:
    """The files as ``docker compose`` is given them; included ones it finds by itself."""
    given = (path for n, path in enumerate(project.files) if n == 0 or ".override." in path)
    return " ".join(f"-f {quoted(path)}" for path in given)


def _file_with(context: Context, project: Project, reference: Interpolation) -> tuple[str | None, bool]:
    """The file that has the name, and whether env_file names it: the service's, another's, the live file."""
    own = project.services.get(reference.service or "")
    services = ([own] if own else []) + list(project.services.values())
    for service in services:
        for entry in files_read(context, project, service):
            if reference.name in entry.reading.values:
                return entry.file.path, True
    live = context.live
    there = live is not None and reference.name in live.index and live.path != project.env_file
    return (live.path if live is not None and there else None), False
