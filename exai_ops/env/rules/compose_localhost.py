"""CMP015: variables that look for another service at localhost."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from exai_ops.compose.model import Place, Project, Service
from exai_ops.compose.ports import ports_of
from exai_ops.env.effective import winners
from exai_ops.env.rules.compose_environment import at, files_read
from exai_ops.env.rules.table import Context
from exai_ops.findings import Finding, Status

_LOCAL_URL: Final = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?:[^@/]*@)?(?:localhost|127(?:\.[0-9]+){3}|\[::1\])"
    r"(?::(?P<port>[0-9]{1,5}))?(?=[/?#]|$)",
    re.IGNORECASE,
)
_MAYBE: Final = re.compile(r"localhost|127\.|::1", re.IGNORECASE)
_LOCAL_HOST: Final = re.compile(r"(?:localhost|127(?:\.\d+){3}|::1)(?::(?P<port>\d{1,5}))?", re.IGNORECASE)
_HOST_KEY: Final = re.compile(r"(?P<what>.+?)_?(?:HOST|HOSTNAME|SERVER|ADDR|ADDRESS)")
_PORTS_BY_SCHEME: Final = {
    "redis": 6379, "rediss": 6379, "postgres": 5432, "postgresql": 5432, "mysql": 3306, "mongodb": 27017,
    "amqp": 5672, "http": 80, "https": 443,
}  # fmt: skip
_PORTS_BY_IMAGE: Final = {
    "redis": 6379, "valkey": 6379, "postgres": 5432, "postgresql": 5432, "mysql": 3306, "mariadb": 3306,
    "mongo": 27017, "rabbitmq": 5672, "memcached": 11211, "elasticsearch": 9200, "nats": 4222,
}  # fmt: skip


def localhost(context: Context, project: Project) -> Iterator[Finding]:
    """Variables of a service that look for another service at localhost."""
    found: dict[tuple[str, Place], tuple[str, list[str]]] = {}
    for service in project.services.values():
        if service.body.get("network_mode") != "host":
            for key, place, other in _local(context, project, service):
                found.setdefault((key, place), (other, []))[1].append(service.name)
    for (key, place), (other, services) in found.items():
        message = (
            f"{key} sends {', '.join(services)} to localhost, which is that container itself, not {other}"
        )
        yield Finding("CMP015", Status.ERROR, message, f"write {other} in place of localhost", at(place, key))


def _local(context: Context, project: Project, service: Service) -> Iterator[tuple[str, Place, str]]:
    """Key, place and the service that is meant, of each variable that names localhost in its stead."""
    files = files_read(context, project, service)
    every = winners(project, service, files)
    for key, winner in every.items():
        if winner.value and _MAYBE.search(winner.value):
            named = _HOST_KEY.fullmatch(key)
            beside = every.get(f"{named['what']}_PORT") if named else None
            other = _other(project, service, key, winner.value, str(beside.value) if beside else "")
            if other:
                yield key, winner.place, other


def _other(project: Project, service: Service, key: str, value: str, beside: str) -> str | None:
    """The other service that a value means, or None when it means this one or none at all."""
    meant = _by_url(value) or _by_host(key, value, beside)
    if meant is None:
        return None
    port, what = meant
    if port in _listens(service):
        return None
    for other in project.services.values():
        named_so = port is None and what in (other.name.lower(), _image_name(other))
        if other.name != service.name and (named_so or port in _listens(other)):
            return other.name
    return None


def _by_url(value: str) -> tuple[int | None, str] | None:
    """The port of a URL with localhost, given or usual."""
    url = _LOCAL_URL.match(value)
    if url is None:
        return None
    usual = _PORTS_BY_SCHEME.get(url["scheme"].lower().partition("+")[0])
    return (int(url["port"]) if url["port"] else usual), ""


def _by_host(key: str, value: str, beside: str) -> tuple[int | None, str] | None:
    """The port of ``localhost:PORT`` or of the key beside it, and the first word of the key: ``redis``."""
    host, named = _LOCAL_HOST.fullmatch(value), _HOST_KEY.fullmatch(key.upper())
    if host is None or named is None:
        return None
    port = host["port"] or (beside if beside.isdecimal() and len(beside) < 6 else "")
    return (int(port) if port else None), named["what"].rpartition("_")[2].lower()


def _listens(service: Service) -> set[int]:
    """Ports that a container is known to listen on: published, exposed, or its image's usual one."""
    ports: set[int] = set()
    for _, port in ports_of(service.body):
        low, high = port.target
        ports.update(range(low, min(high, low + 99) + 1))
    exposed = service.body.get("expose")
    for entry in exposed if isinstance(exposed, list) else ():
        text = str(entry).partition("/")[0]
        ports |= {int(text)} if text.isdecimal() else set()
    usual = _PORTS_BY_IMAGE.get(_image_name(service))
    return ports | ({usual} if usual else set())


def _image_name(service: Service) -> str:
    """``redis`` of ``docker.io/bitnami/redis:7``."""
    return str(service.body.get("image") or "").rpartition("/")[2].partition(":")[0].partition("@")[0].lower()
