"""ENV209 to ENV212: addresses, ports and passwords that do not go together."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from exai_ops.env.rules.between import at
from exai_ops.env.rules.meaning_values import Values, names, views
from exai_ops.env.rules.table import Context
from exai_ops.env.shown import is_placeholder
from exai_ops.env.weak import MAKE_ONE
from exai_ops.findings import Finding, Location, Status
from exai_ops.settings import is_loopback

if TYPE_CHECKING:
    from exai_ops.env.effective import Candidate

_HOST, _TOKEN = "EXAI_WS_HOST", "EXAI_WS_TOKEN"
_NUMBER: Final = r"[1-9][0-9]{0,4}"
_REMOTE: Final = frozenset({
    "DB", "DATABASE", "REDIS", "POSTGRES", "POSTGRESQL", "PG", "MYSQL", "MARIADB", "MONGO", "SMTP", "MAIL",
    "EMAIL", "IMAP", "LDAP", "SSH", "SFTP", "FTP", "AMQP", "RABBITMQ", "KAFKA", "PROXY", "SENTINEL", "REMOTE",
    "UPSTREAM", "MEMCACHED", "CACHE", "BROKER",
})  # fmt: skip


def passwords(context: Context) -> Iterator[Finding]:
    """``X_PASSWORD`` that is another than the one inside ``X_URL``."""
    for seen in views(context):
        for key in [key for key in seen.values if key.endswith("_URL")]:
            other = f"{key.removesuffix('_URL')}_PASSWORD"
            inside, password = _password_in(seen.values[key]), seen.real(other)
            if (
                inside
                and password
                and not is_placeholder(inside)
                and password not in (inside, unquote(inside))
            ):
                line = seen.lines.get(other)
                message = f"the password inside {key} is another than {other} at line {line}"
                hint = f"write ${{{other}}} in its place, or the same password with %xx for signs"
                yield Finding("ENV209", Status.ERROR, message, hint, seen.at(key))


def _password_in(url: str) -> str | None:
    try:
        return urlsplit(url).password
    except ValueError:
        return None


def open_address(context: Context) -> Iterator[Finding]:
    """An address beyond loopback, and no token."""
    said: set[tuple[str | None, int | None]] = set()
    for seen in views(context):
        host = seen.values.get(_HOST)
        if host is not None and not is_loopback(host) and _TOKEN not in seen.values and not _given(context):
            example = seen.document is context.example
            said.add((seen.at(_HOST).file, seen.at(_HOST).line))
            yield _open(host, seen.at(_HOST), Status.WARNING if example else Status.ERROR)
    for where, host in _open_services(context):
        if (where.file, where.line) not in said:
            said.add((where.file, where.line))
            yield _open(host, where, Status.ERROR)


def _open(host: str, where: Location, status: Status) -> Finding:
    address = f" at {host}" if re.fullmatch(r"[0-9.]{7,15}|[0-9a-fA-F:]{2,39}", host) else ""
    message = f"{_HOST} lets other machines reach the daemon{address}, and {_TOKEN} is empty"
    hint = f"set {_TOKEN}: {MAKE_ONE}"
    if status is Status.WARNING:  # in the example, where a token would be everybody's
        hint = f"write {_HOST}=127.0.0.1"
    return Finding("ENV210", status, message, hint, where)


def _given(context: Context) -> bool:
    """Whether the shell or a compose file gives the token that a file lacks."""
    services = context.project.services.values() if context.project is not None else ()
    own = any(v.key == _TOKEN and v.written != "" for service in services for v in service.environment)
    return own or bool(context.environ.get(_TOKEN))


def _open_services(context: Context) -> Iterator[tuple[Location, str]]:
    """Place and address of each service that would listen without a token, as far as its files are there."""
    project = context.project
    if project is None:
        return
    from exai_ops.env.effective import winners
    from exai_ops.env.rules.compose_environment import files_read

    for service in project.services.values():
        if all(file.data is not None or not file.required for file in service.env_files):
            found = winners(project, service, files_read(context, project, service))
            host, token = found.get(_HOST), found.get(_TOKEN)
            if host is not None and host.value and not is_loopback(host.value) and _lacks(token):
                yield Location(host.place.file, host.place.line, _HOST), host.value


def _lacks(token: Candidate | None) -> bool:
    if token is None:
        return True
    return not token.value and "$" not in (token.written or "")  # CMP002 says what ${...} gets nothing


def ports(context: Context) -> Iterator[Finding]:
    """Two ports of this machine that are the same."""
    same_setting = {name: variable.name for name, variable in context.variables.items()}
    for seen in views(context):
        taken: dict[str, str] = {}
        used = set(seen.values.values())
        for key in [key for key in seen.values if key == "PORT" or key.endswith("_PORT")]:
            number = seen.values[key]
            if not re.fullmatch(_NUMBER, number) or _is_remote(key):
                continue
            first = taken.setdefault(number, key)
            if (
                first != key
                and same_setting.get(first, first) != same_setting.get(key, key)
                and _same_host(seen, first, key)
            ):
                message = f"{key} and {first} at line {seen.lines.get(first)} are both {number}"
                free = next(n for n in range(int(number) + 1, int(number) + 1000) if str(n) not in used)
                hint = f"write {key}={free}, which no other port here is, or another one"
                yield Finding("ENV211", Status.WARNING, message, hint, seen.at(key))


def _is_remote(key: str) -> bool:
    """Whether a port is that of a service elsewhere."""
    return not _REMOTE.isdisjoint(key.split("_"))


def _same_host(seen: Values, one: str, two: str) -> bool:
    hosts = {seen.values.get(f"{key.removesuffix('PORT')}HOST") for key in (one, two)}
    return len(hosts) == 1 or None in hosts or bool(hosts & {"0.0.0.0", "::"})  # noqa: S104 - compared alone


def redis_in_main(context: Context) -> Iterator[Finding]:
    """Settings of Redis in the ``.env`` beside the file in use."""
    main = context.main
    if main is None:
        return
    other = context.live.path if context.live is not None else ".env.docker"
    for key in names(main):
        if key.startswith("REDIS_"):
            message = f"{key} is a setting of Redis in {main.path} (style alone)"
            hint = f"take it out here, keep it in {other}, and run docker compose --env-file {other}"
            yield Finding("ENV212", Status.INFO, message, hint, at(main, main.index[key][-1]))
