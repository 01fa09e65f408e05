"""Variables that others than the project's code read: the system, interpreters, tools, images of services."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from exai_ops.compose.model import Project

_PLATFORM: Final = re.compile(
    r"(?:APPDATA|CI|COLORTERM|COLUMNS|COVERAGE_PROCESS_START|DISPLAY|EDITOR|FORCE_COLOR|HOME|HOMEDRIVE|HOMEPATH"
    r"|HOSTNAME|LANG|LANGUAGE|LD_LIBRARY_PATH|LINES|LOCALAPPDATA|LOGNAME|NO_COLOR|PAGER|PATH|PATHEXT|PROGRAMFILES|PWD|SHELL"
    r"|SHLVL|SSH_AUTH_SOCK|SYSTEMROOT|TEMP|TERM|TMP|TMPDIR|TZ|USER|USERNAME|USERPROFILE|VIRTUAL_ENV|VISUAL|WINDIR"
    r"|SSL_CERT_FILE|SSL_CERT_DIR|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|DEBIAN_FRONTEND|(?:HTTPS?|FTP|ALL|NO)_PROXY"
    r"|(?:LC|XDG|PYTHON|PYTEST|PIP|UV|NPM|NODE|COMPOSE|DOCKER|BUILDKIT|GITHUB|RUNNER|GITLAB|CI|OTEL|UVICORN"
    r"|GUNICORN|WEB_CONCURRENCY|MALLOC|LD|GIT|KUBERNETES|AWS_LAMBDA)(?:_?[A-Z0-9_]+)?)"
)
_BY_IMAGE: Final = {
    "redis-commander": re.compile(
        r"REDIS_(?:HOSTS?|PORT|DB|USERNAME|PASSWORD|PASSWORD_FILE|TLS\w*)|SENTINELS?_\w+|SENTINELS|HTTP_\w+"
        r"|URL_PREFIX|ADDRESS|PORT|NO\w+|K8S_SIGTERM|READ_ONLY"
    ),
    "redis": re.compile(r"REDIS_\w+"),
    "valkey": re.compile(r"VALKEY_\w+"),
    "postgres": re.compile(r"POSTGRES_\w+|PG[A-Z]+"),
    "postgresql": re.compile(r"POSTGRES(?:QL)?_\w+|PG[A-Z]+"),
    "mysql": re.compile(r"MYSQL_\w+"),
    "mariadb": re.compile(r"(?:MYSQL|MARIADB)_\w+"),
    "mongo": re.compile(r"MONGO_\w+"),
    "rabbitmq": re.compile(r"RABBITMQ_\w+"),
    "grafana": re.compile(r"GF_\w+"),
    "minio": re.compile(r"MINIO_\w+"),
}


def platform_reads(key: str) -> bool:
    """Whether the system, an interpreter or a tool reads a key: ``PATH``, ``PYTHONPATH``, ``COMPOSE_*``."""
    return _PLATFORM.fullmatch(key) is not None


def compose_reads(project: Project | None) -> frozenset[str]:
    """The names that a compose file itself takes: those in ``${...}`` and keys without a value."""
    if project is None:
        return frozenset()
    bare = {v.key for service in project.services.values() for v in service.environment if v.value is None}
    return frozenset(
        {reference.name for reference in project.interpolations} | bare | _in_containers(project)
    )


def image_reads(project: Project | None, key: str) -> bool:
    """Whether the image of a service with an env file, or redis-commander's, reads a key."""
    services = project.services.values() if project is not None else ()
    return any(_reads(str(service.body.get("image") or ""), key) for service in services)


def _reads(image: str, key: str) -> bool:
    name = image.rpartition("/")[2].partition(":")[0].partition("@")[0].lower()
    known = _BY_IMAGE.get(name)
    return known is not None and known.fullmatch(key) is not None


def _in_containers(project: Project) -> set[str]:
    """Names that commands and healthchecks take from their container's environment: ``$$NAME``."""
    found: set[str] = set()
    for service in project.services.values():
        for text in _texts([service.written.get(name) for name in ("command", "entrypoint", "healthcheck")]):
            found.update(re.findall(r"\$\$\{?([A-Za-z_][A-Za-z0-9_]*)", text))
    return found


def _texts(value: object) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from _texts(list(value.values()))
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
