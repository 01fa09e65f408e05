"""Which variables a shell script or a Dockerfile reads and does not set by itself."""

from __future__ import annotations

import re
from typing import Final

from exai_ops.env.code_found import Seen, Source

_COMMENT: Final = re.compile(r"(?:^|(?<=[\s;&|(]))#.*")
_SINGLE: Final = re.compile(r"'[^'\n]*'")
_READ: Final = re.compile(r"(?<![\\$])\$(?:\{[!#]?)?([A-Z_][A-Z0-9_]+)")
_SET: Final = re.compile(
    r"(?:^|[\s;&|(])(?:(?:export|local|readonly|declare|typeset)\s+(?:-\w+\s+)*)?([A-Z_][A-Z0-9_]*)\+?="
    r"|\bfor\s+([A-Z_][A-Z0-9_]*)\s+in\b|\bread\s+(?:-\w+\s+)*([A-Z_][A-Z0-9_]*)",
    re.MULTILINE,
)
_OWN_DEFAULT: Final = re.compile(r"([A-Z_][A-Z0-9_]*)=[\"']?\$\{\1[:?=-]")
_DECLARED: Final = re.compile(r"^\s*(?:ENV|ARG)\s+(.*)", re.IGNORECASE)
_NAMES: Final = re.compile(r"(?:^|\s)([A-Z_][A-Z0-9_]*)(?==|\s|$)")
_SHELLS_OWN: Final = frozenset({
    "BASH_SOURCE", "BASH_REMATCH", "BASH_VERSION", "EUID", "FUNCNAME", "HOME", "HOSTNAME", "IFS", "LANG",
    "LINENO", "LOGNAME", "OLDPWD", "OPTARG", "OPTIND", "OSTYPE", "PATH", "PIPESTATUS", "PPID", "PWD",
    "RANDOM", "REPLY", "SECONDS", "SHELL", "SHLVL", "TERM", "TMPDIR", "UID", "USER",
})  # fmt: skip


def read_shell(text: str) -> Source:
    """The names in ``$X`` and ``${X}`` that the script does not set, but to themselves with a default."""
    lines = [_SINGLE.sub("''", _COMMENT.sub("", line)) for line in text.split("\n")]
    code = "\n".join(lines)
    own = {name for groups in _SET.findall(code) for name in groups if name}
    own -= {match[1] for match in _OWN_DEFAULT.finditer(code)}
    return Source(seen=_reads(lines, own | _SHELLS_OWN, "shell"))


def read_dockerfile(text: str) -> Source:
    """The names of ``ENV`` and ``ARG``, and what else its ``$X`` and ``${X}`` name."""
    lines = [line if not line.lstrip().startswith("#") else "" for line in text.split("\n")]
    declared = [
        Seen(name, number, "Dockerfile")
        for number, line in enumerate(lines, 1)
        if (match := _DECLARED.match(line))
        for name in _NAMES.findall(match[1])
    ]
    own = {seen.name for seen in declared} | _SHELLS_OWN
    return Source(seen=[*declared, *_reads(lines, own, "Dockerfile")])


def _reads(lines: list[str], own: frozenset[str] | set[str], how: str) -> list[Seen]:
    return [
        Seen(match[1], number, how)
        for number, line in enumerate(lines, 1)
        for match in _READ.finditer(line)
        if match[1] not in own
    ]
