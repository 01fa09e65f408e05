"""Variables that others than the project's code read: the system, interpreters, tools, images of services."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from exai_ops.compose.model import Project

_PLATFORM: Final = frozenset({
    "ALL_PROXY", "APPDATA", "CI", "COLORTERM", "COLUMNS", "CURL_CA_BUNDLE", "DEBIAN_FRONTEND",
    "DISPLAY", "EDITOR", "FORCE_COLOR", "FTP_PROXY", "HOME", "HOMEDRIVE", "HOMEPATH", "HOSTNAME",
    "HTTPS_PROXY", "HTTP_PROXY", "LANG", "LANGUAGE", "LINES", "LOCALAPPDATA", "LOGNAME", "NO_COLOR",
    "NO_PROXY", "PAGER", "PATH", "PATHEXT", "PROGRAMFILES", "PWD", "REQUESTS_CA_BUNDLE", "SHELL",
    "SHLVL", "SSH_AUTH_SOCK", "SSL_CERT_DIR", "SSL_CERT_FILE", "SYSTEMROOT", "TEMP", "TERM", "TMP",
    "TMPDIR", "TZ", "USER", "USERNAME", "USERPROFILE", "VIRTUAL_ENV", "VISUAL", "WEB_CONCURRENCY",
    "WINDIR",
})  # fmt: skip
_PREFIXES: Final = (
    "BUILDKIT_", "CI_", "COMPOSE_", "COVERAGE_", "DOCKER_", "GITHUB_", "GITLAB_", "GIT_", "GUNICORN_",
    "KUBERNETES_", "LC_", "LD_", "MALLOC_", "NODE_", "NPM_", "OTEL_", "PIP_", "PYTEST_", "PYTHON",
    "RUNNER_", "UVICORN_", "UV_", "XDG_",
)  # fmt: skip
_BY_IMAGE: Final = {
    "redis-commander": (
        r"REDIS_(?:HOSTS?|PORT|DB|USERNAME|PASSWORD|PASSWORD_FILE|TLS\w*)|SENTINELS?(?:_\w+)?|HTTP_\w+"
        r"|URL_PREFIX|ADDRESS|PORT|NOSAVE|NO_\w+|K8S_SIGTERM|READ_ONLY"
    ),
    "redis": r"REDIS_\w+",
    "valkey": r"VALKEY_\w+",
    "postgres": r"POSTGRES_\w+|PG[A-Z]+",
    "postgresql": r"POSTGRES(?:QL)?_\w+|PG[A-Z]+",
    "mysql": r"MYSQL_\w+",
    "mariadb": r"(?:MYSQL|MARIADB)_\w+",
    "mongo": r"MONGO_\w+",
    "rabbitmq": r"RABBITMQ_\w+",
    "grafana": r"GF_\w+",
    "minio": r"MINIO_\w+",
}


_OURS: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
"""Another name of a setting."""


def platform_reads(key: str) -> bool:
    """Whether the system, an interpreter or a tool reads a key: ``PATH``, ``PYTHONPATH``, ``COMPOSE_*``."""
    return key in _PLATFORM or (key.startswith(_PREFIXES) and key != _OURS)


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
    return known is not None and re.fullmatch(known, key) is not None


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
