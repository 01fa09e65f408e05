"""CMP011: healthchecks that cannot fail."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from exai_ops.compose.model import Place, Project, Service
from exai_ops.env.rules.compose_environment import at
from exai_ops.env.rules.table import Context
from exai_ops.findings import Finding, Status

if TYPE_CHECKING:
    import ast

_LONGEST: Final = 10_000  # characters of a command that are looked at
_FINE: Final = r"(?:true\b|:|exit\s+0|(?:/usr)?/bin/true\b|echo\b[^|&;<>]*)"
_ALWAYS: Final = re.compile(rf"(?:\|\||;)\s*{_FINE}\s*;?\s*$")
_NEVER_FAILS: Final = re.compile(
    r"(?:(?:/usr)?/bin/)?(?:true|:|exit(?:\s+0)?|(?:echo|printf)\b[^|&;`$<>]*)\s*;?\s*"
)


def deaf_healthchecks(_context: Context, project: Project) -> Iterator[Finding]:
    """Healthchecks that say healthy whatever happens."""
    for service in project.services.values():
        check = service.body.get("healthcheck")
        if isinstance(check, Mapping):
            off = is_off(check)
            why = "is switched off" if off else why_deaf(_command(check))
            if why:
                status, place = (Status.INFO if off else Status.WARNING), _place(service, check)
                message = f"the healthcheck of {service.name} {why}"
                hint = _HINT if off else _without_ending(_command(check)) or _HINT
                yield Finding("CMP011", status, message, hint, at(place, service.name))


_HINT: Final = 'write a test that fails without an answer: ["CMD", "wget", "-q", "--spider", "http://..."]'


def _without_ending(command: list[str]) -> str:
    """What to take out of a shell's command so that it can fail, or nothing where that is not enough."""
    ending = _ALWAYS.search(command[2].strip()) if len(command) > 2 and command[1] == "-c" else None
    if ending is None or why_deaf([*command[:2], command[2].strip()[: ending.start()]]):
        return ""
    return f"take out {' '.join(ending[0].split())} at the end of the test"


def _place(service: Service, check: Mapping[str, Any]) -> Place:
    return service.at("healthcheck.test" if "test" in check else "healthcheck")


def is_off(check: Mapping[str, Any]) -> bool:
    """Whether a healthcheck says that there is none."""
    test = check.get("test")
    return check.get("disable") in (True, "true") or (isinstance(test, list) and test[:1] == ["NONE"])


def _command(check: Mapping[str, Any]) -> list[str]:
    test = check.get("test")
    if not isinstance(test, list):
        return ["sh", "-c", str(test or "")[:_LONGEST]]
    words = [str(word)[:_LONGEST] for word in test[:100]]
    return words[1:] if words[:1] == ["CMD"] else ["sh", "-c", *words[1:]]


def why_deaf(command: list[str]) -> str:
    """Why a command always ends with 0, or nothing when it may fail."""
    if len(command) > 2 and command[1] == "-c":
        program = command[0].rpartition("/")[2]
        if program in ("sh", "bash", "ash", "dash"):
            return _deaf_shell(command[2].strip())
        if program.startswith("python"):
            return "only prints" if _only_prints(command[2]) else ""
    return "cannot fail" if _NEVER_FAILS.fullmatch(" ".join(command)) else ""


def _deaf_shell(text: str) -> str:
    if text and _NEVER_FAILS.fullmatch(text):
        return "cannot fail"
    ending = _ALWAYS.search(text)
    if ending and not (ending[0].startswith(";") and re.search(r"\bset\s+-\w*e", text)):
        return f"cannot fail: it ends with {' '.join(ending[0].split()[:3])}"
    python = re.fullmatch(r"python[0-9.]*\s+-c\s+(['\"])(.*)\1", text, re.DOTALL)
    return "only prints" if python and _only_prints(python[2]) else ""


def _only_prints(code: str) -> bool:
    """Whether Python code imports, prints fixed values and exits with 0 at most."""
    import ast

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a bad escape in the user's code
            statements = ast.parse(code).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return all(_is_harmless(statement) for statement in statements)


def _is_harmless(statement: ast.stmt) -> bool:
    import ast

    if isinstance(statement, ast.Pass):
        return True
    if isinstance(statement, ast.Import):
        return all(alias.name in ("sys", "os") for alias in statement.names)
    call = statement.value if isinstance(statement, ast.Expr) else None
    if not isinstance(call, ast.Call):
        return False
    name = ast.unparse(call.func)
    values = [a.value for a in call.args if isinstance(a, ast.Constant)]
    if len(values) != len(call.args):
        return False
    return name == "print" or (name in ("exit", "quit", "sys.exit") and values in ([], [0], [None]))
