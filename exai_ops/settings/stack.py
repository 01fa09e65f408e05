"""What the compose stack takes from ``.env.docker`` beside the daemon's settings; the daemon reads none."""

from __future__ import annotations

from typing import Final, NamedTuple

SECTION: Final = "Stack of compose/docker-compose.yml: for .env.docker alone"


class StackVariable(NamedTuple):
    """One variable of the stack; ``default`` is what the compose file takes when it is empty."""

    name: str
    default: str
    comment: str
    secret: bool = False


STACK_VARIABLES: Final = (
    StackVariable(
        "TZ",
        "Australia/Melbourne",
        "Time zone of every service, so that their logs can be laid side by side. Takes an IANA name.",
    ),
    StackVariable(
        "REDIS_PASSWORD",
        "",
        "Password of Redis; the stack does not start without. Settings of Redis belong in .env.docker and "
        "nowhere else: compose resolves ${REDIS_PASSWORD} from the file of --env-file, and a second copy in "
        ".env would be one that drifts. Takes visible ASCII characters without spaces.",
        secret=True,
    ),
    StackVariable("REDIS_COMMANDER_USER", "admin", "Who may look at Redis with redis-commander. Takes text."),
    StackVariable(
        "REDIS_COMMANDER_PASSWORD",
        "",
        "Password of redis-commander's page; empty means that of Redis. Takes text.",
        secret=True,
    ),
    StackVariable(
        "REDIS_COMMANDER_PORT",
        "8081",
        "Port of redis-commander's page, on loopback alone. Takes a whole number from 1 to 65535.",
    ),
)
