"""What ``[tool.exai]`` of a ``pyproject.toml`` says about environment files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from exai_ops.errors import CouldNotLook, UsageError

FILE: Final = "pyproject.toml"
_KNOWN: Final = ("public", "differ", "readers", "env_file", "ignore")
_ENTRY: Final = ("code", "key", "file", "reason")


class Ignore(NamedTuple):
    """One entry of ``ignore``: a finding of this code is not shown where key and file fit (fnmatch).

    Attributes:
        line: Where the entry stands in the file, from 1, as far as it can be told.
    """

    code: str
    reason: str
    key: str = "*"
    file: str = "*"
    line: int | None = None


class Config(NamedTuple):
    """The table ``[tool.exai]``; ``readers`` is None where it names none.

    Attributes:
        public: Patterns (fnmatch) of keys whose values may stand in the example.
        differ: Patterns of keys whose values may differ between the files.
        env_file: What compose is run with as ``--env-file``, or None.
    """

    public: tuple[str, ...] = ()
    differ: tuple[str, ...] = ()
    readers: tuple[str, ...] | None = None
    env_file: str | None = None
    ignore: tuple[Ignore, ...] = ()


def read_config(folder: Path) -> Config:
    """What the ``pyproject.toml`` of a folder says; nothing when there is none.

    Raises UsageError for what it says amiss, CouldNotLook when it cannot be read.
    """
    path = folder / FILE
    try:
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
    except OSError as error:
        raise CouldNotLook(f"{FILE}: {error.strerror}", hint="make it readable, or take it away") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{FILE}: is not UTF-8", hint="save it as UTF-8") from error
    if "exai" not in text:  # [tool.exai], or [tool] with exai.public below it
        return Config()
    import tomllib

    try:
        tools = tomllib.loads(text).get("tool", {})
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{FILE}: {error}", hint="mend its TOML") from error
    table = tools.get("exai", {}) if isinstance(tools, dict) else {}
    if not isinstance(table, dict):
        raise UsageError(f"{FILE}: tool.exai is not a table", hint="write [tool.exai] on a line of its own")
    return parse_config(table, text)


def parse_config(table: Mapping[str, Any], text: str = "") -> Config:
    """The table as values; ``text`` is searched for the lines of entries. Raises UsageError."""
    strange = [name for name in table if name not in _KNOWN]
    if strange:
        raise UsageError(f"{FILE}: [tool.exai] has no {strange[0]}", hint=f"one of {', '.join(_KNOWN)}")
    names = {name: _strings(table, name) for name in ("public", "differ", "readers")}
    env_file = table.get("env_file")
    if not isinstance(env_file, str | None):
        raise UsageError(f"{FILE}: [tool.exai] env_file is not text", hint='write env_file = ".env.docker"')
    if names["readers"] == ():
        raise UsageError(
            f"{FILE}: [tool.exai] readers is empty",
            hint="name one, or take the line out: they are found then",
        )
    return Config(
        env_file=env_file,
        public=names["public"] or (),
        differ=names["differ"] or (),
        readers=names["readers"],
        ignore=tuple(_ignore(entry, text) for entry in _list(table, "ignore") or ()),
    )


def _list(table: Mapping[str, Any], name: str) -> list[Any] | None:
    value = table.get(name)
    if value is not None and not isinstance(value, list):
        raise UsageError(f"{FILE}: [tool.exai] {name} is not a list", hint=f"write {name} = [...]")
    return value


def _strings(table: Mapping[str, Any], name: str) -> tuple[str, ...] | None:
    value = _list(table, name)
    if value is not None and not all(isinstance(item, str) for item in value):
        raise UsageError(f"{FILE}: [tool.exai] {name} holds other than text", hint="write names in quotes")
    return None if value is None else tuple(value)


def _ignore(entry: Any, text: str) -> Ignore:
    good = isinstance(entry, dict) and all(k in _ENTRY and isinstance(v, str) for k, v in entry.items())
    if not good or not entry.get("code"):
        raise UsageError(
            f"{FILE}: an entry of [tool.exai] ignore is not understood",
            hint='write { code = "ENV005", key = "NAME", file = ".env.example", reason = "why" }',
        )
    if not entry.get("reason", "").strip():
        raise UsageError(
            f"{FILE}: the entry of [tool.exai] ignore for {entry['code']} has no reason",
            hint='add reason = "why"',
        )
    return Ignore(**entry, line=_line_of(entry, text))


def _line_of(entry: Mapping[str, str], text: str) -> int | None:
    """The first line that holds the entry's reason."""
    lines = enumerate(text.splitlines(), 1)
    return next((number for number, line in lines if entry["reason"] in line), None)
