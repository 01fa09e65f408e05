"""CMP008 to CMP010, CMP012 and CMP016: ports, images, order of start, what keeps a service in bounds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from exai_ops.compose.model import Project, Service
from exai_ops.compose.ports import Port, ports_of
from exai_ops.env.rules.compose_environment import at, run_together
from exai_ops.env.rules.compose_health import is_off
from exai_ops.env.rules.table import Context
from exai_ops.findings import Finding, Status

Published: TypeAlias = tuple[Service, int, Port]
"""A service, an index into its ``ports``, and the port."""

_LOOKED_AT: Final = 50  # of those that overlap with one; there are more only in a hostile file

# --- ports -------------------------------------------------------------------------------------


def open_ports(_context: Context, project: Project) -> Iterator[Finding]:
    """Ports that every machine on the network reaches."""
    for service, index, port in _ports(project):
        if port.open_to_all:
            place = service.at(f"ports.{index}")
            message = f"{service.name} publishes {_shown(port.published)} on every interface of the host"
            yield Finding(
                "CMP008",
                Status.WARNING,
                message,
                f"write {_on_loopback(service, index, port)}",
                at(place, service.name),
            )


def _on_loopback(service: Service, index: int, port: Port) -> str:
    if isinstance(service.body["ports"][index], Mapping):
        return "host_ip: 127.0.0.1"
    protocol = "" if port.protocol == "tcp" else f"/{port.protocol}"
    published = "" if port.published is None else _shown(port.published)
    return f'- "127.0.0.1:{published}:{_shown(port.target)}{protocol}"'


def _shown(ports: tuple[int, int] | None) -> str:
    if ports is None:
        return "a port"
    return str(ports[0]) if ports[0] == ports[1] else f"{ports[0]}-{ports[1]}"


def colliding_ports(_context: Context, project: Project) -> Iterator[Finding]:
    """Ports that cannot be bound because another has them; each is named once, with the first such."""
    order = {name: number for number, name in enumerate(project.services)}
    beside: list[Published] = []  # those that begin before, and may reach as far as, the one in hand
    for mine in sorted(_ports(project), key=lambda entry: entry[2].published or (0, 0)):
        published = mine[2].published
        if published is not None:
            beside = [other for other in beside if (other[2].published or (0, 0))[1] >= published[0]]
            hit = next((other for other in beside if _clash(mine, other)), None)
            if hit is not None:
                yield _collision(mine, hit, order)
            if len(beside) < _LOOKED_AT:
                beside.append(mine)


def _clash(one: Published, other: Published) -> bool:
    return one[2].collides(other[2]) and run_together(one[0], other[0])


def _collision(one: Published, other: Published, order: Mapping[str, int]) -> Finding:
    """The finding, at the one that stands later among the services."""
    first, second = sorted((one, other), key=lambda entry: (order[entry[0].name], entry[1]))
    service, index, port = second
    there = at(first[0].at(f"ports.{first[1]}"), first[0].name)
    whose = "itself" if first[0] is service else first[0].name
    message = f"{service.name} publishes {_shown(port.published)}, which {whose} has at {there}"
    hint = f"give {service.name} another host port, or {whose} at {there}"
    return Finding("CMP009", Status.ERROR, message, hint, at(service.at(f"ports.{index}"), service.name))


def _ports(project: Project) -> list[Published]:
    return [
        (service, index, port)
        for service in project.services.values()
        for index, port in ports_of(service.body)
    ]


# --- images ------------------------------------------------------------------------------------


def untagged_images(_context: Context, project: Project) -> Iterator[Finding]:
    """Images that may be another one tomorrow; one that is built here only gets its name."""
    for service in project.services.values():
        image = service.body.get("image")
        if isinstance(image, str) and image and "build" not in service.body:
            reason = _moving(image)
            if reason:
                name = image.partition("@")[0].removesuffix(":latest").rstrip(":")
                hint = f"write image: {name}:VERSION, a version that you have tried"
                yield Finding(
                    "CMP010",
                    Status.WARNING,
                    f"{service.name} runs {name} {reason}",
                    hint,
                    at(service.at("image"), service.name),
                )


def _moving(image: str) -> str:
    tag = image.rpartition("/")[2].partition("@")[0].partition(":")[2]
    if "@" in image or tag not in ("", "latest"):
        return ""
    return "at :latest, which changes under you" if tag else "without a tag, which means :latest"


# --- depends_on --------------------------------------------------------------------------------


def unconditional(_context: Context, project: Project) -> Iterator[Finding]:
    """Services that wait for the start of another although it could say when it is ready."""
    for service in project.services.values():
        for name, path in _plain_dependencies(service):
            other = project.services.get(name)
            if other is not None and _has_healthcheck(other):
                message = (
                    f"{service.name} starts when {name} has started, not when its healthcheck is healthy"
                )
                hint = f"write depends_on: {{{name}: {{condition: service_healthy}}}}"
                yield Finding("CMP012", Status.WARNING, message, hint, at(service.at(path), service.name))


def _plain_dependencies(service: Service) -> Iterable[tuple[str, str]]:
    depends = service.written.get("depends_on")
    if isinstance(depends, list):
        return [(str(name), f"depends_on.{index}") for index, name in enumerate(depends)]
    if isinstance(depends, Mapping):
        # A condition that a merge put there in place of the short form has no text.
        plain = (name for name, how in depends.items() if not _mapping(how).get("condition"))
        return [(name, f"depends_on.{name}") for name in plain]
    return []


def _has_healthcheck(service: Service) -> bool:
    check = service.body.get("healthcheck")
    return isinstance(check, Mapping) and bool(check.get("test")) and not is_off(check)


# --- bounds ------------------------------------------------------------------------------------


def unbounded(_context: Context, project: Project) -> Iterator[Finding]:
    """Services that lack a restart policy, log rotation or a memory limit."""
    for service in project.services.values():
        lacks = list(_lacks(service.body))
        if lacks:
            message = f"{service.name} has no {' and no '.join(what for what, _ in lacks)}"
            hint = "add " + ", ".join(line for _, line in lacks)
            yield Finding("CMP016", Status.INFO, message, hint, at(service.place, service.name))


def _lacks(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    deploy = _mapping(body.get("deploy"))
    if "restart" not in body and "restart_policy" not in deploy:
        yield "restart policy", "restart: unless-stopped"
    logging = _mapping(body.get("logging"))
    rotates = logging.get("driver", "json-file") != "json-file" or "max-size" in _mapping(
        logging.get("options")
    )
    if not rotates:
        yield "log rotation", 'logging: {driver: json-file, options: {max-size: "10m", max-file: "3"}}'
    limits = _mapping(_mapping(deploy.get("resources")).get("limits"))
    if "memory" not in limits and "mem_limit" not in body:
        yield "memory limit", "mem_limit: 512m"


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
