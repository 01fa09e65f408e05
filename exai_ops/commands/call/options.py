"""Options made from a tool's JSON schema, and arguments made from options."""

from __future__ import annotations

import difflib
import inspect
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer

from exai_ops.commands.app import new_app
from exai_ops.errors import UsageError

_SUFFIXES: Final = ("_EXAI-WS", "-EXAI-WS", "_EXAI_WS", "-EXAI_WS")
_KINDS: Final[Mapping[str, Any]] = {"string": str, "integer": int, "number": float, "boolean": bool}
_METAVARS: Final = {"string": "TEXT", "strings": "TEXT", "integer": "N", "number": "X", "json": "JSON"}
_PREFIX: Final = "argument_"

ReadStdin = Callable[[], str]


class Option:
    """One property of a tool's schema as an option.

    Attributes:
        kind: ``string``, ``integer``, ``number``, ``boolean``, ``strings`` (given once for each), or
            ``json`` for what no option can say better.
        flag: ``--continuation-id``; ``--arg-url`` where the command has a ``--url`` of its own.
    """

    def __init__(self, name: str, schema: Mapping[str, Any], *, required: bool, taken: Iterable[str]) -> None:
        plain = name.replace("_", "-")
        self.name = name
        self.required = required
        self.flag = f"--arg-{plain}" if plain in taken else f"--{plain}"
        self._schema = _without_null(schema)
        self.kind = self._kind()
        self._description = str(schema.get("description") or self._schema.get("description") or "")

    def _kind(self) -> str:
        kind = self._schema.get("type")
        if self._choices():
            return "string"
        if kind == "array":
            items = self._schema.get("items")
            return "strings" if isinstance(items, dict) and items.get("type") == "string" else "json"
        return kind if isinstance(kind, str) and kind in _KINDS else "json"

    def _choices(self) -> tuple[str, ...]:
        """The only texts that it takes; empty when it takes others too."""
        choices = self._schema.get("enum") or ()
        return tuple(choices) if all(isinstance(choice, str) for choice in choices) else ()

    def annotation(self) -> Any:
        """The type and the option, as typer reads them."""
        decls = [self.flag]
        if self.kind == "boolean":
            decls = [f"{self.flag}/--no-{self.flag[2:]}"]
        metavar = None if self._choices() else _METAVARS.get(self.kind)
        low, high = self._schema.get("minimum"), self._schema.get("maximum")
        return Annotated[
            self._type(),
            typer.Option(
                *decls,
                help=self._help(),
                metavar=metavar,
                show_default=False,
                min=low,
                max=high,
            ),
        ]

    def _type(self) -> Any:
        if choices := self._choices():
            return Literal[choices] | None
        if self.kind == "strings":
            return list[str] | None
        return _KINDS.get(self.kind, str) | None

    def _help(self) -> str:
        notes = ["required"] if self.required else []
        default = self._schema.get("default")
        if default not in (None, "", [], {}):
            notes.append(f"default: {json.dumps(default) if not isinstance(default, str) else default}")
        if self.kind == "strings":
            notes.append("may be repeated")
        return f"{self._description} [{'; '.join(notes)}]" if notes else self._description

    def value(self, given: Any, read_stdin: ReadStdin) -> Any:
        """The argument that an option's value stands for. Raises UsageError."""
        if self.kind == "strings":
            return [self._text(item) for item in given]
        if self.kind in ("string", "json") and given == "-":
            given = read_stdin()
        if self.kind == "json":
            return parse_json(given, self.flag)
        if isinstance(given, float) and not math.isfinite(given):
            raise UsageError(f"{self.flag}: {given} is not a number that JSON can carry")
        return self._text(given) if isinstance(given, str) else given

    def _text(self, text: str) -> str:
        try:
            text.encode()
        except UnicodeEncodeError:
            raise UsageError(f"{self.flag}: is not valid UTF-8") from None
        return text


def _without_null(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """``T`` of a schema for ``T | None``."""
    parts = [
        part for part in schema.get("anyOf") or () if not isinstance(part, dict) or part.get("type") != "null"
    ]
    if len(parts) == 1 and isinstance(parts[0], dict):
        return {**parts[0], "default": schema.get("default")}
    kind = schema.get("type")
    if isinstance(kind, list):
        kinds = [k for k in kind if k != "null"]
        return {**schema, "type": kinds[0] if len(kinds) == 1 else kinds}
    return schema


def resolve(name: str, tools: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The tool of a name, also with a suffix that old clients add. Raises UsageError with the nearest."""
    by_name = {str(tool["name"]): tool for tool in tools}
    bare = next((name.removesuffix(suffix) for suffix in _SUFFIXES if name.endswith(suffix)), name)
    for candidate in (name, bare):
        if candidate in by_name:
            return by_name[candidate]
    near = difflib.get_close_matches(bare, by_name, n=1)
    hint = f"did you mean {near[0]}?" if near else f"the daemon has {', '.join(sorted(by_name)) or 'none'}"
    raise UsageError(f"no tool is called {name!r}", hint=hint)


def options_of(tool: Mapping[str, Any], own: Iterable[str]) -> list[Option]:
    """An option for each property that can be named on a command line; ``--json`` reaches the others.

    ``own`` are the names of the command's own options.
    """
    schema = tool.get("inputSchema") or {}
    required = schema.get("required") or ()
    reserved = {"help", *(name.rstrip("_").replace("_", "-") for name in own)}
    return [
        Option(name, prop if isinstance(prop, dict) else {}, required=name in required, taken=reserved)
        for name, prop in (schema.get("properties") or {}).items()
        if re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name)
    ]


def parse(
    tool: Mapping[str, Any], options: Sequence[Option], own: Mapping[str, Any], argv: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a command line gives: values of our own options by name, values of the tool's by property.

    ``--help`` prints and raises typer.Exit; what typer finds wrong it raises itself.
    """
    command = typer.main.get_command(_app(tool, options, own))
    context = command.make_context(f"exai call {tool['name']}", list(argv))
    values = context.params
    given = {option.name: values.get(f"{_PREFIX}{n}") for n, option in enumerate(options)}
    return {name: values[name] for name in own}, {k: v for k, v in given.items() if v not in (None, [], ())}


def _app(tool: Mapping[str, Any], options: Sequence[Option], own: Mapping[str, Any]) -> typer.Typer:
    """A typer app whose function has a parameter for each option; typer reads the signature alone."""

    def function(**_: Any) -> None: ...

    annotations = {f"{_PREFIX}{n}": option.annotation() for n, option in enumerate(options)} | dict(own)
    parameters = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=annotation,
            default=False if _is_switch(annotation) else None,
        )
        for name, annotation in annotations.items()
    ]
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    function.__annotations__ = annotations
    app = new_app()
    app.command(help=str(tool.get("description") or "A tool of the daemon."))(function)
    return app


def _is_switch(annotation: Any) -> bool:
    return annotation.__origin__ is bool


def arguments(
    tool: Mapping[str, Any],
    options: Sequence[Option],
    given: Mapping[str, Any],
    document: str | None,
    read_stdin: ReadStdin,
) -> dict[str, Any]:
    """The tool's arguments: those of ``--json`` with those of the options over them. Raises UsageError."""
    result = _document(document, read_stdin)
    for option in options:
        if option.name in given:
            result[option.name] = option.value(given[option.name], read_stdin)
    _check_names(tool, {option.name: option.flag for option in options}, result)
    return result


def _check_names(tool: Mapping[str, Any], flags: Mapping[str, str], given: Mapping[str, Any]) -> None:
    """Whether names are missing or unknown; their values are the daemon's to judge."""
    schema = tool.get("inputSchema") or {}
    known = list(schema.get("properties") or {})
    hint = f"exai call {tool['name']} --help lists its options"
    for name in given:
        if name not in known and schema.get("additionalProperties") is False:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else hint
            raise UsageError(f"--json: {tool['name']} takes no {name!r}", hint=hint)
    missing = [flags.get(name, name) for name in schema.get("required") or () if name not in given]
    if missing:
        raise UsageError(f"{tool['name']}: missing {', '.join(missing)}", hint=hint)


def _document(document: str | None, read_stdin: ReadStdin) -> dict[str, Any]:
    if document is None:
        return {}
    if document == "-":
        document = read_stdin()
    elif document.startswith("@"):
        document = _file(document[1:])
    value = parse_json(document, "--json")
    if not isinstance(value, dict):
        raise UsageError(
            "--json: is not an object", hint='--json \'{"prompt": "hello"}\', @FILE, or - for stdin'
        )
    return value


def _file(name: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        raise UsageError(f"--json: {name}: {reason}") from error


def parse_json(text: str, flag: str) -> Any:
    """A JSON text's value, NaN and lone surrogates refused. Raises UsageError that says where it breaks."""

    def refuse(constant: str) -> Any:
        raise UsageError(f"{flag}: {constant} is not JSON")

    try:
        text.encode()
        return json.loads(text, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise UsageError(f"{flag}: {error.msg} at line {error.lineno}, column {error.colno}") from error
    except UnicodeEncodeError as error:
        raise UsageError(f"{flag}: is not valid UTF-8") from error
    except RecursionError as error:
        raise UsageError(f"{flag}: is nested too deeply") from error
