"""CMP001 to CMP016: the compose project. The functions are in the ``compose_*`` modules beside this one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Final, TypeAlias

from exai_ops.env.rules.table import Context, Rule, RuleFunction
from exai_ops.findings import Finding, Status

if TYPE_CHECKING:
    from exai_ops.compose.model import Project

ProjectRule: TypeAlias = "Callable[[Context, Project], Iterable[Finding]]"


def _needing_project(code: str, place: str) -> RuleFunction:
    def judge(context: Context) -> Iterator[Finding]:
        if context.project is None:
            yield Finding(code, Status.SKIP, "needs a compose file", "name it with --compose")
        else:
            function = _function(place)
            yield from map(_one_line, function(context, context.project))

    return judge


def _function(place: str) -> ProjectRule:
    """The function of ``module:function``, imported when there is a project to judge."""
    module, _, name = place.partition(":")
    function: ProjectRule = getattr(import_module(f"{__package__}.compose_{module}"), name)
    return function


def _one_line(finding: Finding) -> Finding:
    """A finding without what names in a hostile file may hold: line ends, what a terminal obeys."""
    if finding.message.isprintable() and finding.hint.isprintable():
        return finding
    message, hint = (_printable(text) for text in (finding.message, finding.hint))
    return finding._replace(message=message, hint=hint)


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


def _rule(code: str, severity: Status, place: str, *, title: str, hint: str, why: str) -> Rule:
    return Rule(
        code=code,
        severity=severity,
        title=title,
        hint=hint,
        explanation=" ".join(why.split()),
        function=_needing_project(code, place),
    )


RULES: Final = (
    _rule(
        "CMP001",
        Status.ERROR,
        "environment:refused",
        title="Compose accepts the files",
        hint="mend the line; docker compose config says the same",
        why="""A key that stands twice in a mapping, a $ that begins no variable, a list merged over a
        mapping, one container_name for two services: Compose refuses the project. Here the last of two keys
        is taken, so that the rest can be judged.""",
    ),
    _rule(
        "CMP002",
        Status.ERROR,
        "environment:unresolved",
        title="every ${...} of the compose file gets a value",
        hint="docker compose --env-file FILE -f COMPOSE up",
        why="""Compose resolves ${NAME} from the shell, then from the files of --env-file, or without that
        option from the .env beside the first compose file. What a service names as env_file goes into its
        container and never feeds ${NAME}; nothing is resolved from there. A name that nothing gives becomes
        empty text, with one line of warning at start. It is an error when an env_file has the name
        (somebody believes that it arrives), when it is a password or key, and for ${NAME:?}; else a
        warning. $$NAME is no reference of Compose: it reaches the container as $NAME.""",
    ),
    _rule(
        "CMP003",
        Status.WARNING,
        "environment:time_zones",
        title="every service has the same TZ",
        hint="write TZ once, in an anchor that every service merges",
        why="""Logs of two services can be laid side by side only in one time zone. A container without TZ
        runs in UTC, whatever the host does. Env files count: a service that takes TZ from one has it. Where
        no service has one all run in UTC, which is consistent, and only said as info.""",
    ),
    _rule(
        "CMP004",
        Status.INFO,
        "environment:env_file_order",
        title="env_file stands above environment",
        hint="move env_file above environment",
        why="""Style alone. Compose does not look at the order of the two keys: what environment says wins
        over env_file in either. Written in the order in which they apply, a reader sees what wins; that is
        all that there is to it, and a password that does not arrive has another reason (see CMP002).""",
    ),
    _rule(
        "CMP005",
        Status.WARNING,
        "environment:commander_host",
        title="redis-commander has REDIS_HOST",
        hint="add REDIS_HOST with the service's name to its environment",
        why="""redis-commander with REDIS_HOSTS and without REDIS_HOST opens a second connection to its
        default, 127.0.0.1:6379. Inside its container nothing listens there, so it logs a refused connection
        again and again, next to the one that works.""",
    ),
    _rule(
        "CMP006",
        Status.ERROR,
        "environment:commander_password",
        title="redis-commander has the password that redis asks for",
        hint="give it REDIS_PASSWORD, from where ${...} is resolved",
        why="""A redis service that is started with requirepass answers NOAUTH to a redis-commander without
        password. Where a password is written as ${...} and nothing gives it, CMP002 says so and this rule
        is silent.""",
    ),
    _rule(
        "CMP007",
        Status.ERROR,
        "environment:env_files_there",
        title="every env_file is there",
        hint="make the file, or say required: false",
        why="""Compose refuses to start a service whose env_file is missing, unless its entry says required:
        false. Relative paths start at the folder of the first compose file, or at that of the file which an
        extends or include names.""",
    ),
    _rule(
        "CMP008",
        Status.WARNING,
        "services:open_ports",
        title="ports are published on loopback",
        hint='write "127.0.0.1:HOST:CONTAINER"',
        why="""A port without an address is bound on every interface, and the engine's own firewall rules
        come before those of ufw or firewalld: whoever reaches the host reaches Redis. Services reach each
        other by name without any published port. A port that is meant for others deserves a suppression
        with its reason.""",
    ),
    _rule(
        "CMP009",
        Status.ERROR,
        "services:colliding_ports",
        title="no two services publish the same port",
        hint="give one of them another host port",
        why="""The second service cannot bind the port and does not start. Different addresses do not
        collide, nor tcp and udp, nor services whose profiles share no name.""",
    ),
    _rule(
        "CMP010",
        Status.WARNING,
        "services:untagged_images",
        title="images have a version",
        hint="write image: NAME:VERSION",
        why="""Without a tag, or with latest, the next pull brings another program than the one that was
        tried. A digest pins as well. A service with build is left alone: its image names what is built
        here.""",
    ),
    _rule(
        "CMP011",
        Status.WARNING,
        "health:deaf_healthchecks",
        title="healthchecks can fail",
        hint="ask the service and fail without an answer",
        why="""A test that ends with || true or exit 0, or only prints, is healthy while the service is
        dead, and everything that waits for service_healthy starts against it. A check that is switched off
        is info.""",
    ),
    _rule(
        "CMP012",
        Status.WARNING,
        "services:unconditional",
        title="depends_on waits for the healthcheck",
        hint="write depends_on: {NAME: {condition: service_healthy}}",
        why="""The short form waits for the start of the container alone. Where the other service has a
        healthcheck, the long form waits until it answers. The long form with service_started is a decision
        and is left alone.""",
    ),
    _rule(
        "CMP013",
        Status.ERROR,
        "secrets:passwords_in_commands",
        title="no password stands in a command line or healthcheck",
        hint="take it from the container's environment: $$NAME within sh -c",
        why="""A password in command, entrypoint or healthcheck is in every copy of the file, in docker
        inspect and in the list of processes. Written as ${NAME}, Compose puts the value there: not in the
        file, but in inspect and ps, so it is info. $$NAME is resolved by the container's own shell and is
        fine; redis-cli also reads REDISCLI_AUTH, and redis-server a configuration file.""",
    ),
    _rule(
        "CMP014",
        Status.WARNING,
        "secrets:password_defaults",
        title="no password has a default in the compose file",
        hint="write ${NAME:?set it in the --env-file}",
        why="""${ADMIN_PASSWORD:-admin} is a password that everybody knows, and it holds just when the one
        that was meant does not arrive. With :? Compose refuses to start and says which name is missing.""",
    ),
    _rule(
        "CMP015",
        Status.ERROR,
        "localhost:localhost",
        title="services look for one another by name, not at localhost",
        hint="write the service's name in place of localhost",
        why="""Inside a container localhost is that container. A variable that names localhost, or a URL
        with it, and a port that another service listens on and this one does not, never reaches it. The
        service's name, or its container_name, is its host name on the project's network.""",
    ),
    _rule(
        "CMP016",
        Status.INFO,
        "services:unbounded",
        title="services restart, rotate their logs and have a memory limit",
        hint="add restart, logging options and mem_limit",
        why="""Without a restart policy a service stays down; without max-size the json-file driver fills
        the disk; without a memory limit one service takes the host down. Whether that matters depends on
        the service.""",
    ),
)
