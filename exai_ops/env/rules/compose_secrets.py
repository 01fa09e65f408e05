"""CMP013 and CMP014: passwords that stand in the compose file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any, Final

from exai_ops.compose.model import Place, Project, Service
from exai_ops.env.masking import key_shown
from exai_ops.env.rules.compose_environment import at
from exai_ops.env.rules.table import Context
from exai_ops.env.secrets import NAMED, Hit, of_assignment
from exai_ops.env.shown import is_secret_key
from exai_ops.env.weak import is_chosen
from exai_ops.findings import Finding, Status

_VALUE: Final = r"""\\?["']?(?P<value>(?!-)[^\s"'\\][^\s"']*)"""
_OPTIONS: Final = (
    re.compile(
        r"(?<!\S)(?P<option>--?(?:[a-z0-9]+[-_])*(?:password|passwd|passphrase|pass|requirepass|masterauth|secret|token|api-?key))"
        r"(?:=|\s+)" + _VALUE,
        re.IGNORECASE,
    ),
    re.compile(r"\bredis-cli\b(?:[^|;&]*?\s)(?P<option>-a)\s*" + _VALUE),
    re.compile(
        r"\b(?:mysql|mysqladmin|mariadb|mysqldump|mariadb-admin)\b(?:[^|;&]*?\s)(?P<option>-p)" + _VALUE
    ),
    re.compile(
        r"(?<![\w-])(?P<option>(?:[A-Z0-9]+_)*(?:PASSWORD|TOKEN|SECRET|PGPASSWORD|REDISCLI_AUTH|MYSQL_PWD|API_KEY))="
        + _VALUE
    ),
    re.compile(r"(?<![a-z0-9+.-])(?P<option>[a-z][a-z0-9+.-]*://[^\s:/@\"']*):(?P<value>[^\s:/@\"']+)@"),
    re.compile(r"\bcurl\b(?:[^|;&]*?\s)(?P<option>-u|--user)\s*[\"']?[^\s:\"']+:(?P<value>[^\s\"']+)"),
)
_LONGEST: Final = 10_000  # characters of a command: some patterns take the square of it
_PLACES: Final = (("command",), ("entrypoint",), ("healthcheck", "test"))


def passwords_in_commands(context: Context, project: Project) -> Iterator[Finding]:
    """Passwords in command lines and healthchecks, written out or by ``${...}``, and in ``environment``."""
    for service in project.services.values():
        for path in _PLACES:
            yield from _judge(service, ".".join(path), _text(service.written, path))
    yield from _in_environment(context, project)


def _in_environment(context: Context, project: Project) -> Iterator[Finding]:
    """Secrets written out under ``environment``; one that an anchor brings to several services is one."""
    seen: set[Place] = set()
    for service in project.services.values():
        for variable in service.environment:
            written = variable.written or ""
            if not written or "$" in written or variable.place in seen:
                continue
            seen.add(variable.place)
            hit = of_assignment(variable.key, written)
            if hit is not None and _counts(context, hit, variable.key):
                key, status = key_shown(variable.key), Status.ERROR if hit.sure else Status.WARNING
                message = f"the environment of {service.name} holds {key} in plain text: {hit.what}"
                form = f"- {key}=" if isinstance(service.body.get("environment"), list) else f"{key}: "
                hint = f"write {form}${{{key}:?set it in the --env-file}}, and make a new one"
                yield Finding("CMP013", status, message, hint, at(variable.place, variable.key))


def _counts(context: Context, hit: Hit, key: str) -> bool:
    """Whether a hit is one here, where a word under a name such as ``HTTP_AUTH`` may be a setting."""
    public = any(fnmatchcase(key, pattern) for pattern in context.public)
    return not public and (hit.sure or hit.what != NAMED or is_chosen(key))


def _text(body: Any, path: tuple[str, ...]) -> str:
    for key in path:
        body = body.get(key) if isinstance(body, dict) else None
    text = " ".join(str(word) for word in body) if isinstance(body, list) else str(body or "")
    return text[:_LONGEST]


def _judge(service: Service, path: str, text: str) -> Iterator[Finding]:
    for option, value in options_in(text):
        if not value.startswith("$"):
            message = f"the {path} of {service.name} holds the password of {option} in plain text"
            status, hint = Status.ERROR, "take it from the container's environment"
        elif not value.startswith("$$"):
            message = f"the {path} of {service.name} gets the password of {option} written into it by Compose"
            status, hint = (
                Status.INFO,
                "docker inspect and ps show it; take it from the container's environment",
            )
        else:
            continue
        hint += f": sh -c '... {option} \"$$NAME\"', with NAME in env_file"
        yield Finding("CMP013", status, message, hint, at(service.at(path), service.name))


def options_in(text: str) -> Iterator[tuple[str, str]]:
    """Each option of a command line that takes a password, with its value."""
    taken: set[int] = set()
    for pattern in _OPTIONS:
        for match in pattern.finditer(text):
            if match.start("value") not in taken:
                taken.add(match.start("value"))
                option = match["option"]
                yield ("a URL" if "://" in option else option), match["value"]


def password_defaults(_context: Context, project: Project) -> Iterator[Finding]:
    """Passwords that fall back to what stands in the compose file."""
    seen = set()
    for reference in project.interpolations:
        literal = reference.operand and "$" not in reference.operand
        key = (reference.name, reference.place)
        if reference.kind in (":-", "-") and literal and is_secret_key(reference.name) and key not in seen:
            seen.add(key)
            message = f"${{{reference.name}}} falls back to a password that everybody who has the file knows"
            hint = f"write ${{{reference.name}:?set it in the --env-file}}"
            yield Finding("CMP014", Status.WARNING, message, hint, at(reference.place, reference.name))
