"""From a mapping of variables to ``Settings``, with every problem named; from the process to the mapping."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from exai_ops.errors import SettingsError
from exai_ops.settings.model import VARIABLES, Settings
from exai_ops.settings.rules import RULES
from exai_ops.settings.variable import BadValue, Variable

if TYPE_CHECKING:
    from dotenv.parser import Original

DEFAULT_FILE: Final = Path(".env")
_PREFIX: Final = "EXAI_"


class Problem(NamedTuple):
    """One thing wrong with the settings.

    Attributes:
        name: The variable, by the name that was read.
        fatal: Whether the settings cannot be used; False is a warning.
    """

    code: str
    name: str
    message: str
    hint: str
    fatal: bool = True

    def __str__(self) -> str:
        return f"{self.name}: {self.message}; {self.hint}"


class Sources:
    """Where values come from: the process's environment, and a dotenv file beneath it.

    Attributes:
        lines: Line of each name in the file, from 1.
        unread: Lines of the file that are not assignments.
    """

    def __init__(
        self,
        process: Mapping[str, str],
        *,
        file: Path | None = None,
        from_file: Mapping[str, str] | None = None,
        lines: Mapping[str, int] | None = None,
        unread: tuple[int, ...] = (),
    ) -> None:
        self.process = process
        self.file = file
        self.from_file = from_file or {}
        self.lines = lines or {}
        self.unread = unread

    @cached_property
    def merged(self) -> dict[str, str]:
        """The process's values over the file's; an empty one hides nothing.

        A variable that the process sets under any of its names takes nothing from the file.
        """
        ours = {name: value for name, value in self.process.items() if value.strip()}
        hidden = {name for v in VARIABLES if any(n in ours for n in v.names) for name in v.names}
        below = {name: value for name, value in self.from_file.items() if name not in hidden}
        return dict(self.process) | below | ours

    def origin(self, variable: Variable) -> str:
        """Where a variable's value comes from, in words."""
        name, raw = lookup(variable, self.merged)
        if raw is None:
            return "default"
        alias = "" if name == variable.name else f" as {name}"
        line = self.line_of(name)
        return (f"{self.file}:{line}" if line is not None else "environment") + alias

    def line_of(self, name: str) -> int | None:
        """The line of the file that sets a name, or None when the file does not decide it."""
        return None if self.process.get(name, "").strip() else self.lines.get(name)


def load(environ: Mapping[str, str], *, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Settings from a mapping of variables; ``overrides`` are fields that the command line gave.

    An empty variable counts as unset. Raises SettingsError with every problem, not just the first.
    """
    settings, problems = examine(environ, overrides=overrides)
    if settings is None:
        lines = [str(problem) for problem in problems if problem.fatal]
        raise SettingsError(lines, hint="mend the variables named above; exai settings check shows all")
    return settings


def examine(
    environ: Mapping[str, str], *, overrides: Mapping[str, Any] | None = None
) -> tuple[Settings | None, list[Problem]]:
    """The settings, or None when they cannot be used, and all that is wrong, warnings included."""
    given = dict(overrides or {})
    values, problems = _values(environ, given)
    settings = Settings(**(values | given))
    if not problems:  # a rule over several variables says nothing true while one of them is unread
        problems = [Problem(*found) for rule in RULES for found in rule(settings)]
    usable = settings if not problems else None
    return usable, [*problems, *_shadowed(environ), *unknown(environ)]


def _values(environ: Mapping[str, str], overrides: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """What the variables hold, and what is wrong with them; an override hides its variable."""
    values: dict[str, Any] = {}
    problems = []
    for variable in VARIABLES:
        name, raw = lookup(variable, environ)
        try:
            if variable.field in overrides:
                variable.check(overrides[variable.field])
            elif raw is not None:
                values[variable.field] = variable.parse(raw)
        except BadValue as error:
            problems.append(Problem(error.code, name, str(error), f"allowed: {variable.allowed()}"))
    return values, problems


def lookup(variable: Variable, environ: Mapping[str, str]) -> tuple[str, str | None]:
    """The name under which a variable is set, and its text without white space around it, or None."""
    for name in variable.names:
        raw = environ.get(name, "").strip()
        if raw:
            return name, raw
    return variable.name, None


def unknown(environ: Mapping[str, str]) -> list[Problem]:
    """Warnings for names that look like ours and are not read."""
    known = [name for variable in VARIABLES for name in variable.names]
    strange = sorted(name for name in environ if name.startswith(_PREFIX) and name not in known)
    return [_unknown(name, known) for name in strange]


def _unknown(name: str, known: list[str]) -> Problem:
    import difflib

    near = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    hint = f"did you mean {near[0]}?" if near else "exai settings example lists what is read"
    return Problem("SET006", name, "is not a variable of exai", hint, fatal=False)


def _shadowed(environ: Mapping[str, str]) -> Iterable[Problem]:
    for variable in VARIABLES:
        used, raw = lookup(variable, environ)
        for name in variable.names:
            other = environ.get(name, "").strip()
            if other and other != raw:
                yield Problem(
                    "SET007", name, f"is ignored, since {used} is set too", f"keep {used} alone", fatal=False
                )


def sources(env_file: Path | None = None) -> Sources:
    """The process's environment over a dotenv file: the named one, else ``.env`` here if there is one.

    Raises SettingsError when the file cannot be read.
    """
    file = env_file or (DEFAULT_FILE if DEFAULT_FILE.is_file() else None)
    if file is None:
        return Sources(dict(os.environ))
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        raise SettingsError([f"{file}: {reason}"], hint="name a readable dotenv file") from error
    return _with_file(dict(os.environ), file, text)


def _with_file(process: Mapping[str, str], file: Path, text: str) -> Sources:
    from io import StringIO

    from dotenv import dotenv_values
    from dotenv.parser import parse_stream  # the one way to learn of lines that dotenv_values skips

    bindings = list(parse_stream(StringIO(text)))
    good = "".join(b.original.string for b in bindings if not b.error)
    values = {k: v for k, v in dotenv_values(stream=StringIO(good)).items() if v is not None}
    lines = {b.key: _line(b.original) for b in bindings if b.key is not None}
    unread = tuple(_line(b.original) for b in bindings if b.error)
    return Sources(process, file=file, from_file=values, lines=lines, unread=unread)


def _line(original: Original) -> int:
    """The parser counts the blank lines before an assignment as part of it."""
    text = original.string
    return original.line + text[: len(text) - len(text.lstrip())].count("\n")


def environment(env_file: Path | None = None) -> dict[str, str]:
    """What ``load`` takes: the process's environment over a dotenv file's (see ``sources``)."""
    return sources(env_file).merged


def shell() -> dict[str, str]:
    """The process's environment alone, for what judges environments and not just uses one."""
    return dict(os.environ)


def secrets_in(environ: Mapping[str, str] | None = None) -> list[str]:
    """Every secret value that a mapping (or else the process) sets, usable or not."""
    environ = os.environ if environ is None else environ
    names = [name for variable in VARIABLES if variable.kind == "secret" for name in variable.names]
    return [environ[name].strip() for name in names if environ.get(name, "").strip()]
