"""CMP001 and CMP003 to CMP007: what reaches the containers as their environment."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from exai_ops.compose.model import EnvFile, Place, Project, Service
from exai_ops.env.effective import Candidate, FileReading, readings_of, value_of
from exai_ops.env.find import quoted
from exai_ops.env.rules.table import Context
from exai_ops.findings import Finding, Location, Status


def at(place: Place, name: str) -> Location:
    """Where a place is, with the service or variable meant."""
    return Location(place.file, place.line, name)


def files_read(context: Context, project: Project, service: Service) -> tuple[FileReading, ...]:
    """What a service reads from its env files; read once for all rules."""
    from exai_ops.env.readers import READERS

    key = ("compose env files", service.name)
    if key not in context.memo:
        context.memo[key] = readings_of(project, service, READERS)
    found: tuple[FileReading, ...] = context.memo[key]
    return found


_MENDS: Final = {
    "duplicate": "keep one of them, and take the other out",
    "template": "write $$ for a $ that is meant as it is, or ${NAME} for a variable",
    "shape": "write it in the same form in both places",
}


def refused(_context: Context, project: Project) -> Iterator[Finding]:
    """What Compose does not accept in the files."""
    for problem in project.problems:
        if problem.kind in _MENDS:  # CMP002 says the others, with what to do
            hint = _MENDS[problem.kind]
            yield Finding("CMP001", Status.ERROR, problem.message, hint, at(problem.place, problem.kind))
    yield from _same_names(project)


_LOOKED_AT: Final = 50  # of one name; there are more only in a hostile file


def _same_names(project: Project) -> Iterator[Finding]:
    """Services with one ``container_name``, unless no profile starts both."""
    first: dict[str, list[Service]] = {}
    for service in project.services.values():
        name = service.body.get("container_name")
        if isinstance(name, str) and name:
            for other in first.setdefault(name, []):
                if run_together(service, other):
                    message = f"{service.name} has the container_name of {other.name}"
                    hint = "give one of them another, or take it out: Compose makes a name"
                    where = at(service.at("container_name"), service.name)
                    yield Finding("CMP001", Status.ERROR, message, hint, where)
                    break
            if len(first[name]) < _LOOKED_AT:
                first[name].append(service)


def run_together(one: Service, other: Service) -> bool:
    """Whether some choice of one profile, or none, starts both."""
    return not one.profiles or not other.profiles or bool(set(one.profiles) & set(other.profiles))


# --- one time zone -----------------------------------------------------------------------------


_UTC: Final = frozenset({"UTC", "UTC0", "Etc/UTC", "Etc/UCT", "UCT", "Universal", "Zulu", "GMT", "Etc/GMT"})


def time_zones(context: Context, project: Project) -> Iterator[Finding]:
    """Services without the TZ that the others have, or with another one."""
    zones: dict[str, Candidate | None] = {}
    for service in project.services.values():
        found = value_of(project, service, files_read(context, project, service), "TZ")
        if found is not None or not any(file.data is None for file in service.env_files):
            zones[service.name] = found
    counts = Counter(zone.value for zone in zones.values() if zone is not None and zone.value)
    if counts:
        common = counts.most_common(1)[0][0] or ""
        for name, zone in zones.items():
            yield from _zone(project.services[name], zone, common)
    elif len(zones) > 1:
        first = project.services[next(iter(zones))]
        message = "no service sets TZ: all of them run in UTC"
        hint = "write TZ: Australia/Melbourne, say, in an anchor that the environment of each service merges"
        yield Finding("CMP003", Status.INFO, message, hint, at(first.place, "TZ"))


def _zone(service: Service, zone: Candidate | None, common: str) -> Iterator[Finding]:
    if common in _UTC and (zone is None or (zone.value or "UTC") in _UTC):
        return
    if zone is None or not zone.value:
        place = service.at("environment") if zone is None else zone.place
        message = f"{service.name} has no TZ and runs in UTC, others have {common}"
        yield Finding(
            "CMP003", Status.WARNING, message, _entry(service, "TZ", common), at(place, service.name)
        )
    elif zone.value != common:
        message = f"{service.name} has TZ {zone.value[:40]!r}, others have {common}"
        yield Finding(
            "CMP003", Status.WARNING, message, _entry(service, "TZ", common), at(zone.place, service.name)
        )


def _entry(service: Service, key: str, value: str) -> str:
    """What to write under a service's ``environment``, in the form that it has."""
    line = f"- {key}={value}" if isinstance(service.body.get("environment"), list) else f"{key}: {value}"
    return f"under environment of {service.name}: {line}"


# --- env_file ----------------------------------------------------------------------------------


def env_file_order(_context: Context, project: Project) -> Iterator[Finding]:
    """``env_file`` written below ``environment``."""
    for service in project.services.values():
        file, own = service.places.get("env_file"), service.places.get("environment")
        if file and own and file.file == own.file and file.line > own.line:
            message = f"{service.name} names env_file below environment (Compose does not mind: style alone)"
            hint = f"move env_file above line {own.line}; environment wins in either order"
            yield Finding("CMP004", Status.INFO, message, hint, at(file, service.name))


def env_files_there(context: Context, project: Project) -> Iterator[Finding]:
    """Env files that are named and required, and are not there."""
    readers: dict[str, list[str]] = {}
    for service in project.services.values():
        for file in service.env_files:
            readers.setdefault(file.path, []).append(service.name)
    seen = set()
    for file in (file for service in project.services.values() for file in service.env_files):
        binary = file.data is not None and b"\0" in file.data
        if not binary and (file.data is not None or (not file.required and file.problem == "does not exist")):
            continue
        if file.path not in seen:
            seen.add(file.path)
            example = context.example.path if context.example is not None else None
            yield _no_file(file, example, readers[file.path])


def _no_file(file: EnvFile, example: str | None, services: list[str]) -> Finding:
    path, place = file.path, file.place
    problem = file.problem or ("does not exist" if file.data is None else "is binary")
    message = f"{path} {problem}; {', '.join(dict.fromkeys(services))} would read it"
    if problem == "does not exist":
        make = f"run cp {quoted(example)} {quoted(path)}, and fill it in" if example else "make it"
        name = path if quoted(path) == path else '"' + re.sub(r'(["\\])', r"\\\1", path) + '"'
        hint = f"{make}, or write - {{path: {name}, required: false}}"
        return Finding("CMP007", Status.ERROR, message, hint, at(place, path))
    status = Status.ERROR if "folder" in problem or "binary" in problem else Status.UNKNOWN
    return Finding("CMP007", status, message, "make it a readable file", at(place, path))


# --- redis-commander ---------------------------------------------------------------------------


def commander_host(context: Context, project: Project) -> Iterator[Finding]:
    """redis-commander with REDIS_HOSTS and without REDIS_HOST."""
    for service in filter(_is_commander, project.services.values()):
        files = files_read(context, project, service)
        hosts = value_of(project, service, files, "REDIS_HOSTS")
        if hosts is not None and hosts.value and value_of(project, service, files, "REDIS_HOST") is None:
            host = _host_in(hosts.value)
            message = f"{service.name} has REDIS_HOSTS and no REDIS_HOST, so it also opens 127.0.0.1:6379"
            yield Finding(
                "CMP005",
                Status.WARNING,
                message,
                _entry(service, "REDIS_HOST", host),
                at(hosts.place, service.name),
            )


def commander_password(context: Context, project: Project) -> Iterator[Finding]:
    """redis-commander that is given no password although redis asks for one."""
    if not any(_asks_password(service) for service in project.services.values()):
        return
    for service in filter(_is_commander, project.services.values()):
        files = files_read(context, project, service)
        if not _gives_password(project, service, files) and not _waits_for_reference(project, service):
            message = f"redis asks for a password and {service.name} has none"
            hint = _entry(service, "REDIS_PASSWORD", "${REDIS_PASSWORD}")
            hint += ", and run docker compose with the --env-file that has it"
            yield Finding("CMP006", Status.ERROR, message, hint, at(service.at("environment"), service.name))


def _is_commander(service: Service) -> bool:
    return "redis-commander" in f"{service.name} {service.body.get('image')}"


def _asks_password(service: Service) -> bool:
    text = " ".join(str(service.written.get(key, "")) for key in ("command", "entrypoint"))
    own = {variable.key: variable.written for variable in service.environment}
    bitnami = "bitnami" in str(service.body.get("image")) and bool(own.get("REDIS_PASSWORD"))
    return not _is_commander(service) and ("requirepass" in text or bitnami)


def _gives_password(project: Project, service: Service, files: tuple[FileReading, ...]) -> bool:
    for key in ("REDIS_PASSWORD", "REDIS_PASSWORD_FILE", "SENTINEL_PASSWORD"):
        found = value_of(project, service, files, key)
        if found is not None and found.value:
            return True
    hosts = value_of(project, service, files, "REDIS_HOSTS")
    in_hosts = hosts is not None and all(
        len(h.split(":")) > 4 and h.split(":")[4] for h in str(hosts.value).split(",")
    )
    return in_hosts or "--redis-password" in str(service.written.get("command", ""))


def _waits_for_reference(project: Project, service: Service) -> bool:
    """Whether the password would come from a ``${...}`` that CMP002 already reports as empty."""
    return any(
        reference.service == service.name and not reference.found and "PASS" in reference.name.upper()
        for reference in project.interpolations
    )


def _host_in(hosts: str) -> str:
    """The host of the first entry of REDIS_HOSTS: ``host``, ``label:host``, ``label:host:port:...``."""
    parts = hosts.partition(",")[0].split(":")
    return parts[0] if len(parts) == 1 or parts[1].isdigit() else parts[1]
