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
# What such a variable holds is for a browser on the machine that publishes the port, not for the service.
_FOR_BROWSERS: Final = re.compile(
    r"(?:NEXT_PUBLIC|NUXT_PUBLIC|VITE|REACT_APP|VUE_APP|EXPO_PUBLIC|GATSBY|PUBLIC)_.+"
    r"|(?:.+_)?(?:APP|BASE|ROOT|SITE|WEB|HOME|PUBLIC|EXTERNAL|FRONTEND|BROWSER|DASHBOARD|HOSTNAME|ADMIN)_UR[IL]"
    r"|NEXTAUTH_URL|(?:.+_)?(?:CALLBACK|REDIRECT|LOGOUT|ISSUER|ORIGINS?|BROWSER)(?:_.+)?",
    re.IGNORECASE,
)
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
        if not str(_network(project, service).body.get("network_mode")).startswith(("host", "container:")):
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
    here, there = _apart(project, service)
    if any(port in _listens(one) or _is_named(one, port, what) for one in here):
        return None
    if _FOR_BROWSERS.fullmatch(key) and any(_publishes(one, port) for one in project.services.values()):
        return None
    return next((one.name for one in there if _is_named(one, port, what) or port in _listens(one)), None)


def _apart(project: Project, service: Service) -> tuple[list[Service], list[Service]]:
    """The services whose localhost is this one's, itself among them, and the others."""
    own = _network(project, service).name
    here: list[Service] = []
    there: list[Service] = []
    for one in project.services.values():
        (here if _network(project, one).name == own else there).append(one)
    return here, there


def _network(project: Project, service: Service) -> Service:
    """The service whose network a service has: its own, or that of ``network_mode: service:NAME``."""
    seen: set[str] = set()
    while service.name not in seen:
        seen.add(service.name)
        kind, _, name = str(service.body.get("network_mode") or "").partition(":")
        service = project.services.get(name, service) if kind == "service" else service
    return service


def _is_named(service: Service, port: int | None, what: str) -> bool:
    """Whether a key without a port names a service: ``REDIS_HOST``."""
    return port is None and what in (service.name.lower(), _image_name(service))


def _publishes(service: Service, port: int | None) -> bool:
    """Whether a port of the machine leads to a service."""
    if port is None:
        return False
    return any(p.published and p.published[0] <= port <= p.published[1] for _, p in ports_of(service.body))


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
